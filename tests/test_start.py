"""`fileferry serve` from nothing, as a service manager runs it: processes of their own that load all they need themselves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from support import fork_server
from support.live_server import MakeServer


def is_ready(port: int) -> bool:
    """Whether the server answers; it says that it has started a moment before it listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=30).status_code == 200
    except httpx.ConnectError:
        return False


# A single process ends by the signal once it has finished; one that watches over workers ends by itself.
@pytest.mark.parametrize(("workers", "ending"), [(1, -signal.SIGTERM), (2, 0)])
def test_a_server_starts_from_nothing_and_ends_when_told(tmp_path: Path, workers: int, ending: int) -> None:
    with socket.socket() as reservation:
        # Bound but not listening, so that nobody else is given the port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port = reservation.getsockname()[1]
        command = [sys.executable, "-m", "fileferry", "serve", "--port", str(port), "--workers", str(workers)]
        environment = os.environ | {"FILEFERRY_DATA": str(tmp_path / "data")}
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 180  # on a machine that does much else
            while log.read_text().count("Application startup complete") < workers or not is_ready(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(180)
    assert status == ending, log.read_text()


def test_a_used_port_is_said_in_one_line_before_anything_is_made_or_shown(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
        command = ["serve", "--port", str(port), "--data", str(tmp_path / "data")]
        refused = fork_server.shared().run(command, environment=environment)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert (
        refused.stderr.decode().splitlines()[-1]
        == f"fileferry: Cannot listen on 127.0.0.1:{port}: Address already in use."
    )
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
