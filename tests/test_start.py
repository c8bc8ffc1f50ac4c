"""`fileferry` from nothing, as a shell or a service manager runs it: processes of their own that load all they need themselves."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from support import fork_server
from support.live_server import MakeServer

MEBIBYTE = 1024 * 1024
KEY = "ff_of_a_server_that_is_started_from_nothing"
# What is loaded by those only who need it: an old database, a webhook, a person at a terminal or a browser, users of another
# framework.
NOT_OF_A_SERVER = {
    "alembic",
    "attr",
    "certifi",
    "fileferry.client",
    "httpcore",
    "httpx",
    "jinja2",
    "mako",
    "mcp",
    "pydantic",
    "pydantic_core",
    "pygments.lexer",
    "rich.console",
    "segno",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
    "starlette",
}
# Where 76 MiB were measured. A library too many is 3 to 15; other builds of Python and of the C library take some more or less.
MOST_MEMORY = 88 * MEBIBYTE


class Started(NamedTuple):
    """A server process, its address, and what it has written to standard error so far."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


def is_ready(url: str) -> bool:
    """Whether the server answers; it says that it has started a moment before it listens."""
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=30).status_code == 200
    except httpx.ConnectError:
        return False


@contextlib.contextmanager
def started(folder: Path, *options: str, workers: int = 1) -> Iterator[Started]:
    """Start a server with options of the interpreter; told to end in the end, and waited for."""
    with socket.socket() as reservation:
        # Bound but not listening, so that nobody else is given the port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port = reservation.getsockname()[1]
        command = [sys.executable, *options, "-m", "fileferry", "serve", "--port", str(port), "--workers", str(workers)]
        environment = os.environ | {"FILEFERRY_DATA": str(folder / "data"), "FILEFERRY_ROOT_KEY": KEY}
        log, url = folder / "log", f"http://127.0.0.1:{port}"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 180  # on a machine that does much else
            while log.read_text().count("Application startup complete") < workers or not is_ready(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield Started(process, url, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(180)


def loaded(told: str) -> set[str]:
    """Return the modules that an interpreter says it has loaded: ``-X importtime``."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", told, re.MULTILINE))


# A single process ends by the signal once it has finished; one that watches over workers ends by itself.
@pytest.mark.parametrize(("workers", "ending"), [(1, -signal.SIGTERM), (2, 0)])
def test_a_server_starts_from_nothing_and_ends_when_told(tmp_path: Path, workers: int, ending: int) -> None:
    with started(tmp_path, workers=workers) as server:
        pass
    assert server.process.returncode == ending, server.log.read_text()


def test_an_idle_server_has_loaded_and_keeps_little(tmp_path: Path) -> None:
    with started(tmp_path, "-X", "importtime") as server:
        put = httpx.put(f"{server.url}/api/upload/a.bin", content=b"bytes", headers={"X-API-Key": KEY}, trust_env=False)
        assert httpx.get(put.json()["url"], trust_env=False).content == b"bytes"
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        modules = loaded(server.log.read_text())
    assert "litestar" in modules
    assert modules & NOT_OF_A_SERVER == set()
    peak = int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    assert peak < MOST_MEMORY, f"{peak / MEBIBYTE:.1f} MiB"


@pytest.mark.parametrize(
    ("arguments", "needed", "others"),
    [
        (["--help"], "fileferry.cli.limits", {"asyncio", "fileferry.client", "httpx", "msgspec", "pydantic"}),
        (
            ["rm", "nothing"],
            "fileferry.client",
            {"fileferry.cli.limits", "msgspec", "pydantic", "pygments.lexer", "rich.console"},
        ),
    ],
)
def test_a_command_loads_what_it_needs(arguments: list[str], needed: str, others: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "fileferry", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180).stderr
    assert needed in loaded(told)
    assert loaded(told) & others == set()


def test_a_used_port_is_said_in_one_line_before_anything_is_made_or_shown(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
        command = ["serve", "--port", str(port), "--data", str(tmp_path / "data")]
        refused = fork_server.shared().run(command, environment=environment)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.decode() == f"fileferry: Cannot listen on 127.0.0.1:{port}: Address already in use.\n"
    assert not (tmp_path / "data").exists()


def test_a_start_makes_what_its_files_say_and_tells_what_is_wrong_with_them(
    make_server: MakeServer, tmp_path: Path
) -> None:
    file, wanted = tmp_path / "fileferry.toml", tmp_path / "bootstrap.toml"
    file.write_text(f'bootstrap = "{wanted}"\nlog_format = "console"\n')
    wanted.write_text('[[organizations]]\nslug = "acme"\n')
    server = make_server(settings=str(file))
    with server.client() as client:
        slugs = [organization["slug"] for organization in client.get("/api/organizations").json()["organizations"]]
        greeting = client.get("/").json()
        page = client.get("/", headers={"Accept": "text/html"}).text
    assert slugs == ["default", "acme"]
    assert greeting["documentation"] == f"{server.url}/docs"
    assert f'href="{server.url}/docs"' in page
    server.stop()
    wanted.write_text('[[organizations]]\nslug = "not a slug"\n')
    with pytest.raises(RuntimeError, match="FILEFERRY_BOOTSTRAP: not a slug: A slug is"):
        server.start()
