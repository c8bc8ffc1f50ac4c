"""Five gigabytes, or SOAK_BYTES, by the command line, killed three times on the way and continued each time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.proc import forget_peak, peak_resident, resident
from faults.waiting import eventually
from support.live_server import LiveServer

_MIB = 1024 * 1024
_SIZE = int(os.environ.get("SOAK_BYTES", str(5 * 1024 * _MIB)))
_KILLS = 3
_MOST_GROWTH = 64 * _MIB


class Put:
    """``fileferry put`` of one file, over as many processes as it takes."""

    def __init__(self, server: LiveServer, source: Path, state: Path) -> None:
        self._server = server
        self._state = state
        self._command = [sys.executable, "-m", "fileferry", "put", str(source), "--json"]
        self._environment = {
            **os.environ,
            "FILEFERRY_URL": server.url,
            "FILEFERRY_KEY": server.root_key,
            "NO_PROXY": "127.0.0.1",
            "XDG_STATE_HOME": str(state),
        }

    def held(self) -> int:
        """Return how many bytes the server has acknowledged; 0 before there is an upload."""
        states = [path.read_text() for path in self._state.rglob("*.json")]
        if not states or not states[0]:
            return 0
        with self._server.client() as http:
            upload = http.get(f"/api/uploads/{json.loads(states[0])['upload_id']}").json()
        return sum(part["size"] for part in upload["parts"])

    def kill_after(self, size: int) -> None:
        with subprocess.Popen(self._command, env=self._environment, stdout=subprocess.PIPE) as process:
            eventually(lambda: self.held() >= size, f"{size} bytes are acknowledged", within=600)
            assert process.poll() is None, "it ended before it was killed"
            process.kill()

    def finish(self) -> dict[str, Any]:
        done = subprocess.run(self._command, env=self._environment, stdout=subprocess.PIPE, check=True)
        return dict(json.loads(done.stdout))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A file without holes, no two blocks of which are the same, and its SHA-256."""
    path, digest, noise = tmp_path / "large.bin", hashlib.sha256(), os.urandom(_MIB)
    with path.open("wb") as file:
        for number in range(-(-_SIZE // _MIB)):
            block = (number.to_bytes(8) + noise[8:])[: _SIZE - number * _MIB]
            digest.update(block)
            file.write(block)
    yield path, digest.hexdigest()
    path.unlink()


@pytest.mark.soak
def test_a_large_upload_that_is_killed_three_times_is_continued_and_whole(
    make_server: Any, source: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, sha256 = source
    server: LiveServer = make_server(log_level="warning")
    warm = tmp_path / "warm.bin"
    warm.write_bytes(bytes(80 * _MIB))
    Put(server, warm, tmp_path / "warm").finish()
    before = resident(server.pid)
    forget_peak(server.pid)
    put = Put(server, path, tmp_path / "state")
    held = []
    for kill in range(1, _KILLS + 1):
        put.kill_after(_SIZE * kill // (_KILLS + 1))
        held.append(put.held())
    file = put.finish()
    assert held == sorted(held)
    assert file["size"] == _SIZE
    assert _digest_of(file["url"]) == sha256
    growth = peak_resident(server.pid) - before
    with capsys.disabled():
        print(f"\n{_SIZE} bytes, killed at {held}; server grew by {growth / _MIB:.1f} MiB")
    assert growth < _MOST_GROWTH, f"grew by {growth / _MIB:.1f} MiB"
    server.stop()
    shutil.rmtree(server.data)


def _digest_of(url: str) -> str:
    digest = hashlib.sha256()
    with httpx.stream("GET", url, trust_env=False, timeout=60) as response:
        for chunk in response.iter_raw():
            digest.update(chunk)
    return digest.hexdigest()
