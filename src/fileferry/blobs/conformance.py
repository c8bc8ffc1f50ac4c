"""What every BlobStore must keep, as checks to be run against a store: ours and third parties'. It needs no test framework.

Each check takes an open store, works on fresh keys only, and raises ``Violation`` where the store breaks its contract::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_the_store_keeps_its_contract(check, tmp_path):
        asyncio.run(check(MyStore(tmp_path)))
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable

from fileferry.blobs.store import BlobAssembled, BlobMissing, BlobStore
from fileferry.model import new_id, utc_now

Check = Callable[[BlobStore], Awaitable[None]]

_SMALL = b"0123456789" * 100
_LARGE = 3 * 1024 * 1024 + 17


class Violation(Exception):
    """The store broke a sentence of its contract."""


async def a_committed_blob_reads_back_whole_and_in_part(store: BlobStore) -> None:
    """``commit`` makes a blob readable; ``read`` yields just the range asked for."""
    for content in (_SMALL, os.urandom(_LARGE)):
        key = await _kept(store, content)
        size = len(content)
        for start, length in [(0, size), (0, 1), (size - 1, 1), (7, 500), (size // 2, size - size // 2)]:
            _hold(await _read(store, key, start, length) == content[start : start + length], "read yields the range")
        _hold((await store.stat(key)).size == size, "stat tells the size")
        _hold((await store.stat(key)).key == key, "stat tells the key")


async def a_file_of_a_blob_has_its_bytes(store: BlobStore) -> None:
    """``open_file`` gives a file with just the blob's bytes, also when the blob is deleted meanwhile, or None."""
    content = os.urandom(_LARGE)
    key = await _kept(store, content)
    file = await store.open_file(key)
    _hold((file is not None) is store.capabilities.has_files, "open_file does what the capabilities say")
    if file is None:
        return
    with file:
        await store.delete(key)
        _hold(os.pread(file.fileno(), _LARGE + 1, 0) == content, "the file has the blob's bytes")
    await _raises(BlobMissing, store.open_file(key), "open_file of nothing raises BlobMissing")


async def an_empty_blob_is_a_blob(store: BlobStore) -> None:
    """A blob of no bytes is committed and has a size like any other."""
    key = await _kept(store, b"")
    _hold((await store.stat(key)).size == 0, "an empty blob has size 0")


async def many_small_appends_are_one_blob(store: BlobStore) -> None:
    """Bytes arrive in the order they were appended, however they were cut."""
    key, content = _key(), os.urandom(700_001)
    writer = store.open_write(key)
    for start in range(0, len(content), 10_007):
        await writer.append([content[start : start + 5000], content[start + 5000 : start + 10_007]])
    await writer.commit()
    await writer.close()
    _hold(await _read(store, key, 0, len(content)) == content, "appended bytes keep their order")


async def many_blobs_are_committed_at_once(store: BlobStore) -> None:
    """Writers do not disturb each other."""
    contents = [os.urandom(1 + 40_000 * number) for number in range(24)]
    keys = await asyncio.gather(*(_kept(store, content) for content in contents))
    for key, content in zip(keys, contents, strict=True):
        _hold(await _read(store, key, 0, len(content)) == content, "blobs committed together stay apart")


async def nothing_is_visible_before_commit(store: BlobStore) -> None:
    """Until ``commit`` there is no blob, however many bytes came."""
    for content in (_SMALL, bytes(_LARGE)):
        key = _key()
        writer = store.open_write(key)
        await writer.append([content])
        await _is_missing(store, key)
        await writer.close()


async def a_writer_without_commit_leaves_nothing(store: BlobStore) -> None:
    """``close`` without ``commit`` removes what was written."""
    for content in (_SMALL, bytes(_LARGE)):
        key = _key()
        writer = store.open_write(key)
        await writer.append([content])
        await writer.close()
        await _is_missing(store, key)
        _hold(key not in await _orphans(store), "an abandoned writer leaves nothing")


