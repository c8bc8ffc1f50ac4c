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
