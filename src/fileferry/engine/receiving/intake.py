"""Taking bytes in: from the socket to the store with bounded memory, counted and digested on the way. It records nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from fileferry.blobs.store import BlobWriter
from fileferry.engine.access.rates import Toll
from fileferry.engine.inspection import signatures
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.room import Room
from fileferry.errors import FileTooLarge, SizeMismatch
from fileferry.groups import settled

# What is held of one transfer: at most one batch being written and one being filled.
_BATCH = 512 * 1024
_HASHED_INLINE = 64 * 1024


class Intake:
    """One stream of bytes on its way to a writer of the store: ``write`` them, then ``settle``; close it in the end.

    Memory is bounded by two batches however much comes; receiving, writing and hashing overlap.
    """

    def __init__(
        self,
        writer: BlobWriter,
        room: Room,
        hashing: ThreadPoolExecutor,
        hasher: Hasher,
        *,
        limit: int,
        exact: int | None,
        toll: Toll | None = None,
    ) -> None:
        self._writer = writer
        self._room = room
        self._hashing = hashing
        self._limit = limit
        self._exact = exact
        self._toll = toll
        self._batch: list[bytes] = []
        self._batched = 0
        self._absorbing: asyncio.Task[None] | None = None
        self.hasher = hasher
        self.head = b""
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed the limit or an exact size, and RateLimited."""
        self.size += len(chunk)
        if self._exact is not None and self.size > self._exact:
            raise FileTooLarge(f"The body is larger than the {self._exact} bytes expected.", expected=self._exact)
        if self.size > self._limit:
            raise FileTooLarge(f"The body is larger than the limit of {self._limit} bytes.", limit=self._limit)
        if self._toll is not None:
            await self._toll.pay(len(chunk))
        if len(self.head) < signatures.SNIFFED_BYTES:
            self.head += chunk[: signatures.SNIFFED_BYTES - len(self.head)]
        self._batch.append(chunk)
        self._batched += len(chunk)
        if self._batched >= _BATCH:
            await self._pass_on()

    async def settle(self, declared: Mapping[Algorithm, bytes], inline_up_to: int = 0) -> bytes | None:
        """Verify size and digests of what came, and make it durable; or return it, where it has at most ``inline_up_to`` bytes.

        Raises SizeMismatch, DigestMismatch, RateLimited and InsufficientStorage; after each of them nothing is kept.
        """
        if self._toll is not None:
            await self._toll.settle()
        if inline_up_to and self._absorbing is None and self.size <= min(inline_up_to, _HASHED_INLINE):
            self.hasher.update(self._batch)
            self._verify(declared)
            return b"".join(self._batch)
        await self._absorb_rest()
        self._verify(declared)
        await self._writer.commit()
        return None

    def _verify(self, declared: Mapping[Algorithm, bytes]) -> None:
        if self._exact is not None and self.size != self._exact:
            raise SizeMismatch(f"{self._exact} bytes were expected and {self.size} arrived.", expected=self._exact)
        self.hasher.verify(declared)

    async def close(self) -> None:
        """Give up the claim on the bytes; without a ``settle`` before it, nothing of them is left behind."""
        if self._absorbing is not None:
            # Its own error was either raised already or is secondary to the one that ends this intake.
            await asyncio.wait([self._absorbing])
        await self._writer.close()

    async def _pass_on(self) -> None:
        batch, self._batch, self._batched = self._batch, [], 0
        self._room.refuse_full()
        if self._absorbing is not None:
            await settled(self._absorbing)
        self._absorbing = asyncio.create_task(self._absorb(batch))

    async def _absorb(self, batch: list[bytes]) -> None:
        if self.hasher.is_light:
            self.hasher.update(batch)
            await self._writer.append(batch)
            return
        hashing = asyncio.get_running_loop().run_in_executor(self._hashing, self.hasher.update, batch)
        try:
            await self._writer.append(batch)
        finally:
            await settled(hashing)

    async def _absorb_rest(self) -> None:
        if self._absorbing is not None:
            await settled(self._absorbing)
        batch, self._batch = self._batch, []
        if self._batched > _HASHED_INLINE:
            await self._absorb(batch)
            return
        self.hasher.update(batch)
        await self._writer.append(batch)
