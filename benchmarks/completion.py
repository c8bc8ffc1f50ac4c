"""Completing an upload whose parts have arrived: how long it takes, and what it writes, by number and size of parts."""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks import load
from benchmarks.peers import Fileferry
from benchmarks.trial import Measurement, Trial, failure

UPLOADS = 5
"""How many uploads of each shape are completed in a round, with a list of their parts and again without."""

_CONNECTIONS = 16


@dataclass(frozen=True)
class Shape:
    """An upload of so many parts of equal size (bytes)."""

    parts: int
    part_size: int

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return f"{self.parts:,} parts, {self.parts * self.part_size / 1e6:,.0f} MB"


SHAPES = (Shape(10, 100 * 64 * 1024), Shape(1000, 64 * 1024), Shape(10, 1000 * 64 * 1024))
"""Few parts and many of the same bytes together, 64 KiB being the smallest part; and ten times the bytes."""

SCENARIOS = {"complete": "without a list of parts", "complete-listed": "with the list of parts and their ETags"}


@dataclass(frozen=True)
class _Completion:
    ms: float
    written: int


def completions(trial: Trial) -> Iterator[Measurement]:
    """Uploads of every shape in turn, their parts over 16 connections; only the completing call is timed."""
    peer = trial.server.peer
    if not isinstance(peer, Fileferry) or peer.name != Fileferry.name:
        return
    found: dict[tuple[str, Shape], list[_Completion]] = defaultdict(list)
    try:
        for _ in range(UPLOADS):
            for shape in SHAPES:
                for scenario in SCENARIOS:
                    found[scenario, shape].append(_complete(trial, peer, shape, scenario))
    except load.LoadError as error:
        for scenario in SCENARIOS:
            for shape in SHAPES:
                yield failure(trial, scenario, shape.label, error)
        return
    for (scenario, shape), seen in found.items():
        ms = statistics.median(completion.ms for completion in seen)
        yield Measurement(
            scenario=scenario,
            server=peer.name,
            route=shape.label,
            round=trial.round,
            rate=1000 / ms,
            p50_ms=ms,
            written=int(statistics.median(completion.written for completion in seen)),
        )


def _complete(trial: Trial, peer: Fileferry, shape: Shape, scenario: str) -> _Completion:
    headers = {**peer.authorization, "Content-Type": "application/json"}
    size = shape.parts * shape.part_size
    asked = {"name": "parts.bin", "size": size, "part_size": shape.part_size}
    with load.KeptAlive(trial.server.port) as client:
        ticket = json.loads(client.ask("POST", "/api/uploads", headers, json.dumps(asked).encode()).body)
    etags = _send_parts(trial.server.port, ticket["part_url"], shape)
    listed = {"parts": [{"part_number": number, "etag": etag} for number, etag in etags]}
    body = json.dumps(listed).encode() if scenario == "complete-listed" else b""
    # The connection from before the parts would have been quiet for longer than the server keeps one.
    with load.KeptAlive(trial.server.port) as client:
        client.ask("GET", f"/api/uploads/{ticket['id']}", headers, b"")
        before = trial.server.written_bytes()
        answer = client.ask("POST", f"/api/uploads/{ticket['id']}/complete", headers, body)
        written = trial.server.written_bytes() - before
        file = json.loads(answer.body)
        if (file["size"], file["status"]) != (size, "ready"):
            raise load.LoadError(f"{size} bytes were completed to {file['size']}, {file['status']}")
        # Its space is wanted again; nothing of this is timed.
        client.ask("DELETE", f"/api/files/{file['id']}", peer.authorization, b"")
    return _Completion(answer.seconds * 1000, written)


def _send_parts(port: int, part_url: str, shape: Shape) -> list[tuple[int, str]]:
    """Upload all parts; return their numbers and ETags in order."""
    url = urlsplit(part_url)
    content = os.urandom(shape.part_size)

    def send_every_sixteenth(first: int) -> list[tuple[int, str]]:
        with load.KeptAlive(port) as client:
            return [
                (number, client.ask("PUT", f"{url.path}?{url.query}&partNumber={number}", {}, content).headers["etag"])
                for number in range(first, shape.parts + 1, _CONNECTIONS)
            ]

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        sent = list(pool.map(send_every_sixteenth, range(1, _CONNECTIONS + 1)))
    return sorted(part for parts in sent for part in parts)
