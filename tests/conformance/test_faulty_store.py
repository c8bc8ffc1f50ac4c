"""A bucket behind a way that fails: what is acknowledged is whole and there once, and what cannot be done is told in time."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from fileferry.blobs.s3 import Client, Credentials, S3Store, client, parse
from fileferry.errors import Unavailable
from fileferry.model import new_id, utc_now
from support.faulty_store import FAULTS, FaultyWay
from support.object_stores import SeaweedFS

pytestmark = pytest.mark.service("seaweedfs")
MIB = 1024 * 1024
CONTENT = os.urandom(11 * MIB + 7)


async def at_once(_seconds: float) -> None:
    """Wait for nothing between attempts."""


def over(
    seaweedfs: SeaweedFS, choose: Callable[[str], str | None], use: Callable[[S3Store, FaultyWay], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with FaultyWay(seaweedfs.endpoint, choose).running() as way:
            location = parse(seaweedfs.location().replace(seaweedfs.endpoint, way.endpoint))
            asking = Client(location, Credentials(seaweedfs.key_id, seaweedfs.secret), pause=at_once)
            store = S3Store(asking, location.prefix, part_size=5 * MIB, grace=timedelta(0))
            try:
                await use(store, way)
            finally:
                await store.close()

    asyncio.run(run())


async def kept(store: S3Store) -> str:
    key = new_id(utc_now())
    writer = store.open_write(key)
    try:
        for start in range(0, len(CONTENT), MIB):
            await writer.append([CONTENT[start : start + MIB]])
        await writer.commit()
    finally:
        await writer.close()
    return key


@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_each_request_may_fail_once_and_nothing_is_lost_or_doubled(seaweedfs: SeaweedFS, fault: str) -> None:
    seen: set[str] = set()

    def choose(line: str) -> str | None:
        if line in seen:
            return None
        seen.add(line)
        return fault

    async def use(store: S3Store, way: FaultyWay) -> None:
        key = await kept(store)
        read = b"".join([block async for block in store.read(key, 0, len(CONTENT))])
        assert read == CONTENT
        assert [found.key async for found in store._objects.list("")] == [f"blobs/{key}/whole"]
        assert sum(told is not None for _, told in way.requests) >= 6

    over(seaweedfs, choose, use)


def test_a_store_that_keeps_silent_is_asked_again(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_TIMEOUTS", {"connect": 5.0, "read": 4.0, "write": 5.0, "pool": 5.0})
    told: list[str] = []

    def choose(line: str) -> str | None:
        if told or "partNumber=1" not in line:
            return None
        told.append(line)  # waits in real time until the client's patience is over
        return "silent"

    async def use(store: S3Store, _way: FaultyWay) -> None:
        key = await kept(store)
        assert (await store.stat(key)).size == len(CONTENT)
        assert told

    over(seaweedfs, choose, use)


def test_faults_at_random_lose_nothing(seaweedfs: SeaweedFS) -> None:
    chance = random.Random(5)

    def choose(_line: str) -> str | None:
        return chance.choice(FAULTS[:-1]) if chance.random() < 0.2 else None

    async def use(store: S3Store, _way: FaultyWay) -> None:
        for _ in range(4):
            key = await kept(store)
            assert (await store.stat(key)).size == len(CONTENT)
            assert b"".join([block async for block in store.read(key, 3 * MIB, 5 * MIB)]) == CONTENT[3 * MIB : 8 * MIB]

    over(seaweedfs, choose, use)


@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_a_way_that_always_fails_is_told_within_a_bound_and_nothing_is_acknowledged(
    seaweedfs: SeaweedFS, fault: str
) -> None:
    def choose(line: str) -> str | None:
        return fault if line.startswith("PUT") else None

    async def use(store: S3Store, way: FaultyWay) -> None:
        with pytest.raises(Unavailable):
            await kept(store)
        assert sum(told is not None for _, told in way.requests) <= 2 * 6
        assert [found.key async for found in store._objects.list("")] == []
        assert [found async for found in store._objects.list_unfinished("")] == []

    over(seaweedfs, choose, use)
