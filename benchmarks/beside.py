"""How long a small upload takes while something large goes on: alone, beside two long uploads, a scan and a search."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import listing, load
from benchmarks.peers import Fileferry
from benchmarks.process import Server
from fileferry.settings import load as load_settings

_SMALL = os.urandom(10 * 1024)
_STORED_BYTES = 33 * 1024
"""More than is kept in the database."""


def main(words: list[str]) -> int:
    """Measure, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks beside", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("data"), help="a folder on disk that the server writes below"
    )
    parser.add_argument("--seconds", type=float, default=30, help="how long each is measured (%(default)s)")
    parser.add_argument("--large-bytes", type=int, default=5 * 1024**3, help="size of each long upload (%(default)s)")
    parser.add_argument("--stored", type=int, default=10_000, help="files that a scan goes through (%(default)s)")
    parser.add_argument("--files", type=int, default=1_000_000, help="files that are searched among (%(default)s)")
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    peer = Fileferry()
    print("| small uploads, one after the other | p50, ms | p99, ms | longest, ms |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as named:
        work = Path(named).absolute()
        data = work / "server"
        with Server(peer, data) as server:
            trial = _Trial(server, peer, arguments.seconds)
            trial.run("alone", None)
            payload = work / "payload"
            with payload.open("wb") as file:
                file.truncate(arguments.large_bytes)
            trial.run(
                f"beside two uploads of {arguments.large_bytes / 1024**3:g} GiB", lambda: _upload(trial, payload), 2
            )
            _seed(trial, arguments.stored)
            trial.run(f"beside a scan of {arguments.stored:,} files", lambda: _scan(peer, data))
            target = _search_target(trial)
            listing.fill(load_settings({"FILEFERRY_DATA": str(data)}), arguments.files)
            trial.run(f"beside searches among {arguments.files:,} files", lambda: _search(trial, target))
    return 0


class _Trial:
    def __init__(self, server: Server, peer: Fileferry, seconds: float) -> None:
        self.port = server.port
        self.key = dict(peer.authorization)
        self._seconds = seconds
        self._end = threading.Event()

    def run(self, name: str, company: Callable[[], None] | None, sides: int = 1) -> None:
        """Print how long small uploads take while ``company`` is done again and again, on so many sides."""
        self._end.clear()
        with ThreadPoolExecutor(sides) as pool:
            beside = [] if company is None else [pool.submit(self._again, company) for _ in range(sides)]
            try:
                waits = sorted(self._waits())
            finally:
                self._end.set()
            for one in beside:
                one.result()
        found = [waits[int(len(waits) * share)] for share in (0.5, 0.99)] + [waits[-1]]
        print(f"| {name} | " + " | ".join(f"{wait:.1f}" for wait in found) + " |", flush=True)

    def _again(self, company: Callable[[], None]) -> None:
        while not self._end.is_set():
            company()

    def _waits(self) -> Iterator[float]:
        """Upload small files for a while; yield the milliseconds that each took."""
        ends = time.monotonic() + self._seconds
        with load.KeptAlive(self.port) as client:
            while time.monotonic() < ends:
                yield client.ask("POST", "/api/upload/small.bin", self.key, _SMALL).seconds * 1000


def _upload(trial: _Trial, payload: Path) -> None:
    target = f"/api/upload/large-{threading.get_ident()}.bin"
    answer = load.send(trial.port, "PUT", target, trial.key, payload)
    with load.KeptAlive(trial.port) as client:
        client.ask("DELETE", f"/api/files/{json.loads(answer.body)['id']}?permanent=true", trial.key, b"")


def _seed(trial: _Trial, count: int) -> None:
    content = os.urandom(_STORED_BYTES)
    with load.KeptAlive(trial.port) as client:
        for number in range(count):
            client.ask("PUT", f"/api/upload/stored/{number}.bin", trial.key, content)


def _scan(peer: Fileferry, data: Path) -> None:
    command = [str(peer.program), "doctor", "--data", str(data)]
    # It says 1 of files that were just replaced, whose bytes the next sweep frees.
    done = subprocess.run(command, env=peer.environment(), capture_output=True, text=True)
    if done.returncode > 1:
        raise load.LoadError(f"doctor: {done.stderr}")


def _search_target(trial: _Trial) -> str:
    with load.KeptAlive(trial.port) as client:
        file = json.loads(client.ask("PUT", "/api/upload/named.bin", trial.key, _SMALL).body)
    place = f"/file/v2/orgs/{file['organization_id']}/workspaces/{file['workspace_id']}"
    return f"{place}/files?file_name=no+file+has+this+in+its+name"


def _search(trial: _Trial, target: str) -> None:
    with load.KeptAlive(trial.port) as client:
        client.ask("GET", target, trial.key, b"")
