"""A store behind a way that fails: what is acknowledged is whole and there once, and what cannot be done is told in time."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from fileferry.blobs.objects import requests
from fileferry.blobs.objects.store import ObjectStore as ObjectBlobs
from fileferry.errors import Unavailable
from fileferry.model import new_id, utc_now
from support.faulty_store import FAULTS, FaultyWay
from support.object_stores import Place, SeaweedFS

MIB = 1024 * 1024
CONTENT = os.urandom(11 * MIB + 7)
PARTS = {"seaweedfs": 5 * MIB, "azurite": MIB, "gcs": MIB}  # a block, and an object of Google, may be of any size
STORES = [pytest.param(name, marks=pytest.mark.service(name)) for name in PARTS]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    store: Place = request.getfixturevalue(request.param)
    return store


async def at_once(_seconds: float) -> None:
    """Wait for nothing between attempts."""


def over(
    place: Place, choose: Callable[[str], str | None], use: Callable[[ObjectBlobs, FaultyWay], Awaitable[None]]
) -> None:
    async def run() -> None:
        origin = re.match(r"http://[^/]+", place.endpoint)
        assert origin
        async with FaultyWay(origin[0], choose).running() as way:
            location = place.location().replace(origin[0], way.endpoint)
            store, _ = place.open(location, pause=at_once, part_size=PARTS[place.name], grace=timedelta(0))
            try:
                await use(store, way)
            finally:
                await store.close()

    asyncio.run(run())


def content_for(place: Place) -> bytes:
    return CONTENT[: 2 * PARTS[place.name] + 7]


async def kept(store: ObjectBlobs, content: bytes = CONTENT) -> str:
    key = new_id(utc_now())
    writer = store.open_write(key)
    try:
        for start in range(0, len(content), MIB):
            await writer.append([content[start : start + MIB]])
        await writer.commit()
    finally:
        await writer.close()
    return key


@pytest.mark.parametrize("fault", FAULTS[:-1])
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_each_request_may_fail_once_and_nothing_is_lost_or_doubled(place: Place, fault: str) -> None:
    seen: set[str] = set()
    content = content_for(place)

    def choose(line: str) -> str | None:
        if line in seen:
            return None
        seen.add(line)
        return fault

    async def use(store: ObjectBlobs, way: FaultyWay) -> None:
        key = await kept(store, content)
        read = b"".join([block async for block in store.read(key, 0, len(content))])
        assert read == content
        assert [found.key async for found in store._objects.list("")] == [f"blobs/{key}/whole"]
        assert sum(told is not None for _, told in way.requests) >= 6

    over(place, choose, use)


@pytest.mark.service("seaweedfs")
def test_a_store_that_keeps_silent_is_asked_again(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_TIMEOUTS", {"connect": 5.0, "read": 4.0, "write": 5.0, "pool": 5.0})
    told: list[str] = []

    def choose(line: str) -> str | None:
        if told or "partNumber=1" not in line:
            return None
        told.append(line)  # waits in real time until the client's patience is over
        return "silent"

    async def use(store: ObjectBlobs, _way: FaultyWay) -> None:
        key = await kept(store)
        assert (await store.stat(key)).size == len(CONTENT)
        assert told

    over(seaweedfs, choose, use)


@pytest.mark.service("seaweedfs")
def test_faults_at_random_lose_nothing(seaweedfs: SeaweedFS) -> None:
    chance = random.Random(5)

    def choose(_line: str) -> str | None:
        return chance.choice(FAULTS[:-1]) if chance.random() < 0.2 else None

    async def use(store: ObjectBlobs, _way: FaultyWay) -> None:
        for _ in range(4):
            key = await kept(store)
            assert (await store.stat(key)).size == len(CONTENT)
            assert b"".join([block async for block in store.read(key, 3 * MIB, 5 * MIB)]) == CONTENT[3 * MIB : 8 * MIB]

    over(seaweedfs, choose, use)


@pytest.mark.parametrize("fault", FAULTS[:-1])
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_a_way_that_always_fails_is_told_within_a_bound_and_nothing_is_acknowledged(place: Place, fault: str) -> None:
    def choose(line: str) -> str | None:
        # To drop blocks is a list too.
        writes = "POST" if place.name == "gcs" else "PUT"
        return fault if line.startswith(writes) and "comp=blocklist" not in line else None

    async def use(store: ObjectBlobs, way: FaultyWay) -> None:
        with pytest.raises(Unavailable):
            await kept(store, content_for(place))
        assert sum(told is not None for _, told in way.requests) <= 2 * 6
        assert [found.key async for found in store._objects.list("")] == []
        assert [found async for found in store._objects.list_unfinished("")] == []

    over(place, choose, use)
