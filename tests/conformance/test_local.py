"""The local store keeps the contract of every BlobStore, and what it promises beyond: shared folders and clean disks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fileferry.blobs.conformance import CHECKS, Check
from fileferry.blobs.local import LocalStore
from fileferry.model import new_id, utc_now


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_keeps_its_contract(check: Check, tmp_path: Path) -> None:
    async def run() -> None:
        store = LocalStore(tmp_path)
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(run())


def test_a_writer_of_another_process_is_seen(tmp_path: Path) -> None:
    """Two stores on one folder are as two processes: what one is writing is no orphan to the other."""

    async def run() -> None:
        ours, theirs = LocalStore(tmp_path), LocalStore(tmp_path)
        key = new_id(utc_now())
        writer = ours.open_write(key)
        await writer.append([bytes(400_000)])
        assert [found async for found in theirs.orphans()] == []
        await writer.commit()
        assert [found async for found in theirs.orphans()] == []
        await writer.close()
        assert [found async for found in theirs.orphans()] == [key]
        assert (await theirs.stat(key)).size == 400_000
        await ours.close()
        await theirs.close()

    asyncio.run(run())


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    async def run() -> None:
        for check in CHECKS:
            store = LocalStore(tmp_path)
            await check(store)
            await store.close()

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert len(os.listdir("/proc/self/fd")) <= before
