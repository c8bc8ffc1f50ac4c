"""Small uploads and tickets on PostgreSQL with one, two and three servers, beside one on SQLite, in one run on one machine.

The database is one of the tests, with every sync, and is on this machine too: its computing is told beside that of the servers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import load
from benchmarks.peers import ROOT, Fileferry
from benchmarks.process import TICKS_PER_SECOND, Server
from benchmarks.tickets import issue
from benchmarks.trial import CONNECTIONS, Outcome, Trial

_SMALL_BYTES = 10 * 1024
_REPLICAS = (1, 2, 3)
_BATCH = 100


class Replica(Fileferry):
    """A server on a database, and a store, that it shares."""

    def __init__(self, first: Fileferry | None, settings: dict[str, str]) -> None:
        super().__init__()
        if first is not None:
            self._key, self.authorization = first._key, first.authorization
            self.small, self.large = first.small, first.large
        self._settings = settings

    def environment(self) -> dict[str, str]:
        return super().environment() | self._settings


class Taken(msgspec.Struct, frozen=True):
    """What one load came to: how many a second, and microseconds of computing for each, of the servers and of the database."""

    rate: float
    of_servers: float
    of_database: float | None


def main(words: list[str]) -> int:
    """Measure in turn, and print a table of medians; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks replicas", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each load (%(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "data", help="a folder on disk to work below")
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], list[Taken]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for number in range(arguments.rounds):
            for replicas in (0, *_REPLICAS):
                name = "SQLite, one server" if not replicas else f"PostgreSQL, {replicas} server{'s'[: replicas > 1]}"
                for kind, taken in _round(
                    Path(folder).absolute() / f"{number}-{replicas}", replicas, arguments.seconds
                ):
                    found.setdefault((kind, name), []).append(taken)
                    print(f"round {number + 1}  {kind:14} {name:24} {taken.rate:8,.0f}", flush=True)
    print("| | | a second | µs of servers each | µs of the database each |\n|---|---|--:|--:|--:|")
    for (kind, name), several in sorted(found.items()):
        rate, servers = (statistics.median(getattr(each, what) for each in several) for what in ("rate", "of_servers"))
        database = [each.of_database for each in several if each.of_database is not None]
        told = f"{statistics.median(database):,.0f}" if database else "–"
        print(f"| {kind} | {name} | {rate:,.0f} | {servers:,.0f} | {told} |")
    return 0


def _round(folder: Path, replicas: int, seconds: float) -> Iterator[tuple[str, Taken]]:
    folder.mkdir()
    with ExitStack() as stack:
        database: Any = None
        settings: dict[str, str] = {}
        if replicas:
            database = stack.enter_context(postgresql())
            settings = {"FILEFERRY_DATABASE_URL": database.new_database(), "FILEFERRY_STORE": f"file://{folder}/store"}
        servers: list[Server] = []
        for number in range(max(1, replicas)):
            peer = Replica(servers[0].peer if servers else None, settings)  # type: ignore[arg-type]
            servers.append(stack.enter_context(Server(peer, folder / f"server-{number}")))
        pid = None if database is None else database.pid
        yield "small uploads", _load(servers, pid, lambda server: _uploads(server, folder, seconds, len(servers)))
        yield "tickets", _load(servers, pid, lambda server: _tickets(server, folder, seconds))


def postgresql() -> Any:
    """Return the database of the tests, with every sync."""
    sys.path.append(str(ROOT / "tests"))  # the database of the tests does here too
    from support.postgresql import LivePostgresql

    return LivePostgresql({"shared_buffers": "128MB", "max_wal_size": "2GB", "autovacuum": "on"})


def _load(servers: list[Server], database: int | None, work: Any) -> Taken:
    """Put the same load on all servers at once."""
    os.sync()
    before, of_database = sum(server.cpu_seconds() for server in servers), _cpu_seconds(database)
    with ThreadPoolExecutor(len(servers)) as pool:
        outcomes: list[Outcome] = list(pool.map(work, servers))
    done = sum(outcome.work for outcome in outcomes)
    each = (sum(server.cpu_seconds() for server in servers) - before) / done * 1e6
    its = None if database is None else (_cpu_seconds(database) - of_database) / done * 1e6
    return Taken(sum(outcome.rate for outcome in outcomes), each, its)


def _uploads(server: Server, folder: Path, seconds: float, among: int) -> Outcome:
    route = server.peer.small[0]
    scratch = folder / f"scratch-{server.port}"
    scratch.mkdir(exist_ok=True)
    content = os.urandom(_SMALL_BYTES)
    seen = load.flood(
        server.port,
        route.method,
        [route.target.replace("{n}", f"{server.port}-{{n}}")],
        route.headers_for(_SMALL_BYTES),
        route.body(content),
        connections=max(1, 2 * CONNECTIONS // among),
        seconds=seconds,
        scratch=scratch,
    )
    return Outcome(seen.requests / seen.seconds, seen.requests)


def _tickets(server: Server, folder: Path, seconds: float) -> Outcome:
    trial = Trial(server, 0, folder, seconds, folder)
    assert isinstance(server.peer, Fileferry)
    return issue(trial, server.peer, _BATCH, f"batches of server {server.port}")


def _cpu_seconds(postmaster: int | None) -> float:
    """Return the CPU time of a PostgreSQL's processes that live; each connection is one, for as long as it lasts."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        if postmaster is None or not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if postmaster in (int(entry.name), int(fields[1])):
            total += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return total
