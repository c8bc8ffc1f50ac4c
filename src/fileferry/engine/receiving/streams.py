"""Streams: the bytes of an upload that come one after the other, in as many requests as it takes, whatever protocol brings them.

One request at a time writes: a new one ends the one before, in this process or another, and goes on where its bytes end. What came
before a connection was cut is kept. Beside a stream an upload may gather parts and blocks; what is complete first makes the file.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobStore
from fileferry.db import files, uploads
from fileferry.db.database import Database
from fileferry.db.writer import brief
from fileferry.engine.access.rates import Rates
from fileferry.engine.files.placement import Content
from fileferry.engine.inspection.declarations import agreed_type
from fileferry.engine.inspection.digests import Algorithm, agreed
from fileferry.engine.receiving.completion import (
    Completion,
    ReceivedBytes,
    promised_digests,
    received_bytes,
    reload,
    reopen,
    stored_bytes,
)
from fileferry.engine.receiving.contents import content_of_stream, joined_content, stream_of_parts
from fileferry.engine.receiving.extents import refuse_repeated
from fileferry.engine.receiving.lapse import refuse_ended, refuse_gone
from fileferry.engine.receiving.room import Room
from fileferry.engine.receiving.writers import Means, Writer, refuse_more
from fileferry.errors import (
    AlreadyUploaded,
    FileTooLarge,
    NotUploaded,
    OffsetMismatch,
    SizeMismatch,
    Superseded,
)
from fileferry.model import Clock, Extent, Stream, Upload, UploadState, new_id
from fileferry.settings import Settings

# How long a request waits for one in another process to stop.
_PATIENCE = timedelta(seconds=3)
_ATTEMPTS = 3


class Streams:
    """The streams of all uploads."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        room: Room,
        hashing: ThreadPoolExecutor,
        completion: Completion,
        rates: Rates,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._room = room
        self._clock = clock
        self._completion = completion
        self._rates = rates
        self._means = Means(database, store, room, hashing, settings.sha256_size, clock, self._forget)
        self._running: dict[str, Writer] = {}

    async def status(self, upload: Upload) -> Upload:
        """Return an upload as it stands, its offset ready to go on from: a request that is still writing is ended first.

        Raises Gone for an upload that was aborted or swept.
        """
        await self._stop_writer(upload.id)
        current = await self._database.lookup(reload, upload.id)
        refuse_gone(current)
        return current

    async def begin(
        self, upload: Upload, *, size: int | None = None, wire: dict[str, Any] | None = None, renews: bool = True
    ) -> Upload:
        """Start the stream anew, at 0; what an older one brought is given up. ``wire`` is kept for the protocol.

        ``size`` (bytes) is the length of the whole, if it is known now. Without ``renews`` this is no sign of life: to begin again
        and again by the URL of a session must not keep that alive, only bytes do. Raises AlreadyUploaded, Gone, FileTooLarge and
        SizeMismatch.
        """
        await self._stop_writer(upload.id)

        def record(conn: Connection) -> Upload:
            current = reload(conn, upload.id)
            refuse_ended(current)
            # What an earlier beginning told of the length is forgotten with it.
            _refuse_size(msgspec.structs.replace(current, length=None), size)
            if current.state is not UploadState.OPEN:
                reopen(conn, current)
            values = {"wire": wire or {}, "length": size, "stream": None}
            touched = {"touched_at": self._clock()} if renews else {}
            uploads.update_upload(conn, upload.id, **values, **touched)
            return current

        before = await self._database.grow(record)
        if before.blob_key is not None and before.state is not UploadState.OPEN:
            await self._completion.release(before.blob_key)
        elif before.blob_key is not None and before.stream is not None:
            for extent in before.stream.extents:
                await self._store.discard_region(before.blob_key, extent.offset, extent.length)
        return await self._database.lookup(reload, upload.id)

    async def gather(self, upload: Upload, *, size: int | None, wire: dict[str, Any]) -> Upload:
        """Let an upload take the parts of just the file that ``wire`` names; whatever had come of another is given up.

        ``size`` is that of the file, in bytes, if it is known. One that has all its bytes stays as it is. Raises AlreadyUploaded,
        Gone, FileTooLarge and SizeMismatch.
        """
        if upload.wire == wire:
            refuse_gone(upload)
            return upload
        await self._stop_writer(upload.id)

        def record(conn: Connection) -> str | None:
            current = reload(conn, upload.id)
            if current.wire == wire:  # another part was faster
                refuse_gone(current)
                return None
            refuse_ended(current)
            _refuse_size(msgspec.structs.replace(current, length=None), size)
            reopen(conn, current)
            uploads.update_upload(conn, upload.id, wire=wire, length=size)
            return current.blob_key

        former = await self._database.write(record)
        if former is not None:
            await self._completion.release(former)
        return await self._database.lookup(reload, upload.id)

    async def adopt(self, upload: Upload) -> Upload:
        """Let the parts that have arrived, from the first on without a gap, be the stream so far, where there is none yet.

        For a client whose connection no whole part gets through. Returns as ``status`` does: the request that was cut off may
        have brought the last byte by now.
        """
        await self._stop_writer(upload.id)

        def record(conn: Connection) -> Upload:
            current = reload(conn, upload.id)
            refuse_gone(current)
            if current.state is UploadState.OPEN and current.offset == 0:
                present = uploads.list_parts(conn, upload.id)
                # They are in order, so one that has not its place comes after a gap.
                leading = [part for number, part in enumerate(present, 1) if part.number == number]
                stream = stream_of_parts(leading)
                uploads.update_upload(conn, upload.id, stream=msgspec.to_builtins(stream))
                # Their bytes are the stream's now: what comes again of them lies elsewhere, and takes nothing back.
                uploads.disown_parts(conn, upload.id, [part.number for part in leading])
            return reload(conn, upload.id)

        return await self._database.write(record)

    async def note(self, upload: Upload, **words: Any) -> Upload:
        """Keep further words of the protocol with the upload."""

        def record(conn: Connection) -> Upload:
            current = reload(conn, upload.id)
            uploads.update_upload(conn, upload.id, wire={**current.wire, **words})
            return reload(conn, upload.id)

        return await self._database.grow(record)

    async def set_size(self, upload: Upload, size: int) -> Upload:
        """Fix the length of the whole, learned only now; the same again is no error. Raises SizeMismatch, FileTooLarge."""

        def record(conn: Connection) -> Upload:
            current = reload(conn, upload.id)
            _refuse_size(current, size)
            if size < current.offset:
                raise SizeMismatch(f"{current.offset} bytes have come already.", expected=current.offset)
            if current.size is None:
                refuse_ended(current)
                uploads.update_upload(conn, upload.id, length=size)
            return reload(conn, upload.id)

        if upload.size == size and upload.offset <= size:
            return upload
        return await self._database.write(record)

    async def append(
        self,
        upload: Upload,
        offset: int,
        *,
        declared: Mapping[Algorithm, bytes] | None = None,
        announced: int | None = None,
        overlap: bool = False,
    ) -> Writer:
        """Start taking in one request's bytes from ``offset`` on; with ``overlap`` it may begin before the stream ends.

        ``declared`` digests are those of this request's body: nothing of it is kept unless they match. ``announced`` is its length.
        Raises OffsetMismatch, AlreadyUploaded, Gone, FileTooLarge, RateLimited and InsufficientStorage before any byte is read.
        """
        token = str(uuid.uuid4())
        toll = None
        for _ in range(_ATTEMPTS):
            await self._stop_writer(upload.id)
            current = await self._database.lookup(reload, upload.id)
            skipped = _skipped(current, offset, overlap=overlap)
            limit = current.size if current.size is not None else current.max_size
            if announced is not None and offset + announced > limit:
                raise FileTooLarge(f"At most {limit} bytes may come.", limit=limit)
            self._room.refuse_full(announced or 0)
            toll = toll or await self._rates.admit(current, announced)
            claimed = await self._database.write(self._claim, upload.id, token, current.offset)
            if claimed is not None:
                writer = Writer(self._means, claimed, token, limit, dict(declared or {}), skipped, toll)
                self._running[upload.id] = writer
                return writer
        raise Superseded("Several requests write to this upload at once.")

    async def complete(
        self,
        upload: Upload,
        *,
        declared: Mapping[Algorithm, bytes] | None = None,
        wanted: Collection[Algorithm] = (),
        content_type: str | None = None,
    ) -> ReceivedBytes:
        """Make the stream all there is of the upload; one that completes itself is a version then. Repeating it is no error.

        ``declared`` digests are those of the whole; where one of them, or a promised one, does not match, the stream starts anew.
        ``wanted`` ones are to be told of it.
        Raises SizeMismatch, DigestMismatch, Gone, and PreconditionFailed where it completes.
        """
        await self._stop_writer(upload.id)
        gathered = await self._database.write(self._gather, upload.id, content_type)
        if gathered.state is UploadState.RECEIVED and gathered.content and not gathered.content["content_type"]:
            expected = agreed(promised_digests(gathered), declared or {})
            await self._completion.assemble_declared(gathered, expected, wanted)
        return await self._finish(gathered)

    async def concatenate(
        self, upload: Upload, partials: Sequence[Upload], content_type: str | None = None
    ) -> ReceivedBytes:
        """Make the bytes of other uploads, in this order, those of ``upload``; none is copied, and they may be used again.

        ``content_type`` is what was said of the whole.

        Raises NotUploaded naming the file ids of those that are not all there, SizeMismatch, FileTooLarge, TooManyPieces,
        AlreadyUploaded, Gone.
        """
        await self._stop_writer(upload.id)
        ids = [partial.id for partial in partials]
        gathered = await self._database.write(self._join, upload.id, ids, content_type)
        await self._completion.assemble(gathered)
        return await self._finish(gathered)

    def _forget(self, writer: Writer) -> None:
        if self._running.get(writer.upload.id) is writer:
            del self._running[writer.upload.id]

    async def _finish(self, gathered: Upload) -> ReceivedBytes:
        if gathered.state is UploadState.COMPLETED or gathered.auto_complete:
            (stored,) = await self._completion.finish([await self._database.lookup(reload, gathered.id)])
            return stored_bytes(stored)
        received = await self._database.lookup(reload, gathered.id)
        refuse_ended(received)
        return received_bytes(received, msgspec.convert(received.content, Content))

    async def _stop_writer(self, upload_id: str) -> None:
        """End the request that is writing now, after it has recorded what it got."""
        running = self._running.get(upload_id)
        if running is not None:
            await running.stop()  # as long as it takes: what it brought is being made durable
        writer, _asked = await self._database.lookup(uploads.find_writer, upload_id)
        if writer is None:
            return
        await self._database.write(uploads.ask_writer, upload_id)
        deadline = asyncio.get_running_loop().time() + _PATIENCE.total_seconds()
        while asyncio.get_running_loop().time() < deadline:
            writer, _asked = await self._database.lookup(uploads.find_writer, upload_id)
            if writer is None:
                return
            await asyncio.sleep(0.02)
        # It hangs, or died with its process. Should it wake up it finds itself replaced, and what it writes lies apart.
        await self._database.write(_depose, upload_id)

    @brief
    def _claim(self, conn: Connection, upload_id: str, token: str, offset: int) -> Upload | None:
        """Make a request the one that writes, with a run of bytes to write to; None where another was faster."""
        upload = reload(conn, upload_id)
        refuse_more(upload)
        writer, _asked = uploads.find_writer(conn, upload_id)
        if writer is not None or upload.offset != offset:
            return None
        stream = upload.stream or Stream((), 0, "00000000", {})
        limit = upload.size if upload.size is not None else upload.max_size
        if stream.room < limit - offset or not stream.extents:
            length = limit - offset
            start = uploads.reserve(conn, upload_id, length)
            stream = msgspec.structs.replace(stream, extents=(*stream.extents, Extent(start, 0)), room=length)
        values = {"writer": token, "writer_asked": False, "stream": msgspec.to_builtins(stream)}
        if upload.blob_key is None:
            values["blob_key"] = new_id(self._clock())
        uploads.update_upload(conn, upload_id, **values)
        return reload(conn, upload_id)

    def _gather(self, conn: Connection, upload_id: str, content_type: str | None) -> Upload:
        upload = reload(conn, upload_id)
        if upload.state is not UploadState.OPEN:
            refuse_gone(upload)
            return upload
        size = upload.offset
        if upload.size is not None and size != upload.size:
            raise SizeMismatch(f"{size} of {upload.size} bytes have come.", expected=upload.size)
        upload = _retyped(conn, upload, content_type)
        return self._completion.receive(conn, upload, content_of_stream(upload))

    def _join(self, conn: Connection, upload_id: str, partial_ids: Sequence[str], content_type: str | None) -> Upload:
        upload = reload(conn, upload_id)
        if upload.state is not UploadState.OPEN:
            refuse_ended(upload)
            raise AlreadyUploaded()
        by_id = {partial_id: reload(conn, partial_id) for partial_id in dict.fromkeys(partial_ids)}
        missing = [partial.file_id for partial in by_id.values() if partial.state is not UploadState.RECEIVED]
        if missing:
            raise NotUploaded("Some of the partial uploads are not complete.", ids=missing)
        contents = {id: msgspec.convert(partial.content, Content) for id, partial in by_id.items()}
        content = joined_content([contents[partial_id] for partial_id in partial_ids])
        if upload.size is not None and content.size != upload.size:
            raise SizeMismatch(f"The parts have {content.size} bytes together.", expected=upload.size)
        if content.size > upload.max_size:
            raise FileTooLarge(limit=upload.max_size)
        refuse_repeated(content.size, sum(each.size for each in contents.values()))
        for partial_id in by_id:
            uploads.update_upload(conn, partial_id, touched_at=self._clock())
        # From now on, whatever becomes of the partial uploads.
        files.share_blobs(conn, upload.version_id, {extent.blob_key or "" for extent in content.extents or ()})
        return self._completion.receive(conn, _retyped(conn, upload, content_type), content)


