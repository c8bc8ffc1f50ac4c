"""What scenarios are made of: one server in one round, what was seen of it, and the reading of its CPU time and memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import load
from benchmarks.process import Server

CONNECTIONS = 16
"""Of a flood of small requests."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number of one server in one round; ``problem`` says why there is none."""

    scenario: str
    server: str
    route: str
    round: int
    rate: float | None = None
    """Files, tickets or completions a second, or MB (1e6 bytes) a second; higher is better."""
    cpu_seconds: float | None = None
    """CPU time of the server for each file or ticket, or for each GB (1e9 bytes)."""
    peak_memory: int | None = None
    """Bytes."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    written: int | None = None
    """Bytes that the server handed to write calls, of files and sockets, for each completion."""
    problem: str | None = None


@dataclass(frozen=True)
class Trial:
    """One server in one round, and the sizes of the load."""

    server: Server
    round: int
    payload: Path
    """The large file; its size is the size of the large transfers."""
    seconds: float
    """How long each flood of small requests, and each issuing of tickets, lasts."""
    scratch: Path


@dataclass(frozen=True)
class Outcome:
    """What a load came to; see Measurement for the units."""

    rate: float
    work: float
    """Files, tickets or GB that the server's CPU time is divided by."""
    p50_ms: float | None = None
    p99_ms: float | None = None


def measure(trial: Trial, scenario: str, route: str, work: Callable[[], Outcome]) -> Measurement:
    """Put the load on the server and tell what it saw, with the CPU time and the peak of memory that it took."""
    # Nothing that an earlier load left to be written may slow this one down.
    os.sync()
    trial.server.reset_peak_memory()
    cpu_before = trial.server.cpu_seconds()
    try:
        outcome = work()
    except load.LoadError as error:
        return failure(trial, scenario, route, error)
    return Measurement(
        scenario=scenario,
        server=trial.server.peer.name,
        route=route,
        round=trial.round,
        rate=outcome.rate,
        cpu_seconds=(trial.server.cpu_seconds() - cpu_before) / outcome.work,
        peak_memory=trial.server.peak_memory(),
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
    )


def failure(trial: Trial, scenario: str, route: str, error: load.LoadError) -> Measurement:
    """Return the measurement that has no number."""
    server = trial.server.peer.name
    return Measurement(scenario=scenario, server=server, route=route, round=trial.round, problem=str(error))


def flood(trial: Trial, method: str, targets: list[str], headers: dict[str, str], body: bytes | None) -> Outcome:
    """Ask for these targets in turn, over ``CONNECTIONS`` at once, for as long as floods last."""
    seen = load.flood(
        trial.server.port,
        method,
        targets,
        headers,
        body,
        connections=CONNECTIONS,
        seconds=trial.seconds,
        scratch=trial.scratch,
    )
    return Outcome(seen.requests / seen.seconds, seen.requests, seen.p50_ms, seen.p99_ms)
