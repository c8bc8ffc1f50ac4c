"""Bytes that come again for an upload that is complete: a client that lost the answer gets it, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType

from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.completion import ReceivedBytes, stored_bytes
from fileferry.errors import AlreadyUploaded
from fileferry.model import StoredFile, Upload


class Repetition:
    """All bytes of an upload that is complete already, coming again: kept nowhere, they only must be the same."""

    def __init__(
        self, upload: Upload, stored: StoredFile, declared: Mapping[Algorithm, bytes], announced: int | None
    ) -> None:
        version = stored.version
        # Without an MD5 of the whole, as of a file made of parts, there is nothing to tell the same bytes by.
        if version.digests.md5 is None or announced not in (None, version.size):
            raise AlreadyUploaded()
        self._stored = stored
        self._declared = declared
        self._hasher = Hasher({Algorithm.MD5, *declared})
        self._size = 0

    async def __aenter__(self) -> Repetition:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises AlreadyUploaded for more than there are."""
        self._size += len(chunk)
        if self._size > self._stored.version.size:
            raise AlreadyUploaded()
        await asyncio.to_thread(self._hasher.update, [chunk])

    async def finish(self) -> ReceivedBytes:
        """Give the answer that the first time got. Raises AlreadyUploaded for other bytes, DigestMismatch."""
        self._hasher.verify(self._declared)
        version = self._stored.version
        seen = (self._size, self._hasher.value(Algorithm.MD5).hex(), self._hasher.value(Algorithm.CRC32C).hex())
        if seen != (version.size, version.digests.md5, version.digests.crc32c):
            raise AlreadyUploaded()
        return stored_bytes(self._stored)
