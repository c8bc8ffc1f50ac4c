"""Two stores that are one while blobs move keep the contract of every BlobStore, wherever a blob was begun."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fileferry.blobs.conformance import CHECKS
from fileferry.blobs.local import LocalStore
from fileferry.blobs.moving import MovingStore
from fileferry.blobs.store import BlobAssembled, BlobMissing
from fileferry.errors import Unavailable
from fileferry.model import new_id, utc_now
from fileferry.settings import SettingsError

CONTENT = os.urandom(400_000)


def on(folder: Path, use: Callable[[MovingStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = MovingStore(LocalStore(folder / "staying"), LocalStore(folder / "before"))
        try:
            await use(store)
        finally:
            await store.close()

    asyncio.run(run())


async def region(store: object, key: str, offset: int, content: bytes) -> None:
    writer = store.open_region(key, offset)  # type: ignore[attr-defined]
    await writer.append([content])
    await writer.commit()
    await writer.close()


async def read(store: object, key: str, start: int, length: int) -> bytes:
    return b"".join([block async for block in store.read(key, start, length)])  # type: ignore[attr-defined]


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    async def use(store: MovingStore) -> None:
        for check in CHECKS:
            await check(store)

    on(tmp_path, use)


def test_what_was_begun_before_goes_on_there_and_what_is_new_does_not(tmp_path: Path) -> None:
    async def use(store: MovingStore) -> None:
        begun, new = new_id(utc_now()), new_id(utc_now())
        await region(store.before, begun, 0, CONTENT[:1000])
        for key in (begun, new):
            await region(store, key, 1000, CONTENT[1000:])
        await region(store, new, 0, CONTENT[:1000])
        for key, place, other in ((begun, store.before, store.staying), (new, store.staying, store.before)):
            await store.assemble(key)
            assert await read(store, key, 0, len(CONTENT)) == CONTENT
            assert (await place.stat(key)).size == (await store.stat(key)).size == len(CONTENT)
            assert [run.length for run in await store.runs(key)] == [len(CONTENT)]
            assert not await other.is_begun(key)
            with pytest.raises(BlobAssembled):
                await region(store, key, 0, CONTENT)
            await store.delete(key)
            assert not await store.is_begun(key)

    on(tmp_path, use)


def test_parts_that_servers_of_different_settings_spread_are_refused(tmp_path: Path) -> None:
    async def use(store: MovingStore) -> None:
        key = new_id(utc_now())
        await region(store.before, key, 0, CONTENT)
        await region(store.staying, key, len(CONTENT), CONTENT)
        with pytest.raises(Unavailable, match="two stores"):
            await store.assemble(key)
        with pytest.raises(BlobMissing):
            await store.stat(key)

    on(tmp_path, use)


def test_nothing_of_either_is_an_orphan_that_has_an_owner(tmp_path: Path) -> None:
    async def use(store: MovingStore) -> None:
        keys = [new_id(utc_now()) for _ in range(2)]
        for key, place in zip(keys, (store.staying, store.before), strict=True):
            await region(place, key, 0, CONTENT)
            await place.assemble(key)
        assert {key async for key in store.orphans()} == set(keys)

        async def is_owned() -> bool:
            return True

        for key in keys:
            assert not await store.delete_unowned(key, is_owned)
            assert await read(store, key, 5, 5) == CONTENT[5:10]

    on(tmp_path, use)


def test_both_must_be_of_one_database(tmp_path: Path) -> None:
    async def use(store: MovingStore) -> None:
        assert await store.identity() is None
        await store.before.identify("one")
        with pytest.raises(SettingsError, match="migrate-store"):
            await store.identity()
        await store.staying.identify("another")
        with pytest.raises(SettingsError, match="different databases"):
            await store.identity()
        await store.identify("one")
        assert await store.identity() == "one"
        (tmp_path / "before" / "store-id").unlink()
        with pytest.raises(SettingsError, match="is its disk mounted"):
            await store.identity()

    on(tmp_path, use)
