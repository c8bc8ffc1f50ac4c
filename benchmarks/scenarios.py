"""What is measured: each scenario puts one kind of load on one running server and tells what it saw. Compares nothing.

A new scenario is a function from a Trial to Measurements, listed in SCENARIOS, and its title and unit in the report.
One that only some servers can do yields nothing for the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import msgspec

from benchmarks import load, machine
from benchmarks.calls import calls
from benchmarks.completion import completions
from benchmarks.peers import Route
from benchmarks.tickets import tickets
from benchmarks.trial import Measurement, Outcome, Trial, failure, flood, measure

SMALL_BYTES = 10 * 1024
SEEDED = 256
"""How many files the small downloads go round."""

_SMALL_WARMTH = 1024**3


def large_files(trial: Trial) -> Iterator[Measurement]:
    """One upload on one connection; the same until it is on disk, for which not every server waits; one download."""
    if not trial.server.peer.takes_large:
        return
    port, peer, route = trial.server.port, trial.server.peer, trial.server.peer.large
    size, target = trial.payload.stat().st_size, route.target_for("large")
    answers: list[load.Answer] = []

    def upload() -> Outcome:
        answer = load.send(port, route.method, target, route.headers_for(size), trial.payload)
        answers.append(answer)
        return Outcome(size / answer.seconds / 1e6, size / 1e9)

    # More than will be written: not all of it stays at hand.
    machine.warm_memory(min(4 * size, machine.free_memory() // 2))
    uploaded = measure(trial, "upload-large", route.label, upload)
    yield uploaded
    if uploaded.problem:
        yield msgspec.structs.replace(uploaded, scenario="upload-large-synced")
        yield msgspec.structs.replace(uploaded, scenario="download-large", route="GET")
        return

    answer = answers[0]
    started = time.perf_counter()
    os.sync()
    until_synced = answer.seconds + time.perf_counter() - started
    yield msgspec.structs.replace(uploaded, scenario="upload-large-synced", rate=size / until_synced / 1e6)

    def download() -> Outcome:
        seconds = load.receive(port, peer.located(target, answer.headers, answer.body), size)
        return Outcome(size / seconds / 1e6, size / 1e9)

    yield measure(trial, "download-large", "GET", download)


def small_downloads(trial: Trial) -> Iterator[Measurement]:
    """Downloads on kept-alive connections, going round files that were uploaded and read back once before."""
    route = trial.server.peer.small[0]

    def download() -> Outcome:
        return flood(trial, "GET", targets, {}, None)

    try:
        targets = [_seed(trial, route, number) for number in range(SEEDED)]
    except load.LoadError as error:
        yield failure(trial, "download-small", "GET", error)
        return
    yield measure(trial, "download-small", "GET", download)


def small_uploads(trial: Trial) -> Iterator[Measurement]:
    """Uploads on kept-alive connections, each under a fresh name, by every way in that the server has."""
    content = os.urandom(SMALL_BYTES)
    for route in trial.server.peer.small:

        def upload(route: Route = route) -> Outcome:
            return flood(trial, route.method, [route.target], route.headers_for(SMALL_BYTES), route.body(content))

        machine.warm_memory(min(_SMALL_WARMTH, machine.free_memory() // 2))
        yield measure(trial, "upload-small", route.label, upload)


SCENARIOS: tuple[Callable[[Trial], Iterator[Measurement]], ...] = (
    large_files,
    small_downloads,
    small_uploads,
    completions,
    tickets,
    calls,
)


def _seed(trial: Trial, route: Route, number: int) -> str:
    port, content = trial.server.port, os.urandom(SMALL_BYTES)
    target = route.target_for(f"seed-{number}")
    answer = load.send(port, route.method, target, route.headers_for(SMALL_BYTES), route.body(content))
    location = trial.server.peer.located(target, answer.headers, answer.body)
    load.receive(port, location, SMALL_BYTES)
    return location
