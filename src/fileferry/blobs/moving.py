"""One store made of two while blobs move from the one that was there before to the one that is to stay; who copies is not here.

What is new goes to the one that stays. What is asked for is looked for there first and in the other one then.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from fileferry.blobs.direct import DirectDownloads, DirectUploads, Report
from fileferry.blobs.moving_direct import MovingDownloads, MovingUploads
from fileferry.blobs.store import BlobMissing, BlobStat, BlobStore, BlobWriter, Capabilities
from fileferry.errors import Unavailable
from fileferry.model import Extent
from fileferry.settings import SettingsError

_REMEMBERED = 4096  # unfinished blobs, of which it is known where they are


class MovingStore:
    """A BlobStore of ``staying``, and of ``before`` for what is only there yet."""

    def __init__(self, staying: BlobStore, before: BlobStore) -> None:
        self.staying = staying
        self.before = before
        grace = max(store.capabilities.grace for store in self._both)
        # Where a file is changes while it moves, so none is given out.
        self.capabilities = Capabilities(has_files=False, grace=grace)
        self._places: OrderedDict[str, BlobStore] = OrderedDict()
        self._uploads: MovingUploads | None = None

    @property
    def direct_uploads(self) -> DirectUploads | None:
        """Those of either store: what was begun in one goes on there."""
        staying, before = self.staying.direct_uploads, self.before.direct_uploads
        if before is None:
            return staying
        if self._uploads is None:
            self._uploads = MovingUploads(staying, before)
        return self._uploads

    @property
    def direct_downloads(self) -> DirectDownloads | None:
        """Those of the store that has the blob."""
        found = [store.direct_downloads for store in self._both if store.direct_downloads is not None]
        return MovingDownloads(found) if found else None

    async def probe(self) -> Report:
        """Try the store that stays."""
        return await self.staying.probe()

    def open_write(self, key: str) -> BlobWriter:
        """Start the blob where it is to stay."""
        return self.staying.open_write(key)

    def open_region(self, key: str, offset: int) -> BlobWriter:
        """Start a region where the blob was begun."""
        return _Region(self, key, offset)

    async def discard_region(self, key: str, offset: int, length: int) -> None:
        """Give back the space in both: a copy may be under way."""
        await asyncio.gather(*(store.discard_region(key, offset, length) for store in self._both))

    async def assemble(self, key: str) -> None:
        """Make it readable where it was begun. Raises Unavailable for one that servers of other settings began elsewhere too."""
        if not await self.before.is_begun(key):
            await self.staying.assemble(key)
            return
        if await self.staying.is_begun(key) and not await _is_readable(self.staying, key):
            raise Unavailable(
                "The parts of this upload are in two stores, as servers had different ones: begin it anew."
            )
        await self.before.assemble(key)

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield the range from the store that stays, and what is not there from the other one."""
        end = start + length
        try:
            async with aclosing(self.staying.read(key, start, length)) as blocks:
                async for block in blocks:
                    start += len(block)
                    yield block
            return
        except BlobMissing:
            pass
        async with aclosing(self.before.read(key, start, end - start)) as blocks:
            async for block in blocks:
                yield block

    async def open_file(self, key: str) -> None:
        """Give no file."""
        return

    async def stat(self, key: str) -> BlobStat:
        """Return the size of the blob in either store."""
        try:
            return await self.staying.stat(key)
        except BlobMissing:
            return await self.before.stat(key)

    async def runs(self, key: str) -> Sequence[Extent]:
        """Return where the blob has bytes in either store."""
        try:
            return await self.staying.runs(key)
        except BlobMissing:
            return await self.before.runs(key)

    async def is_begun(self, key: str) -> bool:
        """Whether either store has anything of the blob."""
        return await self.staying.is_begun(key) or await self.before.is_begun(key)

    async def delete(self, key: str) -> None:
        """Remove the blob from both, first from where it is copied from."""
        await self.before.delete(key)
        await self.staying.delete(key)

    async def delete_unowned(self, key: str, is_owned: Callable[[], Awaitable[bool]]) -> bool:
        """Remove from both what nobody claims there."""
        are_removed = [await store.delete_unowned(key, is_owned) for store in (self.before, self.staying)]
        return any(are_removed)

    async def orphans(self) -> AsyncGenerator[str]:
        """Yield the keys of both; of what was copied twice."""
        for store in self._both:
            async with aclosing(store.orphans()) as keys:
                async for key in keys:
                    yield key

    async def identity(self) -> str | None:
        """Return the id that both have. Raises SettingsError where they are not of one database."""
        staying, before = [await store.identity() for store in self._both]
        if staying == before:
            return staying
        if staying is None:
            raise SettingsError(
                "FILEFERRY_STORE is no store of this database yet: run 'fileferry migrate-store' first."
            )
        if before is None:
            raise SettingsError("FILEFERRY_STORE_BEFORE holds nothing of this database: is its disk mounted?")
        raise SettingsError("FILEFERRY_STORE and FILEFERRY_STORE_BEFORE belong to different databases.")

    async def identify(self, id: str) -> None:
        """Give both the id."""
        for store in self._both:
            await store.identify(id)

    async def check(self) -> None:
        """Return if both take writes: unfinished blobs go on in the other one."""
        await asyncio.gather(*(store.check() for store in self._both))

    async def close(self) -> None:
        """Close both."""
        for store in self._both:
            await store.close()

    async def place(self, key: str) -> BlobStore:
        """Return the store in which an unfinished blob was begun; the one that stays for a new one."""
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = self.before if await self.before.is_begun(key) else self.staying
            if len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)
        return found

    @property
    def _both(self) -> tuple[BlobStore, BlobStore]:
        return self.staying, self.before


class _Region:
    """A region of whose blob it is found out with the first bytes where it is."""

    def __init__(self, store: MovingStore, key: str, offset: int) -> None:
        self._store = store
        self._key = key
        self._offset = offset
        self._writer: BlobWriter | None = None

    async def append(self, chunks: Sequence[bytes]) -> None:
        await (await self._opened()).append(chunks)

    async def commit(self) -> None:
        await (await self._opened()).commit()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()

    async def _opened(self) -> BlobWriter:
        if self._writer is None:
            place = await self._store.place(self._key)
            self._writer = place.open_region(self._key, self._offset)
        return self._writer


async def _is_readable(store: BlobStore, key: str) -> bool:
    try:
        await store.stat(key)
    except BlobMissing:
        return False
    return True
