"""The rooms of the source: each module is in one, they build on each other one way, and the contracts that hold it can break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fileferry"
MOST_LINES = 400

ONE_WAY = "Imports point one way"
ROOMS = "The engine's rooms build on each other one way"
CIRCLES = "No circle anywhere"
CLIENT = "The client knows nothing of the server but its errors"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package by itself, with the contracts beside it."""
    shutil.copytree(PACKAGE, tmp_path / "fileferry", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path / "fileferry"


def contracts(package: Path) -> dict[str, bool]:
    """Return whether a package keeps each contract, as lint-imports tells it."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    told = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True).stdout
    ends = [line.rpartition(" ") for line in told.splitlines()]
    return {name: word == "KEPT" for name, _, word in ends if word in ("KEPT", "BROKEN")}


def test_every_contract_is_kept(copy: Path) -> None:
    assert contracts(copy) == dict.fromkeys((ONE_WAY, ROOMS, CIRCLES, CLIENT), True)


@pytest.mark.parametrize(("place", "contract"), [(".", ONE_WAY), ("engine", ROOMS)])
def test_a_module_that_is_put_in_no_room_breaks_a_contract(copy: Path, place: str, contract: str) -> None:
    (copy / place / "stray.py").write_text('"""Nobody said where this belongs."""\n')
    assert [name for name, kept in contracts(copy).items() if not kept] == [contract]


def test_an_import_against_the_direction_breaks_a_contract(copy: Path) -> None:
    with (copy / "engine" / "access" / "quotas.py").open("a") as module:
        module.write("\nimport fileferry.engine.events.egress\n")
    assert next(name for name, kept in contracts(copy).items() if not kept) == ROOMS


def test_a_circle_breaks_a_contract(copy: Path) -> None:
    with (copy / "engine" / "receiving" / "parts.py").open("a") as module:
        module.write("\nimport fileferry.engine.receiving.streams\n")
    assert [name for name, kept in contracts(copy).items() if not kept] == [CIRCLES]


def test_no_module_is_longer_than_one_sitting() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_the_map_names_every_package() -> None:
    shown = (ROOT / "docs" / "development.md").read_text()
    kept = ("client", "db")  # described as one
    packages = [
        path.parent.relative_to(PACKAGE)
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE and path.relative_to(PACKAGE).parts[:2][0] not in kept
    ]
    assert [str(package) for package in packages if f"`{package}/`" not in shown] == []