async def a_claimed_blob_is_nobodys_orphan(store: BlobStore) -> None:
    """From the first byte until ``close`` the blob is neither named by ``orphans`` nor removed by ``delete_unowned``."""
    for content in (_SMALL, bytes(_LARGE)):
        key = _key()
        writer = store.open_write(key)
        await writer.append([content])
        _hold(key not in await _orphans(store), "a blob being written is no orphan")
        _hold(not await store.delete_unowned(key, _nobody), "a blob being written is not removed")
        await writer.commit()
        _hold(key not in await _orphans(store), "a committed blob is claimed until close")
        _hold(not await store.delete_unowned(key, _nobody), "a committed blob is not removed before close")
        await writer.close()
        _hold(await _read(store, key, 0, 10) == content[:10], "the claimed blob is still there")
        if not store.capabilities.grace:
            _hold(key in await _orphans(store), "a closed blob is named, so that its owner can be looked for")


async def an_orphan_is_removed_and_an_owned_blob_kept(store: BlobStore) -> None:
    """``delete_unowned`` asks whether the blob has an owner, and does as it is told."""
    key = await _kept(store, _SMALL)
    _hold(not await store.delete_unowned(key, _somebody), "an owned blob is kept")
    _hold(await _read(store, key, 0, len(_SMALL)) == _SMALL, "an owned blob is kept whole")
    if store.capabilities.grace:
        _hold(not await store.delete_unowned(key, _nobody), "a blob is kept for the time of grace")
        return
    _hold(await store.delete_unowned(key, _nobody), "a blob without owner is removed")
    await _is_missing(store, key)
    _hold(not await store.delete_unowned(key, _nobody), "what is gone cannot be removed")


async def a_missing_blob_is_told(store: BlobStore) -> None:
    """Whatever needs a blob raises BlobMissing where there is none."""
    await _is_missing(store, _key())
    await _raises(BlobMissing, store.assemble(_key()), "assemble of nothing raises BlobMissing")


async def a_deleted_blob_is_gone_and_deleting_again_is_no_error(store: BlobStore) -> None:
    """``delete`` removes; a missing blob is not an error."""
    key = await _kept(store, _SMALL)
    await store.delete(key)
    await _is_missing(store, key)
    _hold(key not in await _orphans(store), "a deleted blob is not named")
    await store.delete(key)
    await store.delete(_key())


async def a_reader_under_way_finishes(store: BlobStore) -> None:
    """Deleting a blob does not cut off whoever is reading it."""
    content = os.urandom(_LARGE)
    key = await _kept(store, content)
    reading = store.read(key, 0, _LARGE)
    read = await anext(reading)
    await store.delete(key)
    async for piece in reading:
        read += piece
    _hold(read == content, "a reader under way finishes")


async def regions_make_a_blob_in_any_order(store: BlobStore) -> None:
    """Pieces written at their offsets, at once and in any order, are one blob after ``assemble``; writing twice is the last."""
    key, content, cut = _key(), os.urandom(_LARGE), 1_000_000
    offsets = range(0, _LARGE, cut)
    await _region(store, key, 2 * cut, bytes(cut))
    await asyncio.gather(*(_region(store, key, start, content[start : start + cut]) for start in reversed(offsets)))
    await _is_missing(store, key)
    await store.assemble(key)
    await store.assemble(key)
    _hold(await _read(store, key, 0, _LARGE) == content, "regions are one blob")


async def it_tells_where_a_blob_has_bytes(store: BlobStore) -> None:
    """``runs`` tells where there are bytes, of an empty blob too; all of them can be read."""
    for content in (b"", _SMALL):
        key = await _kept(store, content)
        _hold([(run.offset, run.length) for run in await store.runs(key)] == [(0, len(content))], "one run is the blob")
    key, cut = _key(), 1000
    for offset in (3 * cut, 0, cut):
        await _region(store, key, offset, _SMALL[:cut])
    await _raises(BlobMissing, store.runs(key), "runs of what is not put together raises BlobMissing")
    await store.assemble(key)
    runs = await store.runs(key)
    read = b"".join([await _read(store, key, run.offset, run.length) for run in runs])
    _hold(read.count(_SMALL[:cut]) == 3 and runs[-1].offset + runs[-1].length == 4 * cut, "runs hold all that came")


