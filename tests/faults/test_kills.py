"""kill -9 at random moments under concurrent uploads: what was acknowledged stays, what was not is never half there."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from faults.killing import KillTrial
from faults.proc import workers
from faults.waiting import eventually, until_all_serve

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(("processes", "rounds"), [(1, 6), (2, 2)], ids=["one-process", "two-workers"])
def test_a_killed_server_keeps_what_it_acknowledged_and_nothing_half_done(
    make_server: Any, processes: int, rounds: int
) -> None:
    trial = KillTrial(make_server(workers=processes, log_level="warning"), seed=processes)
    for _ in range(rounds):
        trial.round()
    trial.judge()
    assert trial.acknowledged
    assert trial.unanswered


def test_a_killed_worker_is_replaced_and_its_files_are_served_by_the_others(make_server: Any) -> None:
    server = make_server(workers=2)
    # uvicorn's supervisor waits a minute for the first sign of a worker that is killed while it starts.
    until_all_serve(server, processes=2)
    with server.client() as client:
        url = client.put("/api/upload/kept.bin", content=b"kept" * 100_000).json()["url"]
    before = set(workers(server.pid))
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(
        lambda: len(set(workers(server.pid)) - {victim}) == len(before), "a new worker took the killed one's place"
    )
    with server.client() as client:
        assert client.get(url).content == b"kept" * 100_000
        assert client.put("/api/upload/next.bin", content=b"next").status_code == 201
