"""Copying the blobs that are needed from one store to another while servers go on; it changes no state and removes nothing.

Deciding which store servers use is for their settings; what a store made of both does is in ``blobs.moving``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from fileferry.blobs.store import BlobMissing, BlobStore
from fileferry.db import blobs, bookkeeping
from fileferry.db.database import Database
from fileferry.engine.files.verification import Pace, known_digests
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.errors import FerryError, Unavailable
from fileferry.model import Extent, Version
from fileferry.settings import SettingsError

_AT_ONCE = 8
_PAGE = 200
_TRIES = 3


class Moving(msgspec.Struct):
    """How far a move is.

    ``last`` is the key up to which all is there, ``at`` those that are being copied, and ``under_way`` those of uploads whose bytes
    go on coming to the store before; ``faults`` says of keys what is wrong with their bytes, and of how many bytes the copies are.
    """

    at: list[str] = []
    last: str = ""
    under_way: list[str] = []
    blobs: int = 0
    bytes: int = 0
    faults: dict[str, str] = {}


class Mover:
    """Copies blobs from ``source`` to ``target``, ``rate`` bytes a second at most; with ``until`` none of later keys."""

    def __init__(
        self,
        database: Database,
        source: BlobStore,
        target: BlobStore,
        rate: int | None = None,
        until: str | None = None,
    ) -> None:
        self._database = database
        self._source = source
        self._target = target
        self._pace = Pace(rate)
        self._until = until

    async def claim(self) -> None:
        """Make the target a store of this database. Raises SettingsError where it is another's, or holds anything."""
        recorded = await self._database.read(bookkeeping.find_store)
        carried = await self._target.identity()
        if recorded is None or await self._source.identity() != recorded:
            raise SettingsError("The store to copy from is not the one that this database's files are in.")
        if carried not in (None, recorded):
            raise SettingsError("TO belongs to another database: name a folder or a prefix of its own.")
        if carried is None:
            async with aclosing(self._target.orphans()) as keys:
                async for _key in keys:
                    raise SettingsError("TO holds files of another database: name an empty folder or prefix.")
            await self._target.identify(recorded)

    async def run(self, moving: Moving) -> AsyncGenerator[None]:
        """Go on with a move; yields whenever ``moving`` is to be recorded, which must be done before the next step.

        Raises Unavailable while a store is away, and where a copy does not read back as it was sent.
        """
        for key in moving.at:
            # It may be there in part, or not verified.
            if await _size_of(self._source, key) is not None:
                await self._target.delete(key)
        while page := await self._database.read(blobs.list_needed, moving.last, self._until, _PAGE):
            for keys in _some(page):
                moving.at = keys
                yield
                moving.under_way += await self._bring(moving, keys)
                moving.last = keys[-1]
        # What was passed while it was under way may be whole by now.
        for keys in _some(moving.under_way):
            moving.at = keys
            yield
            coming = await self._bring(moving, keys)
            moving.under_way = [key for key in moving.under_way if key in coming or key not in keys]
        moving.at = []
        yield

    async def _bring(self, moving: Moving, keys: list[str]) -> list[str]:
        """Copy what is not there of these; return those that are still coming."""
        owners = await self._database.read(blobs.find_owners, keys)
        are_coming = await asyncio.gather(*(self._bring_one(moving, key, owners.get(key)) for key in keys))
        return [key for key, is_coming in zip(keys, are_coming, strict=True) if is_coming]

    async def _bring_one(self, moving: Moving, key: str, owner: Version | None) -> bool:
        there = await _size_of(self._target, key)
        if there is not None:
            if owner is not None and owner.extents is None and there != owner.size:
                moving.faults[key] = f"Version {owner.id} has {owner.size} bytes, and {there} in the new store."
            return False
        for _try in range(_TRIES):
            try:
                runs = await self._source.runs(key)
            except BlobMissing:
                if not await self._is_needed(key):
                    return False
                if await self._source.is_begun(key):
                    return True
                if owner is not None:
                    moving.faults[key] = f"The bytes of version {owner.id} are missing: run fileferry doctor."
                return False
            try:
                fault = await self._copy(key, runs, owner)
            except BlobMissing:
                continue  # it ends just now, or regions of it were given back
            if fault is not None:
                moving.faults[key] = fault
            moving.blobs += 1
            moving.bytes += sum(run.length for run in runs)
            if not await self._is_needed(key):
                await self._target.delete(key)
            return False
        raise Unavailable(f"Blob {key} cannot be read to its end: run fileferry doctor.")

    async def _copy(self, key: str, runs: Sequence[Extent], owner: Version | None) -> str | None:
        """Copy a blob and read it again; return a sentence where its bytes are not those that came, and copy them all the same."""
        expected = known_digests(owner) if owner is not None and owner.extents is None else {}
        is_alone = len(runs) == 1 and runs[0].offset == 0
        sent = Hasher(expected)
        for run in runs:
            await self._copy_run(key, run, sent, is_alone=is_alone)
        if not is_alone:
            await self._target.assemble(key)
        read = Hasher()
        for run in runs:
            async with aclosing(self._target.read(key, run.offset, run.length)) as blocks:
                async for block in blocks:
                    read.update([block])
        if read.value(Algorithm.CRC32C) != sent.value(Algorithm.CRC32C):
            await self._target.delete(key)
            raise Unavailable(f"Blob {key} did not come back from the new store as it was sent.")
        try:
            sent.verify(expected)
        except FerryError:
            return f"The bytes of version {owner.id if owner else key} are changed; they were copied as they are."
        return None

    async def _copy_run(self, key: str, run: Extent, sent: Hasher, *, is_alone: bool) -> None:
        writer = self._target.open_write(key) if is_alone else self._target.open_region(key, run.offset)
        try:
            async with aclosing(self._source.read(key, run.offset, run.length)) as blocks:
                async for block in blocks:
                    kept = bytes(block)
                    await sent.take([kept])
                    await writer.append([kept])
                    await self._pace.keep(len(kept))
            await writer.commit()
        finally:
            await writer.close()

    async def _is_needed(self, key: str) -> bool:
        return bool(await self._database.read(blobs.are_needed, [key]))


def _some(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)]


async def _size_of(store: BlobStore, key: str) -> int | None:
    try:
        return (await store.stat(key)).size
    except BlobMissing:
        return None
