"""Reading what is kept, and comparing it with the digests that were computed when it came. It mends nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from fileferry.db import files, upkeep
from fileferry.db.database import Database
from fileferry.engine.files.catalogue import Files
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.errors import FerryError, Gone, InternalError
from fileferry.model import StoredFile, Version

_PAGE = 200


class Verified(msgspec.Struct, frozen=True):
    """A version that was read: ``fault`` is None, ``missing`` or ``changed``. ``size`` is in bytes."""

    version_id: str
    size: int
    fault: str | None


class Verifier:
    """Reads the ready versions of all organizations, in the order of their ids: that is, of their age."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    async def run(self, after: str = "", rate: int | None = None) -> AsyncGenerator[Verified]:
        """Yield each version past ``after``, read at ``rate`` bytes a second at most; one that ends meanwhile is passed over.

        Raises Unavailable while the store is away.
        """
        pace = Pace(rate)
        while page := await self._database.read(upkeep.list_ready, after, _PAGE):
            for ready in page:
                after = ready.id
                stored = await self._database.read(files.find_by_version, ready.id)
                if stored is None:
                    continue
                try:
                    is_whole = await self._is_as_it_came(stored, pace)
                except Gone:
                    continue
                except InternalError:
                    yield Verified(ready.id, ready.size, "missing")
                    continue
                yield Verified(ready.id, ready.size, None if is_whole else "changed")

    async def _is_as_it_came(self, stored: StoredFile, pace: Pace) -> bool:
        version = stored.version
        expected = known_digests(version)
        hasher = Hasher(expected)
        size = 0
        async with aclosing(self._files.read(stored, 0, version.size)) as blocks:
            async for block in blocks:
                size += len(block)
                await hasher.take([bytes(block)])
                await pace.keep(len(block))
        try:
            hasher.verify(expected)
        except FerryError:
            return False
        return size == version.size


def known_digests(version: Version) -> dict[Algorithm, bytes]:
    """Return the digests that were computed of a version when it came."""
    kept = version.digests
    known = {Algorithm.CRC32C: kept.crc32c, Algorithm.SHA256: kept.sha256, Algorithm.MD5: kept.md5}
    return {name: bytes.fromhex(digest) for name, digest in known.items() if digest is not None}


class Pace:
    """Holds a reader to a rate, in bytes a second."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._due = time.monotonic()

    async def keep(self, size: int) -> None:
        """Wait until ``size`` more bytes may have been read; what was not used while nothing was read is lost."""
        if self._rate is None:
            return
        self._due = max(self._due, time.monotonic() - 1) + size / self._rate
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
