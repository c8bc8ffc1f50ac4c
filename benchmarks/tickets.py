"""Issuing tickets over HTTP, beside boto3's presigned URLs in memory. No bytes are uploaded."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from benchmarks import load, presigner
from benchmarks.peers import Fileferry
from benchmarks.trial import Measurement, Outcome, Trial, measure

BATCHES = (1000, 100, 1)
"""Tickets asked for in one request; 1,000 is the most that one may ask for."""


def scenario(batch: int) -> str:
    """Return the name of the scenario with this many tickets a request."""
    return f"tickets-{batch}"


def tickets(trial: Trial) -> Iterator[Measurement]:
    """One client on one kept-alive connection asks for tickets, request after request; then boto3 signs as long."""
    peer = trial.server.peer
    if not isinstance(peer, Fileferry):
        return
    for batch in BATCHES:

        def issued(batch: int = batch) -> Outcome:
            return issue(trial, peer, batch, f"batches of {batch}")

        yield measure(trial, scenario(batch), "POST /v1/files/{folderId}", issued)
        if peer.name != Fileferry.name:
            continue
        signed = presigner.measure(trial.seconds)
        yield Measurement(
            scenario=scenario(batch),
            server=presigner.NAME,
            route="generate_presigned_url",
            round=trial.round,
            rate=signed.urls / signed.seconds,
            cpu_seconds=signed.cpu_seconds / signed.urls,
            peak_memory=signed.peak_memory,
        )


def issue(trial: Trial, peer: Fileferry, batch: int, name: str) -> Outcome:
    """Ask for tickets in a new folder of this name for as long as floods last."""
    headers = {**peer.authorization, "Content-Type": "application/json"}
    asked = json.dumps({"filesMetadata": [{"name": f"report-{n}.bin", "size": 1000} for n in range(batch)]}).encode()
    waits = []
    with load.KeptAlive(trial.server.port) as client:
        folder = json.loads(client.ask("POST", "/v1/folders", headers, json.dumps({"name": name}).encode()).body)
        target = f"/v1/files/{folder['id']}"
        _check(client.ask("POST", target, headers, asked).body, batch)
        started, elapsed = time.perf_counter(), 0.0
        while elapsed < trial.seconds:
            waits.append(client.ask("POST", target, headers, asked).seconds * 1000)
            elapsed = time.perf_counter() - started
    issued = len(waits) * batch
    return Outcome(issued / elapsed, issued, statistics.median(waits), _percentile(waits, 0.99))


def _check(body: bytes, batch: int) -> None:
    urls = {ticket["url"] for ticket in json.loads(body)["urls"]}
    if len(urls) != batch:
        raise load.LoadError(f"{batch} tickets were asked for, {len(urls)} different URLs came")


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
