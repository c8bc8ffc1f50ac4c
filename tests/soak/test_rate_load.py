"""One key asks 200 times a second, far over its rate, and is told the truth; another stays under its own, and notices nothing."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass

import httpx
import pytest

from support.live_server import LiveServer, MakeServer
from support.redis import LiveRedis

SECONDS = 30
EAGER, MODEST = 200, 8
"""Requests a second."""
QUOTA, WINDOW = 100, 5
RATE = f"{QUOTA}/{WINDOW} seconds"
# How late an answer may be for its time to be taken for that of the decision.
SLACK = 0.25


@dataclass(frozen=True)
class Answer:
    """What came of one request: when it was sent and answered (seconds), and the seconds to wait where it was refused."""

    sent: float
    answered: float
    status: int
    wait: int | None

    @property
    def latency(self) -> float:
        """Milliseconds."""
        return (self.answered - self.sent) * 1000


async def ask_steadily(server: LiveServer, key: str, per_second: int, seconds: float) -> list[Answer]:
    """Send requests at their times, however long the answers take."""
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
    headers = {"X-API-Key": key}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, limits=limits, trust_env=False) as http:

        async def ask() -> Answer:
            sent = time.monotonic()
            answer = await http.get("/api/files", params={"limit": 10})
            wait = answer.headers.get("retry-after")
            return Answer(sent, time.monotonic(), answer.status_code, None if wait is None else int(wait))

        start, asked = time.monotonic(), []
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, start + number / per_second - time.monotonic()))
            asked.append(asyncio.create_task(ask()))
        return await asyncio.gather(*asked)


def new_key(server: LiveServer) -> str:
    with server.client() as http:
        key: str = http.post("/api/keys", json={"name": "k", "scopes": ["read", "upload"]}).json()["key"]
    return key


def shown(name: str, answers: list[Answer]) -> str:
    """Return the latencies of answers for people."""
    took = sorted(answer.latency for answer in answers)
    high = took[int(len(took) * 0.99)]
    return f"{name}: {len(took)} answers, median {statistics.median(took):.1f} ms, p99 {high:.1f}, worst {took[-1]:.1f}"


def check_truth(answers: list[Answer]) -> None:
    """Fail unless after every refusal the key was admitted when it was told, and not a second before."""
    admitted = [answer for answer in answers if answer.status == 200]
    end = max(answer.sent for answer in answers)
    refused = [answer for answer in answers if answer.wait is not None and answer.answered + answer.wait < end - SLACK]
    assert len(refused) > EAGER
    for refusal in refused:
        assert refusal.wait is not None
        following = min(answer.answered for answer in admitted if answer.sent > refusal.answered)
        assert refusal.answered + refusal.wait - 1 - SLACK < following < refusal.answered + refusal.wait + SLACK


@pytest.mark.soak
@pytest.mark.service("redis")
@pytest.mark.parametrize("counted_in", ["memory", "redis"])
def test_200_a_second_over_the_rate_hurt_nobody_under_it(
    make_server: MakeServer, counted_in: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def both(server: LiveServer) -> tuple[list[Answer], list[Answer], list[Answer]]:
        eager, modest = new_key(server), new_key(server)
        alone = await ask_steadily(server, modest, MODEST, SECONDS / 3)
        flood, beside = await asyncio.gather(
            ask_steadily(server, eager, EAGER, SECONDS), ask_steadily(server, modest, MODEST, SECONDS)
        )
        return alone, flood, beside

    with LiveRedis() as redis:
        shared = {"redis_url": redis.url} if counted_in == "redis" else {}
        alone, flood, beside = asyncio.run(both(make_server(key_requests=RATE, log_level="warning", **shared)))
    refused = [answer for answer in flood if answer.status == 429]
    admitted = [answer for answer in flood if answer.status == 200]
    with capsys.disabled():
        print(f"\n{counted_in}, {len(flood)} requests in {SECONDS} s: {len(admitted)} admitted, {len(refused)} refused")
        print(shown("refusals", refused))
        print(shown("the other key, alone", alone))
        print(shown("the other key, beside it", beside))
    assert len(admitted) + len(refused) == len(flood)
    # A trial of whole windows touches one more of them at most.
    assert SECONDS // WINDOW * QUOTA <= len(admitted) <= (SECONDS // WINDOW + 1) * QUOTA
    check_truth(flood)
    assert {answer.status for answer in alone + beside} == {200}
    assert statistics.median(answer.latency for answer in beside) < 50
