"""Writing one object of a length that is not known beforehand, with bounded memory. What the object stands for is ``store``'s."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from fileferry.blobs.objects.budget import Budget, Gathering
from fileferry.blobs.objects.verbs import Objects
from fileferry.errors import FerryError
from fileferry.groups import settled

PART_SIZE = 8 * 1024 * 1024
"""How many bytes go in one request. S3 wants 5 MiB at least of all parts but the last."""
_EQUAL_PARTS = 2500  # of 8, 16, 32 and 64 MiB, as an object of S3 has 10,000 parts at most: 292 GiB together
_log = structlog.get_logger(__name__)


class ObjectWriter:
    """A BlobWriter: one PUT for what fits in a part, else parts, of which one is being sent while the next one fills.

    ``admit`` is called once before anything is sent, and may refuse it; ``release`` when the writer is closed. What has no bytes
    at all becomes the object ``empty``.
    """

    def __init__(
        self,
        objects: Objects,
        name: str,
        *,
        empty: str,
        admit: Callable[[], Awaitable[None]],
        release: Callable[[], None],
        budget: Budget,
        part_size: int = PART_SIZE,
    ) -> None:
        self._objects = objects
        self._name = name
        self._empty = empty
        self._admit = admit
        self._release = release
        self._part_size = part_size
        self._budget = budget
        self._held = Gathering(budget)
        self._size = 0
        self._upload_id: str | None = None
        self._parts = 0
        self._tags: list[str] = []
        self._sending: asyncio.Task[str] | None = None
        self._is_begun = False
        self._made: str | None = None
        self._is_committed = False
        self._is_closed = False

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Hold the bytes, or send them where a part is full."""
        await self._held.add(chunks)
        self._size += sum(map(len, chunks))
        while self._held.size > (part_size := self._part_size << self._parts // _EQUAL_PARTS):
            await self._send(part_size)

    async def commit(self) -> None:
        """Make it an object; whoever is cancelled waits for the outcome all the same."""
        await settled(asyncio.ensure_future(self._finish()))
        self._is_committed = True

    async def close(self) -> None:
        """Give back what was sent of an object that is not to be, as far as the store can be reached; the sweep finds the rest."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._is_begun and not self._is_committed:
                await settled(asyncio.ensure_future(self._give_back()))
        finally:
            self._held.drop()
            self._release()

    async def _finish(self) -> None:
        if self._upload_id is None:
            await self._begin()
            self._made = self._name if self._size else self._empty
            size = self._held.size
            await self._budget.admit(size)
            try:
                await self._objects.put(self._made, await self._held.take(size))
            finally:
                await self._budget.dismiss(size)
            return
        if self._held.size:
            await self._send(self._held.size)
        await self._settle_part()
        self._made = self._name
        await self._objects.complete_parts(self._name, self._upload_id, self._tags, self._size)

    async def _send(self, size: int) -> None:
        """Start sending the next part, once the one before has been sent."""
        if self._upload_id is None:
            await self._begin()
            self._upload_id = await self._objects.begin_parts(self._name)
        await self._settle_part()
        self._parts += 1
        await self._budget.admit(size)
        try:
            part = self._send_part(self._upload_id, self._parts, await self._held.take(size))
        except BaseException:
            await self._budget.dismiss(size)
            raise
        self._sending = asyncio.create_task(part)

    async def _send_part(self, upload_id: str, number: int, body: bytes) -> str:
        try:
            return await self._objects.put_part(self._name, upload_id, number, body)
        finally:
            await self._budget.dismiss(len(body))

    async def _begin(self) -> None:
        await self._admit()
        self._is_begun = True

    async def _settle_part(self) -> None:
        if self._sending is not None:
            self._tags.append(await settled(self._sending))
            self._sending = None

    async def _give_back(self) -> None:
        try:
            if self._sending is not None:
                await asyncio.wait([self._sending])
                self._sending.exception()  # it was raised already, or is secondary to what ended this writer
            if self._upload_id is not None:
                await self._objects.abort_parts(self._name, self._upload_id)
            if self._made is not None:
                # It may have been done, whatever the answer was.
                await self._objects.delete(self._made)
        except FerryError as error:
            _log.warning("object_not_given_back", object=self._name, reason=error.detail)
