"""Blobs as objects of a store: durable, and verified by it, once committed. What an object is for says ``pieces``."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta

import msgspec
import structlog

from fileferry.blobs.direct import DirectDownloads, DirectUploads
from fileferry.blobs.objects import pieces
from fileferry.blobs.objects.budget import Budget
from fileferry.blobs.objects.pieces import Pieces
from fileferry.blobs.objects.verbs import Listed, Objects
from fileferry.blobs.objects.writers import PART_SIZE, ObjectWriter
from fileferry.blobs.store import BlobAssembled, BlobMissing, BlobStat, BlobWriter, Capabilities
from fileferry.errors import Unavailable
from fileferry.model import Extent

GRACE = timedelta(hours=1)
"""How long a process may take from a blob's commit until its owner is recorded: writers of other processes cannot be seen."""
ABANDONED = timedelta(days=1)
"""How long an object that comes in parts may go without one before it is given up: no client may send that slowly."""

_IDENTITY = "identity"
_TRIAL = "check"
_CHECK_SECONDS = 5.0
_AT_ONCE = 8  # deletions of one blob's objects
_REMEMBERED = 64  # blobs of pieces; 16 bytes for each piece
_log = structlog.get_logger(__name__)


class ObjectStore:
    """A BlobStore of ``objects``, whatever they speak; what clients may do there by themselves is for each kind of it to say.

    Its uploads have the memory of ``budget``; ``part_size`` is in bytes.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        budget: Budget | None = None,
        part_size: int = PART_SIZE,
        grace: timedelta = GRACE,
        abandoned: timedelta = ABANDONED,
    ) -> None:
        self.capabilities = Capabilities(has_files=False, grace=grace)
        self.direct_uploads: DirectUploads | None = None
        self.direct_downloads: DirectDownloads | None = None
        self._objects = objects
        self._budget = budget or Budget()
        self._part_size = part_size
        self._abandoned = abandoned
        self._claimed: Counter[str] = Counter()
        self._known: OrderedDict[str, Pieces] = OrderedDict()

    def open_write(self, key: str) -> BlobWriter:
        """Start a new blob; what fits in one part is not sent before commit."""
        return self._writer(key, pieces.whole(key), pieces.whole(key), _admitted)

    def open_region(self, key: str, offset: int) -> BlobWriter:
        """Start an object of the region's own."""

        async def admit() -> None:
            if key in self._known or await self._objects.size(pieces.manifest(key)) is not None:
                raise BlobAssembled(key)

        return self._writer(key, pieces.piece(key, offset), pieces.empty(key), admit)

    async def discard_region(self, key: str, offset: int, length: int) -> None:
        """Remove the pieces that begin in the region."""
        names = [found.key async for found in self._objects.list(pieces.folder(key))]
        starts = {name: pieces.offset_of(name) for name in names}
        region = range(offset, offset + length)
        await self._remove([name for name, start in starts.items() if start is not None and start in region])

    async def assemble(self, key: str) -> None:
        """Write the list of the pieces."""
        if key in self._known or await self._objects.size(pieces.manifest(key)) is not None:
            return
        found = [listed async for listed in self._objects.list(pieces.folder(key))]
        names = {listed.key for listed in found}
        if pieces.whole(key) in names:
            return
        if not names:
            raise BlobMissing(key)
        await self._objects.put(pieces.manifest(key), _pieces_of(found).encode())

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield the range as the store sends it: by one request, or one for each piece. Never more than 64 KiB at a time."""
        if length == 0:
            await self.stat(key)
            yield b""
            return
        end = start + length
        known = self._remembered(key)
        if known is None:
            try:
                async with aclosing(self._objects.read(pieces.whole(key), start, length)) as blocks:
                    async for block in blocks:
                        start += len(block)
                        yield block
                return
            except BlobMissing:
                known = await self._find_pieces(key)
                if known is None:
                    raise BlobMissing(key) from None
        for offset, skipped, wanted in await self._spans(key, known, start, end - start):
            async with aclosing(self._objects.read(pieces.piece(key, offset), skipped, wanted)) as blocks:
                async for block in blocks:
                    yield block

    async def open_file(self, key: str) -> None:
        """There are no files."""
        return

    async def stat(self, key: str) -> BlobStat:
        """Ask for the object's head, or for the list of pieces."""
        size = await self._objects.size(pieces.whole(key))
        if size is None:
            known = await self._find_pieces(key)
            if known is None:
                raise BlobMissing(key)
            size = known.size
        return BlobStat(key, size)

    async def runs(self, key: str) -> list[Extent]:
        """Return the object's, or those of the pieces that are there, joined where one begins at the end of another."""
        size = await self._objects.size(pieces.whole(key))
        if size is not None:
            return [Extent(0, size)]
        if await self._find_pieces(key) is None:
            raise BlobMissing(key)
        # Some that the manifest lists may have been given back since.
        return _pieces_of([listed async for listed in self._objects.list(pieces.folder(key))]).runs()

    async def is_begun(self, key: str) -> bool:
        """Look for objects of the blob, and for one that is coming in parts."""
        async with aclosing(self._objects.list(pieces.folder(key))) as found:
            async for _listed in found:
                return True
        async with aclosing(self._objects.list_unfinished(pieces.folder(key))) as unfinished:
            async for _name in unfinished:
                return True
        return False

    async def delete(self, key: str) -> None:
        """Remove every object of the blob, the list of pieces first. A reader under way finishes the object that it is at."""
        self._known.pop(key, None)
        names = [found.key async for found in self._objects.list(pieces.folder(key))]
        # Of a blob that is half removed nothing is to be read.
        await self._remove([name for name in names if name == pieces.manifest(key)])
        await self._remove([name for name in names if name != pieces.manifest(key)])

    async def delete_unowned(self, key: str, is_owned: Callable[[], Awaitable[bool]]) -> bool:
        """Remove a blob that nothing was written of lately: by then its writer has recorded the owner, in whatever process."""
        found = [listed async for listed in self._objects.list(pieces.folder(key))]
        left = await self._left_in_part(pieces.folder(key))
        if not (found and self._is_old(key, found)) and not left:
            return False
        if await is_owned():
            return False
        for name, upload_id in left:
            _log.info("parts_given_up", object=name)
            await self._objects.abort_parts(name, upload_id)
        if found and self._is_old(key, found):
            await self.delete(key)
        return True

    async def orphans(self) -> AsyncGenerator[str]:
        """Yield the keys of what lies there for a while, page by page, and of blobs that were left in the midst of coming in parts.

        Pieces that were left so are given up at once: whoever goes on sends them again.
        """
        group: list[Listed] = []
        key: str | None = None
        async with aclosing(self._objects.list(pieces.BLOBS)) as listed:
            async for found in listed:
                next_key = pieces.key_of(found.key)
                # Objects of one blob come one after the other, in whatever order a store lists.
                if next_key != key and key is not None and self._is_old(key, group):
                    yield key
                group = [found] if next_key != key or not group else [min(group[0], found, key=_age_of)]
                key = next_key
        if key is not None and self._is_old(key, group):
            yield key
        for name, upload_id in await self._left_in_part(pieces.BLOBS):
            key = pieces.key_of(name)
            # What is left beside a blob that is there has no owner of its own: a crash left it, or a URL that was used late.
            if key is not None and name == pieces.whole(key) and await self._objects.size(name) is None:
                yield key
            else:
                _log.info("parts_given_up", object=name)
                await self._objects.abort_parts(name, upload_id)

    async def identity(self) -> str | None:
        """Read the object that names the store's database."""
        content = await self._objects.get(_IDENTITY)
        return None if content is None else content.decode()

    async def identify(self, id: str) -> None:
        """Write that object; raises Unavailable where another database was faster."""
        is_first = await self.identity() is None
        await self._objects.put(_IDENTITY, id.encode(), must_be_new=is_first)
        if await self.identity() != id:
            raise Unavailable("Another server has claimed the store at the same moment; start again.")

    async def check(self) -> None:
        """Write a small object that is no blob, always the same one."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._objects.put(_TRIAL, b"fileferry")
        except TimeoutError:
            raise Unavailable(f"The store has not answered within {_CHECK_SECONDS:.0f} seconds.") from None

    async def find_object(self, key: str) -> tuple[str, int] | None:
        """Return name and size of the one object that a blob is; None for one of several pieces, or none."""
        size = await self._objects.size(pieces.whole(key))
        if size is not None:
            return pieces.whole(key), size
        known = self._remembered(key) or await self._find_pieces(key)
        if known is None or len(known) != 1:
            return None
        ((offset, _skipped, size),) = known.spans(0, known.size)
        return pieces.piece(key, offset), size

    def _writer(self, key: str, name: str, empty: str, admit: Callable[[], Awaitable[None]]) -> ObjectWriter:
        self._claimed[key] += 1

        def release() -> None:
            self._claimed[key] -= 1
            if not self._claimed[key]:
                del self._claimed[key]

        return ObjectWriter(
            self._objects,
            name,
            empty=empty,
            admit=admit,
            release=release,
            budget=self._budget,
            part_size=self._part_size,
        )

    def _is_old(self, key: str, found: list[Listed]) -> bool:
        return key not in self._claimed and min(map(_age_of, found)) >= self.capabilities.grace

    async def _remove(self, names: list[str]) -> None:
        for start in range(0, len(names), _AT_ONCE):
            await asyncio.gather(*map(self._objects.delete, names[start : start + _AT_ONCE]))

    async def _left_in_part(self, prefix: str) -> list[tuple[str, str]]:
        """Return name and id of every object that has come in part, and of which nothing came for long."""
        async with aclosing(self._objects.list_unfinished(prefix)) as unfinished:
            return [
                (name, upload_id)
                async for name, upload_id, idle in unfinished
                if idle >= self._abandoned and pieces.key_of(name) not in self._claimed
            ]

    def _remembered(self, key: str) -> Pieces | None:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    async def _find_pieces(self, key: str) -> Pieces | None:
        """Return where the pieces of a blob are; None for one that is not put together."""
        content = await self._objects.get(pieces.manifest(key))
        if content is None:
            self._known.pop(key, None)
            return None
        try:
            return self._remember(key, Pieces.decode(content))
        except msgspec.DecodeError as error:
            raise Unavailable(f"The list of the pieces of blob {key} cannot be read.") from error

    def _remember(self, key: str, found: Pieces) -> Pieces:
        self._known[key] = found
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _spans(self, key: str, known: Pieces, start: int, length: int) -> list[tuple[int, int, int]]:
        """Return which bytes of which pieces make a range; where one is not listed, the store is asked what it has by now."""
        try:
            return list(known.spans(start, length))
        except BlobMissing:
            found = [listed async for listed in self._objects.list(pieces.folder(key))]
            spans = list(_pieces_of(found).spans(start, length))
        _log.warning("pieces_listed_late", blob=key)
        self._remember(key, _pieces_of(found))
        return spans


def _pieces_of(found: list[Listed]) -> Pieces:
    starts = [(pieces.offset_of(listed.key), listed.size) for listed in found]
    return Pieces((start, size) for start, size in starts if start is not None)


def _age_of(listed: Listed) -> timedelta:
    return listed.age


async def _admitted() -> None:
    return
