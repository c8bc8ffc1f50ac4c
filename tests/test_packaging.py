"""The wheel and the source distribution, installed with what they name and nothing else: the client alone, and the server."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import fileferry
from support.clean_environment import ROOT, CleanEnvironment, build
from support.live_server import LiveServer

SERVER_COMMANDS = ["serve", "worker", "doctor"]
# A server runs without these, which its framework names for programs that fileferry does not use: deploy/server.lock.
UNUSED = frozenset({"faker", "polyfactory"})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def client_only(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """What ``pip install fileferry`` makes."""
    return CleanEnvironment(tmp_path_factory.mktemp("client") / "venv", built[0])


def test_the_wheel_tells_type_checkers_that_it_has_types(built: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(built[0]).namelist()
    assert "fileferry/py.typed" in names
    pages = Path(fileferry.__file__).parent / "ui"
    shipped = {
        f"fileferry/ui/{file.relative_to(pages)}"
        for kind in ("templates", "static")
        for file in pages.glob(f"{kind}/**/*.*")
    }
    assert shipped
    assert shipped <= set(names)
    rules = Path(fileferry.__file__).parent / "engine/preflight/consumers"
    assert {f"fileferry/engine/preflight/consumers/{file.name}" for file in rules.glob("*.toml")} <= set(names)
    assert not [name for name in names if not name.startswith(("fileferry/", "fileferry-"))]
    with tarfile.open(built[1]) as source:
        inside = {"/".join(name.split("/")[1:]) for name in source.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "src/fileferry/py.typed"} <= inside
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/"))]


def test_the_client_needs_few_packages(client_only: CleanEnvironment) -> None:
    assert client_only.complaints() == "No broken requirements found.\n"
    assert len(client_only.packages) <= 20, sorted(client_only.packages)
    assert not {"litestar", "sqlalchemy", "uvicorn", "msgspec", "faker"} & client_only.packages


def test_the_client_and_its_commands_work_alone(
    client_only: CleanEnvironment, server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("of a client that has no server")
    given = {
        "FILEFERRY_URL": server.url,
        "FILEFERRY_KEY": server.root_key,
        "NO_PROXY": "127.0.0.1",
        "HOME": str(tmp_path),
    }
    put = client_only.run("fileferry", "put", str(tmp_path / "a.txt"), env=given)
    assert put.returncode == 0, put.stderr
    got = client_only.run("fileferry", "get", put.stdout.strip(), "-o", str(tmp_path / "b.txt"), env=given)
    assert (got.returncode, (tmp_path / "b.txt").read_text()) == (0, "of a client that has no server"), got.stderr
    program = "import fileferry; names = [getattr(fileferry, name) for name in fileferry.__all__]; print(fileferry.__version__)"
    told = client_only.run("python", "-c", program, env=given)
    assert told.stdout == f"{fileferry.__version__}\n", told.stderr
    assert client_only.run("fileferry", "--version").stdout == f"fileferry {fileferry.__version__}\n"


@pytest.mark.parametrize("command", SERVER_COMMANDS)
def test_a_command_of_the_server_says_what_it_needs(client_only: CleanEnvironment, command: str) -> None:
    refused = client_only.run("fileferry", command)
    sentence = "fileferry: This command needs the server's packages: pip install 'fileferry[server]'\n"
    assert (refused.returncode, refused.stderr) == (2, sentence)


def test_the_lock_of_a_server_is_what_it_needs_in_the_versions_that_are_tested(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    server = CleanEnvironment(tmp_path / "venv", built[0], "server")
    assert server.complaints() == "No broken requirements found.\n"
    pinned = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
    locked = set(pinned.findall((ROOT / "deploy" / "server.lock").read_text()))
    assert not locked - set(pinned.findall((ROOT / "requirements.lock").read_text()))
    names = {name for name, _version in locked}
    assert not names & UNUSED
    assert not server.packages - names - UNUSED - {"tzdata"}


def test_the_server_loads_without_what_it_does_not_use(built: tuple[Path, Path], tmp_path: Path) -> None:
    lean = CleanEnvironment(tmp_path / "venv", built[0], "server", without=UNUSED)
    program = (
        "from fileferry.app import create_app; from fileferry.settings import Settings; import alembic.command; "
        "create_app(Settings())"
    )
    told = lean.run("python", "-c", program)
    assert told.returncode == 0, told.stderr
