"""What a large file costs a server whose blobs are in a bucket: sent through it or past it, fetched through it or past it.

One, two and three servers share a PostgreSQL and a store, each with a client of its own; beside them boto3's own multipart upload
into the same store. The store, the database and the clients are on this machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks import boto, load
from benchmarks.peers import ROOT
from benchmarks.process import Server
from benchmarks.replicas import Replica, postgresql

_MIB = 1024 * 1024
_REPLICAS = (1, 2, 3)
_AT_ONCE = 16
_BOTO = "boto3, multipart"
_PAST = ("seaweedfs",)
"""The stores that clients are sent to: RGW does not hold them to what they promised, and has no CORS rules here."""
_TICKETS = 50
_ASKED = ((_MIB, False), (1024 * _MIB, False), (1024 * _MIB, True))
"""Sizes (bytes) that tickets are asked for, and whether in parts."""


class Cost(msgspec.Struct, frozen=True):
    """What a load came to: MB (1e6 bytes) a second of all clients, CPU seconds of the servers for each GB, bytes more of memory.

    Of boto3, which has no server, the two are those of the clients.
    """

    rate: float
    cpu: float
    memory: int


class _Client:
    """One client of one server, and of the store behind it."""

    def __init__(self, server: Server, payload: Path) -> None:
        assert isinstance(server.peer, Replica)
        self._server = server
        self._headers = {**server.peer.authorization, "Content-Type": "application/json"}
        self._payload = payload
        self._size = payload.stat().st_size

    def send(self, name: str, payload: Path | None = None) -> str:
        """Send a file through the server; return the path of its URL there."""
        body = payload or self._payload
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        answer = load.send(self._server.port, "PUT", f"/api/upload/{name}", headers, body)
        return urlsplit(str(json.loads(answer.body)["url"])).path

    def send_past(self, name: str) -> None:
        """Send a file to the store itself, one part after the other, and complete it at the server."""
        ticket = self.ticket(name, self._size, in_parts=True)
        listed = []
        with self._payload.open("rb") as file:
            for part in ticket["direct"]:
                url = urlsplit(part["url"])
                answer = load.send(url.port or 80, "PUT", f"{url.path}?{url.query}", {}, file.read(part["size"]))
                listed.append({"part_number": part["part_number"], "etag": answer.headers["etag"]})
        self._ask(f"/api/uploads/{ticket['id']}/complete", {"parts": listed})

    def ticket(self, name: str, size: int, *, in_parts: bool) -> Any:
        """Ask where a file of so many bytes can be sent in the store."""
        ticket = self._ask("/api/uploads", {"path": name, "size": size, "direct": True, "parts": in_parts})
        if not ticket["direct"]:
            raise load.LoadError("The store takes nothing from clients.")
        return ticket

    def fetch(self, path: str) -> None:
        """Fetch a file through the server."""
        load.receive(self._server.port, path, self._size)

    def fetch_past(self, path: str) -> None:
        """Fetch a file from where the server redirects to."""
        url = urlsplit(load.location(self._server.port, f"{path}?redirect=1"))
        load.receive(url.port or 80, f"{url.path}?{url.query}", self._size)

    def _ask(self, target: str, asked: dict[str, Any]) -> Any:
        return json.loads(load.send(self._server.port, "POST", target, self._headers, json.dumps(asked).encode()).body)


def main(words: list[str]) -> int:
    """Measure in turn, and print a table of medians; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks buckets", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (%(default)s)")
    parser.add_argument("--large-bytes", type=int, default=1024**3, help="size of the file (%(default)s)")
    parser.add_argument("--store", choices=["seaweedfs", "rgw"], default="seaweedfs", help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "data", help="a folder on disk to work below")
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, int], list[Cost]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as named:
        folder = Path(named).absolute()
        payload = _payload(folder / "payload", arguments.large_bytes)
        small = _payload(folder / "small", max(_MIB, arguments.large_bytes // _AT_ONCE))
        for number in range(arguments.rounds):
            for replicas in _REPLICAS:
                place = folder / f"{number}-{replicas}"
                for kind, cost in _round(place, arguments.store, replicas, payload, small):
                    found.setdefault((kind, replicas), []).append(cost)
                    print(f"round {number + 1}  {kind:28} {replicas} server(s) {cost.rate:8,.0f} MB/s", flush=True)
        if arguments.store in _PAST:
            _show_tickets(folder / "tickets", arguments.store, payload)
    print("| | servers | MB/s | CPU, s for each GB | memory more, MiB |\n|---|--:|--:|--:|--:|")
    for (kind, replicas), costs in found.items():
        rate, cpu, memory = (
            statistics.median(getattr(cost, what) for cost in costs) for what in Cost.__struct_fields__
        )
        print(f"| {kind} | {replicas} | {rate:,.0f} | {cpu:.2f} | {memory / _MIB:,.0f} |")
    return 0


@contextmanager
def _running(folder: Path, kind: str, replicas: int) -> Iterator[tuple[Any, list[Server]]]:
    """Start a store, and servers that keep their files there."""
    (folder / "objects").mkdir(parents=True)
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        store = stack.enter_context(_store(kind, folder / "objects"))
        settings = {
            "FILEFERRY_DATABASE_URL": database.new_database(),
            **{f"FILEFERRY_{name.upper()}": value for name, value in store.settings(is_public=True).items()},
        }
        servers: list[Server] = []
        for number in range(replicas):
            peer = Replica(servers[0].peer if servers else None, settings)  # type: ignore[arg-type]
            servers.append(stack.enter_context(Server(peer, folder / f"server-{number}")))
        yield store, servers


def _show_tickets(folder: Path, kind: str, payload: Path) -> None:
    """Print what a ticket to send past a server costs it."""
    with _running(folder, kind, 1) as (_, (server,)):
        client = _Client(server, payload)
        client.ticket("first", _MIB, in_parts=False)
        for size, in_parts in _ASKED:
            before = server.cpu_seconds()
            for number in range(_TICKETS):
                ticket = client.ticket(f"{size}-{in_parts}-{number}", size, in_parts=in_parts)
            each = (server.cpu_seconds() - before) / _TICKETS * 1000
            print(
                f"A ticket past the server for {size // _MIB:,} MiB, {len(ticket['direct']):,} URLs: {each:.1f} ms of CPU"
            )


def _round(folder: Path, kind: str, replicas: int, payload: Path, small: Path) -> Iterator[tuple[str, Cost]]:
    with _running(folder, kind, replicas) as (store, servers):
        clients = [_Client(server, payload) for server in servers]
        paths: list[str] = [""] * replicas
        size, names = payload.stat().st_size, [f"large-{number}.bin" for number in range(replicas)]

        def send(number: int) -> None:
            paths[number] = clients[number].send(names[number])

        yield _BOTO, _boto(store, payload, names)
        yield "uploaded through the server", _load(servers, size, send)
        if kind in _PAST:
            yield "uploaded past it", _load(servers, size, lambda number: clients[number].send_past(f"past-{number}"))
        yield "fetched through the server", _load(servers, size, lambda number: clients[number].fetch(paths[number]))
        if kind in _PAST:
            yield "fetched past it", _load(servers, size, lambda number: clients[number].fetch_past(paths[number]))
        several = [(number, each) for number in range(replicas) for each in range(_AT_ONCE // replicas)]

        def send_small(number: int) -> None:
            server, each = several[number]
            clients[server].send(f"small-{server}-{each}.bin", small)

        yield (
            f"{_AT_ONCE} at once, through the server",
            _load(servers, small.stat().st_size, send_small, len(several)),
        )


def _load(servers: list[Server], size: int, work: Callable[[int], None], at_once: int | None = None) -> Cost:
    """Have each client move so many bytes, all at once."""
    os.sync()
    for server in servers:
        server.reset_peak_memory()
    clients = at_once or len(servers)
    at_rest = sum(server.peak_memory() for server in servers)
    before, started = sum(server.cpu_seconds() for server in servers), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    seconds = time.perf_counter() - started
    cpu = sum(server.cpu_seconds() for server in servers) - before
    moved = clients * size
    grown = sum(server.peak_memory() for server in servers) - at_rest
    return Cost(moved / seconds / 1e6, cpu / (moved / 1e9), grown)


def _boto(store: Any, payload: Path, names: list[str]) -> Cost:
    os.sync()
    started = time.perf_counter()
    with ThreadPoolExecutor(len(names)) as pool:
        sent = list(pool.map(lambda name: boto.measure(store, payload, name), names))
    seconds = max(each.seconds for each in sent)  # without the start of Python
    assert seconds <= time.perf_counter() - started
    moved = len(names) * payload.stat().st_size
    cpu = sum(each.cpu_seconds for each in sent)
    return Cost(moved / seconds / 1e6, cpu / (moved / 1e9), sum(each.grown for each in sent))


def _payload(path: Path, size: int) -> Path:
    """Make a file of whole MiB, none of which is another's."""
    block = os.urandom(_MIB)
    with path.open("wb") as file:
        for number in range(size // _MIB):
            file.write(number.to_bytes(8) + block[8:])
    return path


def _store(kind: str, folder: Path) -> Any:
    sys.path.append(str(ROOT / "tests"))  # the stores of the tests do here too
    from support.object_stores import SeaweedFS
    from support.rgw import Rgw

    return {"seaweedfs": SeaweedFS, "rgw": Rgw}[kind](folder)
