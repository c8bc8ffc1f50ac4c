"""Servers, workers, PostgreSQL and pgbouncer end and come back in turn: nothing acknowledged is lost, doubled, or served early."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faults.replicas import PROTOCOLS, Trial, fleet
from support import postgresql
from support.live_server import LiveServer, MakeServer

pytestmark = pytest.mark.service("postgresql")

QUOTA = 40


def test_ten_kills_of_a_fleet_lose_nothing(tmp_path: Path) -> None:
    with fleet(tmp_path) as running:
        trial = Trial(running, seed=1)
        trial.run(10)
        trial.judge()
    assert {protocol for protocol, _url, _digest in trial.acknowledged.values()} == set(PROTOCOLS)
    assert trial.repeated > 0


def test_two_servers_of_one_database_admit_together_what_the_rate_says(make_server: MakeServer) -> None:
    url = postgresql.new_database(prepared=True)
    first = make_server(key_requests=f"{QUOTA}/360 days", database_url=url)
    shared = {"database_url": url, "store": f"file://{first.data}", "root_key": first.root_key}
    second = make_server(key_requests=f"{QUOTA}/360 days", **shared)
    second.root_key = first.root_key

    def ask(server: LiveServer) -> Counter[int]:
        with server.client() as http:
            return Counter(http.get("/api/files").status_code for _ in range(QUOTA))

    with ThreadPoolExecutor(2) as both:
        answers = sum(both.map(ask, (first, second)), Counter[int]())
    assert set(answers) == {200, 429}
    # What one has taken of the first few and not given out is lost to the other.
    assert QUOTA - 2 <= answers[200] <= QUOTA