async def what_was_begun_is_told(store: BlobStore) -> None:
    """``is_begun`` tells of a blob from its first region on until it is deleted."""
    key, whole = _key(), await _kept(store, _SMALL)
    _hold(not await store.is_begun(key), "nothing was begun")
    await _region(store, key, 7, _SMALL)
    _hold(await store.is_begun(key), "a region begins a blob")
    await store.assemble(key)
    _hold(await store.is_begun(key) and await store.is_begun(whole), "a committed blob was begun")
    await store.delete(key)
    _hold(not await store.is_begun(key), "what is deleted is as what was never begun")


async def an_assembled_blob_takes_no_more(store: BlobStore) -> None:
    """A region that comes after ``assemble`` raises BlobAssembled and changes nothing."""
    key = _key()
    await _region(store, key, 0, _SMALL)
    await store.assemble(key)
    for content in (b"late", bytes(_LARGE)):
        await _raises(BlobAssembled, _region(store, key, 0, content), "an assembled blob takes no more regions")
    _hold(await _read(store, key, 0, len(_SMALL)) == _SMALL, "an assembled blob is not changed")


async def a_region_that_was_given_up_does_no_harm(store: BlobStore) -> None:
    """Closed without ``commit``, a region's bytes may be overwritten by another."""
    key = _key()
    given_up = store.open_region(key, 0)
    await given_up.append([bytes(_LARGE)])
    await given_up.close()
    content = os.urandom(_LARGE)
    await _region(store, key, 0, content)
    await store.assemble(key)
    _hold(await _read(store, key, 0, _LARGE) == content, "a region given up is overwritten")


async def an_identity_is_kept(store: BlobStore) -> None:
    """``identity`` returns what ``identify`` gave last."""
    for id in (str(uuid.uuid4()), str(uuid.uuid4())):
        await store.identify(id)
        _hold(await store.identity() == id, "the identity is kept")


async def a_store_that_works_says_so(store: BlobStore) -> None:
    """``check`` returns while writes are taken, and leaves nothing."""
    before = await _orphans(store)
    await store.check()
    _hold(await _orphans(store) == before, "check leaves nothing")


CHECKS: tuple[Check, ...] = (
    a_committed_blob_reads_back_whole_and_in_part,
    a_file_of_a_blob_has_its_bytes,
    an_empty_blob_is_a_blob,
    many_small_appends_are_one_blob,
    many_blobs_are_committed_at_once,
    nothing_is_visible_before_commit,
    a_writer_without_commit_leaves_nothing,
    a_claimed_blob_is_nobodys_orphan,
    an_orphan_is_removed_and_an_owned_blob_kept,
    a_missing_blob_is_told,
    a_deleted_blob_is_gone_and_deleting_again_is_no_error,
    a_reader_under_way_finishes,
    regions_make_a_blob_in_any_order,
    it_tells_where_a_blob_has_bytes,
    what_was_begun_is_told,
    an_assembled_blob_takes_no_more,
    a_region_that_was_given_up_does_no_harm,
    an_identity_is_kept,
    a_store_that_works_says_so,
)
"""Every check, each independent of the others."""


def _hold(held: bool, sentence: str) -> None:
    if not held:
        raise Violation(f"Broken: {sentence}.")


def _key() -> str:
    return new_id(utc_now())


async def _kept(store: BlobStore, content: bytes) -> str:
    key = _key()
    writer = store.open_write(key)
    await writer.append([content])
    await writer.commit()
    await writer.close()
    return key


async def _region(store: BlobStore, key: str, offset: int, content: bytes) -> None:
    writer = store.open_region(key, offset)
    try:
        await writer.append([content])
        await writer.commit()
    finally:
        await writer.close()


async def _read(store: BlobStore, key: str, start: int, length: int) -> bytes:
    return b"".join([piece async for piece in store.read(key, start, length)])


async def _orphans(store: BlobStore) -> set[str]:
    return {key async for key in store.orphans()}


async def _is_missing(store: BlobStore, key: str) -> None:
    await _raises(BlobMissing, _read(store, key, 0, 1), "read of a missing blob raises BlobMissing")
    await _raises(BlobMissing, store.stat(key), "stat of a missing blob raises BlobMissing")


async def _raises(kind: type[Exception], awaited: Awaitable[object], sentence: str) -> None:
    try:
        await awaited
    except kind:
        return
    raise Violation(f"Broken: {sentence}.")


async def _nobody() -> bool:
    return False


async def _somebody() -> bool:
    return True
