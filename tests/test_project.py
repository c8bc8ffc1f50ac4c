"""What the project promises about its own source: it can be read anywhere, and a client does not carry the server."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "fileferry").rglob("*.py"))
KEPT_FOLDERS = (".ci", "benchmarks", "docs", "scripts", "src", "tests")
SERVER_LIBRARIES = {"alembic", "litestar", "prometheus_client", "sqlalchemy", "structlog", "uvicorn"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def kept_texts() -> list[Path]:
    beside = [path for path in ROOT.iterdir() if path.is_file()]
    below = [path for folder in KEPT_FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [path for path in beside + below if "node_modules" not in path.parts]
    return [path for path in kept if b"\0" not in path.read_bytes()]


@pytest.mark.parametrize("module", [module for module in MODULES if module.stat().st_size], ids=name_of)
def test_a_module_opens_by_saying_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text())), f"{name_of(module)} has no docstring"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
    assert not [name_of(module) for module in MODULES if drawers & set(module.relative_to(ROOT).with_suffix("").parts)]


def test_no_text_points_at_a_developers_machine() -> None:
    absolute = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users)/\w")
    found = [
        f"{name_of(path)}:{number}"
        for path in kept_texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if absolute.search(line)
    ]
    assert not found


def test_importing_the_client_loads_no_server() -> None:
    program = "import sys, fileferry.client; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.split()
    assert not SERVER_LIBRARIES & set(loaded)
    assert not {"fileferry.engine", "fileferry.db", "fileferry.settings"} & set(loaded)


def test_the_benchmarks_load() -> None:
    """They use modules of the server that no test but this holds in place for them."""
    asked = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