def _retyped(conn: Connection, upload: Upload, stated: str | None) -> Upload:
    """Record what is stated of the type by now, where that says more than was promised; return the upload with it."""
    content_type = agreed_type(upload.content_type, stated)
    if content_type == upload.content_type:
        return upload
    uploads.update_upload(conn, upload.id, content_type=content_type)
    return msgspec.structs.replace(upload, content_type=content_type)


def _refuse_size(upload: Upload, size: int | None) -> None:
    """Raise SizeMismatch or FileTooLarge for a length that an upload cannot have."""
    if size is None or upload.size == size:
        return
    if upload.size is not None:
        raise SizeMismatch(f"This upload has {upload.size} bytes, not {size}.", expected=upload.size)
    if size > upload.max_size:
        raise FileTooLarge(f"The file has {size} bytes; the limit is {upload.max_size}.", limit=upload.max_size)


def _skipped(upload: Upload, offset: int, *, overlap: bool) -> int:
    """Return how many of the bytes that begin at ``offset`` have come already; raises OffsetMismatch, AlreadyUploaded, Gone."""
    refuse_more(upload)
    skipped = upload.offset - offset
    if skipped < 0 or (skipped > 0 and not overlap):
        raise OffsetMismatch(
            f"{upload.offset} bytes have come; the next to send is that one.", expected=upload.offset, provided=offset
        )
    return skipped


def _depose(conn: Connection, upload_id: str) -> None:
    """Replace a writer that does not answer: the next one writes to a run of bytes of its own."""
    upload = reload(conn, upload_id)
    stream = None if upload.stream is None else msgspec.structs.replace(upload.stream, room=0)
    values = {"writer": None, "writer_asked": False, "stream": None if stream is None else msgspec.to_builtins(stream)}
    uploads.update_upload(conn, upload_id, **values)
