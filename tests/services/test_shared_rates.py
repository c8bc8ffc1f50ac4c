"""Rates that several server processes count together in a real Redis, and what becomes of them while it is away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.edge import eventually
from support.live_server import LiveServer, MakeServer
from support.redis import LiveRedis

pytestmark = pytest.mark.service("redis")

QUOTA = 40
SHARED = {"status": "ok"}
ALONE = {"status": "degraded", "reason": "rates_not_shared"}


@pytest.fixture
def redis() -> Iterator[LiveRedis]:
    with LiveRedis() as live:
        yield live


def ask(server: LiveServer, key: str, times: int) -> Counter[int]:
    """Return how often each status was answered to as many requests, several at a time."""
    with server.client(key) as http, ThreadPoolExecutor(8) as crowd:
        return Counter(crowd.map(lambda _: http.get("/api/files").status_code, range(times)))


def readiness(server: LiveServer) -> dict[str, str]:
    answer: dict[str, str] = httpx.get(f"{server.url}/readyz", trust_env=False, timeout=10).json()
    return answer


def metric(server: LiveServer) -> str:
    page = httpx.get(f"{server.url}/metrics", trust_env=False).text
    (line,) = [line for line in page.splitlines() if line.startswith("fileferry_rates_alone")]
    return line.split()[-1]


def new_key(server: LiveServer) -> str:
    with server.client() as http:
        key: str = http.post("/api/keys", json={"name": "k", "scopes": ["read"]}).json()["key"]
    return key


def test_two_servers_admit_together_exactly_what_the_rate_says(make_server: MakeServer, redis: LiveRedis) -> None:
    first = make_server(key_requests=f"{QUOTA}/360 days", redis_url=redis.url)
    second = make_server(key_requests=f"{QUOTA}/360 days", redis_url=redis.url, root_key=first.root_key)
    # The root key is the same one in every installation, so both count it under one name.
    with ThreadPoolExecutor(2) as both:
        answers = both.map(lambda server: ask(server, first.root_key, QUOTA), (first, second))
        assert sum(answers, Counter()) == {200: QUOTA, 429: QUOTA}


def test_the_workers_of_one_server_admit_together_what_the_rate_says(make_server: MakeServer, redis: LiveRedis) -> None:
    server = make_server(workers=2, key_requests=f"{QUOTA}/360 days", redis_url=redis.url)
    assert ask(server, new_key(server), 2 * QUOTA) == {200: QUOTA, 429: QUOTA}


def test_without_redis_each_process_counts_and_nobody_is_turned_away_for_it(
    make_server: MakeServer, redis: LiveRedis
) -> None:
    server = make_server(key_requests=f"{QUOTA}/360 days", redis_url=redis.url)
    key = new_key(server)
    assert readiness(server) == SHARED
    assert ask(server, key, QUOTA) == {200: QUOTA}
    redis.kill()
    assert ask(server, key, QUOTA + 5) == {200: QUOTA, 429: 5}
    assert (readiness(server), metric(server)) == (ALONE, "1.0")
    assert server.log_text().count("rates_not_shared") == 1
    redis.start()
    eventually(lambda: readiness(server) == SHARED)
    assert metric(server) == "0.0"
    assert ask(server, key, QUOTA + 5) == {200: QUOTA, 429: 5}


def test_a_redis_that_hangs_delays_requests_by_seconds_at_most(make_server: MakeServer, redis: LiveRedis) -> None:
    server = make_server(key_requests="100000/360 days", redis_url=redis.url)
    key = new_key(server)
    assert ask(server, key, 1) == {200: 1}
    redis.pause()
    started = time.monotonic()
    assert ask(server, key, 200) == {200: 200}
    assert time.monotonic() - started < 60
    assert readiness(server) == ALONE
    redis.resume()
    eventually(lambda: readiness(server) == SHARED)
