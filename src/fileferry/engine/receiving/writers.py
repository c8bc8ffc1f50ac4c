"""One request's bytes of a stream on their way in: taken until they end, break off, or another request takes over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobAssembled, BlobStore
from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.db.writer import brief
from fileferry.engine.access.rates import Toll
from fileferry.engine.inspection.digests import Algorithm, Hasher, combine_crc32c
from fileferry.engine.receiving.completion import reload
from fileferry.engine.receiving.intake import Intake
from fileferry.engine.receiving.lapse import refuse_ended
from fileferry.engine.receiving.liveness import Liveness
from fileferry.engine.receiving.room import Room
from fileferry.engine.receiving.running_digests import RegionHasher, RunningDigests
from fileferry.errors import AlreadyUploaded, Superseded, Unavailable
from fileferry.model import Clock, Extent, Stream, Upload, UploadState

# How many bytes a crash of the server may cost a request that goes on and on.
_CHECKPOINT = 64 * 1024 * 1024
# How often a request looks whether one in another process waits for it to stop.
_LOOK = timedelta(milliseconds=250)


class Means(msgspec.Struct, frozen=True):
    """What every writer works with: SHA-256 is carried on up to ``sha256_size`` bytes, ``forget`` is told of a writer's end."""

    database: Database
    store: BlobStore
    room: Room
    hashing: ThreadPoolExecutor
    sha256_size: int
    clock: Clock
    forget: Callable[[Writer], None]


class Writer:
    """One request's bytes on their way in: ``take`` or ``write`` them, then ``finish``. Left by an error, what came is kept."""

    def __init__(
        self,
        means: Means,
        upload: Upload,
        token: str,
        limit: int,
        declared: dict[Algorithm, bytes],
        skipped: int,
        toll: Toll | None,
    ) -> None:
        self.upload = upload
        self._means = means
        self._token = token
        self._limit = limit
        self._declared = declared
        self._skipped = skipped
        self._toll = toll
        self._liveness = Liveness(means.database, means.clock, upload)
        self._running = RunningDigests(upload, means.sha256_size)
        # Bytes to be skipped are not taken in, but a digest of the body is of them too.
        self._body = Hasher(declared)
        self._intake = self._open_region()
        self._superseded = False
        self._is_torn = False
        self._waiting: asyncio.Task[Any] | None = None
        self._ended = asyncio.Event()
        self._looking = asyncio.create_task(self._look())

    async def __aenter__(self) -> Writer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._ended.is_set() and not self._declared and not self._is_torn:
                with contextlib.suppress(Superseded, AlreadyUploaded, BlobAssembled, Unavailable):
                    await self._keep()
        finally:
            await self._release()

    async def take(self, body: AsyncIterator[bytes]) -> None:
        """Write all of a body; raises Superseded when another request takes over, and whatever reading the body raises."""
        iterator = aiter(body)
        while True:
            self._refuse_superseded()
            try:
                self._waiting = asyncio.current_task()
                chunk = await anext(iterator, None)
            except asyncio.CancelledError:
                if not self._superseded or self._waiting is None:
                    raise
                self._waiting.uncancel()
                raise Superseded() from None
            finally:
                self._waiting = None
            if chunk is None:
                return
            await self.write(chunk)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed what may come, AlreadyUploaded when it is too late."""
        if self._toll is not None:
            await self._toll.pay(len(chunk))  # before any of it is taken: what came until now is kept
        if self._declared:
            await asyncio.to_thread(self._body.update, [chunk])
        if self._skipped:
            dropped = min(self._skipped, len(chunk))
            self._skipped -= dropped
            chunk = chunk[dropped:]
        if not chunk:
            return
        await self._liveness.note()
        # An error in the midst of it leaves unclear what was taken in: then nothing since the last time is kept.
        self._is_torn = True
        try:
            await self._intake.write(chunk)
        except BlobAssembled as error:
            raise AlreadyUploaded() from error
        self._is_torn = False
        if self._intake.size >= _CHECKPOINT and not self._declared:
            await self._keep()
            await self._intake.close()
            self._intake = self._open_region()
            self._is_torn = False

    async def finish(self) -> Upload:
        """Verify and keep what came; return the upload with its new offset. Raises DigestMismatch, Superseded, AlreadyUploaded."""
        if self._declared:
            self._body.verify(self._declared)
        if self._toll is not None:
            await self._toll.settle()
        await self._keep()
        await self._release()
        return self.upload

    async def stop(self) -> None:
        """End this request for another one; returns once what it brought is recorded."""
        self._superseded = True
        if self._waiting is not None:
            self._waiting.cancel()
        await self._ended.wait()

    async def _keep(self) -> None:
        """Make what came since the last time durable, and record it: once, for what failed on the way may be half there."""
        if self._intake.size == 0:
            return
        self._is_torn = True
        try:
            await self._intake.settle({})
        except BlobAssembled as error:
            raise AlreadyUploaded() from error
        self.upload = await self._means.database.write(self._record)

    @brief
    def _record(self, conn: Connection) -> Upload:
        upload = reload(conn, self.upload.id)
        refuse_more(upload)
        writer, _asked = uploads.find_writer(conn, upload.id)
        if writer != self._token or upload.stream is None:
            raise Superseded()
        size = self._intake.size
        *before, last = upload.stream.extents
        crc32c = int.from_bytes(self._intake.hasher.value(Algorithm.CRC32C), "big")
        stream = Stream(
            extents=(*before, Extent(last.offset, last.length + size)),
            room=upload.stream.room - size,
            crc32c=f"{combine_crc32c(int(upload.stream.crc32c, 16), crc32c, size):08x}",
            hashes=self._running.states(),
        )
        values = {"stream": msgspec.to_builtins(stream), "touched_at": self._means.clock()}
        uploads.update_upload(conn, upload.id, **values)
        return reload(conn, upload.id)

    def _open_region(self) -> Intake:
        assert self.upload.stream is not None  # claiming made it
        assert self.upload.blob_key is not None
        last = self.upload.stream.extents[-1]
        means = self._means
        return Intake(
            means.store.open_region(self.upload.blob_key, last.offset + last.length),
            means.room,
            means.hashing,
            RegionHasher(self._running),
            limit=self._limit - self.upload.offset,
            exact=None,
        )

    async def _look(self) -> None:
        """Stop when a request in another process asks for it."""
        while True:
            await asyncio.sleep(_LOOK.total_seconds())
            writer, asked = await self._means.database.lookup(uploads.find_writer, self.upload.id)
            if asked or writer != self._token:
                self._superseded = True
                if self._waiting is not None:
                    self._waiting.cancel()
                return

    async def _release(self) -> None:
        if self._ended.is_set():
            return
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        try:
            await self._intake.close()
            await self._means.database.write(_release, self.upload.id, self._token)
        finally:
            self._means.forget(self)
            self._ended.set()

    def _refuse_superseded(self) -> None:
        if self._superseded:
            raise Superseded()


def refuse_more(upload: Upload) -> None:
    """Raise AlreadyUploaded for an upload that has all its bytes, Gone for one that has ended."""
    refuse_ended(upload)
    if upload.state is not UploadState.OPEN:
        raise AlreadyUploaded("All bytes of this upload have arrived; it takes no more.")


@brief
def _release(conn: Connection, upload_id: str, token: str) -> None:
    writer, _asked = uploads.find_writer(conn, upload_id)
    if writer == token:
        uploads.update_upload(conn, upload_id, writer=None, writer_asked=False)
