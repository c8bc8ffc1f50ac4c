"""Bytes arriving for an upload with a ticket, whole or as a part: taken in, made durable, and then recorded as received."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobAssembled, BlobStore
from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.engine import processing
from fileferry.engine.digests import Algorithm, Hasher, agreed
from fileferry.engine.intake import Intake
from fileferry.engine.parts import LARGEST_PART, part_length, refuse_part_size
from fileferry.engine.room import Room
from fileferry.engine.versions import Content
from fileferry.errors import AlreadyUploaded, FileTooLarge, Gone, SizeMismatch, Unavailable
from fileferry.model import Clock, Digests, Part, Upload, UploadState, new_id
from fileferry.settings import Settings


class Arrivals:
    """Where the bytes of promised uploads come in."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        room: Room,
        hashing: ThreadPoolExecutor,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.database = database
        self.store = store
        self.room = room
        self.hashing = hashing
        self.settings = settings
        self.clock = clock

    def whole(self, upload: Upload, declared: Mapping[Algorithm, bytes], announced: int | None) -> WholeArrival:
        """Start taking in all bytes at once. A further time before completion replaces them.

        Raises AlreadyUploaded, Gone, FileTooLarge, SizeMismatch and InsufficientStorage before any byte is read.
        """
        refuse_ended(upload)
        _refuse_size(upload, announced)
        self.room.refuse_full(announced or 0)
        return WholeArrival(self, upload, agreed(promised_digests(upload), declared))

    async def part(
        self, upload: Upload, number: int, declared: Mapping[Algorithm, bytes], announced: int | None
    ) -> PartArrival:
        """Start taking in one part. A further time before completion replaces it; several may come at once.

        Raises AlreadyUploaded, Gone, InvalidPart, FileTooLarge, SizeMismatch, InsufficientStorage before any byte is read.
        """
        refuse_ended(upload)
        expected = part_length(upload, number)
        refuse_part_size(expected, announced)
        limit = min(upload.max_size, LARGEST_PART)
        if announced is not None and announced > limit:
            raise FileTooLarge(f"The part has {announced} bytes; at most {limit} may come.", limit=limit)
        self.room.refuse_full(expected or announced or 0)
        # Enough for whatever the part turns out to be; setting it aside costs nothing until it is written.
        room = next(size for size in (expected, announced, limit) if size is not None)
        offset, blob_key = await self.database.write(self._begin_part, upload.id, number, room)
        return PartArrival(self, upload, number, offset, blob_key, expected, declared)

    def _begin_part(self, conn: Connection, upload_id: str, number: int, room: int) -> tuple[int, str]:
        upload = reload(conn, upload_id)
        _refuse_more_parts(upload)
        blob_key = upload.blob_key or new_id(self.clock())
        if upload.blob_key is None:
            uploads.update_upload(conn, upload_id, blob_key=blob_key)
        is_first = uploads.begin_part(conn, upload_id, number)
        if is_first and upload.part_size is not None and upload.size is not None:
            return (number - 1) * upload.part_size, blob_key
        # Another attempt may still be writing in the part's own place, or there is none: a fresh run of bytes.
        return uploads.reserve(conn, upload_id, room), blob_key

    def record_whole(self, conn: Connection, upload: Upload, content: Content) -> str | None:
        """Move an upload to received; return the key of the blob that this replaces."""
        current = reload(conn, upload.id)
        refuse_ended(current)
        if current.content is not None and not current.content["content_type"]:
            raise AlreadyUploaded("The parts of this upload are being put together; it takes no more.")
        uploads.update_upload(
            conn,
            upload.id,
            state=UploadState.RECEIVED,
            blob_key=content.blob_key,
            content=msgspec.to_builtins(content),
            touched_at=self.clock(),
        )
        return current.blob_key

    def record_part(self, conn: Connection, upload: Upload, part: Part) -> Part | None:
        """Record a part whose bytes are durable; return the one that it replaces."""
        current = reload(conn, upload.id)
        _refuse_more_parts(current)
        # Parts of a fixed size cannot exceed the whole; of the others, what counts is their sum.
        open_ended = upload.part_size is None or upload.size is None
        if open_ended and uploads.size_of_others(conn, upload.id, part.number) + part.size > upload.max_size:
            raise FileTooLarge(f"All parts together have more than {upload.max_size} bytes.", limit=upload.max_size)
        replaced = uploads.find_part(conn, upload.id, part.number)
        uploads.put_part(conn, upload.id, part)
        uploads.update_upload(conn, upload.id, touched_at=part.received_at)
        return replaced


class WholeArrival:
    """All bytes of an upload on their way in: ``write`` them, then ``finish``. Left without finish it changes nothing."""

    def __init__(self, arrivals: Arrivals, upload: Upload, declared: Mapping[Algorithm, bytes]) -> None:
        self._arrivals = arrivals
        self._upload = upload
        self._declared = declared
        self._blob_key = new_id(arrivals.clock())
        hasher = Hasher({Algorithm.MD5, *declared}, arrivals.settings.sha256_size)
        writer = arrivals.store.open_write(self._blob_key)
        self._intake = Intake(writer, arrivals.room, arrivals.hashing, hasher, limit=upload.max_size, exact=upload.size)

    async def __aenter__(self) -> WholeArrival:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._intake.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed what was promised."""
        await self._intake.write(chunk)

    async def finish(self) -> ReceivedBytes:
        """Verify and keep what came. Raises SizeMismatch, DigestMismatch, AlreadyUploaded, InsufficientStorage."""
        intake = self._intake
        await intake.settle(self._declared)
        content_type, detected = processing.judge_types(intake.head, self._upload.content_type, self._upload.name)
        content = Content(
            blob_key=self._blob_key,
            extents=None,
            size=intake.size,
            content_type=content_type,
            detected_type=detected,
            digests=intake.hasher.digests(),
        )
        try:
            replaced = await self._arrivals.database.write(self._arrivals.record_whole, self._upload, content)
        except Unavailable:
            raise  # whether the commit took place is not known; if it did not, the sweeper finds the bytes
        except Exception:
            await self._arrivals.store.delete(self._blob_key)
            raise
        if replaced is not None:
            await self._arrivals.store.delete(replaced)
        return ReceivedBytes(intake.size, intake.hasher.value(Algorithm.MD5).hex(), content.digests)


class PartArrival:
    """One part on its way in: ``write`` its bytes, then ``finish``. Left without finish it changes nothing."""

    def __init__(
        self,
        arrivals: Arrivals,
        upload: Upload,
        number: int,
        offset: int,
        blob_key: str,
        expected: int | None,
        declared: Mapping[Algorithm, bytes],
    ) -> None:
        self._arrivals = arrivals
        self._upload = upload
        self._number = number
        self._offset = offset
        self._blob_key = blob_key
        self._declared = declared
        hasher = Hasher({Algorithm.MD5, *declared})
        writer = arrivals.store.open_region(blob_key, offset)
        limit = min(upload.max_size, LARGEST_PART)
        self._intake = Intake(writer, arrivals.room, arrivals.hashing, hasher, limit=limit, exact=expected)

    async def __aenter__(self) -> PartArrival:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._intake.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed the part's size, AlreadyUploaded when it is too late."""
        try:
            await self._intake.write(chunk)
        except BlobAssembled as error:
            raise AlreadyUploaded() from error

    async def finish(self) -> Part:
        """Verify and keep the part. Raises SizeMismatch, DigestMismatch, AlreadyUploaded, InsufficientStorage."""
        intake = self._intake
        try:
            await intake.settle(self._declared)
        except BlobAssembled as error:
            raise AlreadyUploaded() from error
        part = Part(
            self._number,
            self._offset,
            intake.size,
            intake.hasher.value(Algorithm.MD5).hex(),
            intake.hasher.value(Algorithm.CRC32C).hex(),
            self._arrivals.clock(),
        )
        try:
            replaced = await self._arrivals.database.write(self._arrivals.record_part, self._upload, part)
        except Unavailable:
            raise  # whether the commit took place is not known
        except Exception:
            await self._discard(part)
            raise
        if replaced is not None:
            await self._discard(replaced)
        return part

    async def _discard(self, part: Part) -> None:
        await self._arrivals.store.discard_region(self._blob_key, part.offset, part.size)


class ReceivedBytes(msgspec.Struct, frozen=True):
    """What a whole upload turned out to be: bytes, and digests as hex."""

    size: int
    md5: str
    digests: Digests


def reload(conn: Connection, upload_id: str) -> Upload:
    """Return an upload as it stands now, inside the transaction that is to change it; raises Gone."""
    upload = uploads.find(conn, upload_id)
    if upload is None:
        raise Gone("The upload was aborted, or waited too long.")
    return upload


def refuse_ended(upload: Upload) -> None:
    """Raise AlreadyUploaded for a completed upload, Gone for one that was aborted or swept."""
    if upload.state is UploadState.COMPLETED:
        raise AlreadyUploaded()
    if upload.state not in (UploadState.OPEN, UploadState.RECEIVED):
        raise Gone("The upload was aborted, or waited too long.")


def _refuse_more_parts(upload: Upload) -> None:
    refuse_ended(upload)
    if upload.state is not UploadState.OPEN:
        raise AlreadyUploaded("All bytes of this upload have arrived; it takes no more parts.")


def promised_digests(upload: Upload) -> dict[Algorithm, bytes]:
    """Return the digests that the whole must have."""
    return {Algorithm(name): bytes.fromhex(digest) for name, digest in upload.digests.items()}


def _refuse_size(upload: Upload, announced: int | None) -> None:
    if announced is None:
        return
    if announced > upload.max_size:
        raise FileTooLarge(f"The body has {announced} bytes; {upload.max_size} were promised.", limit=upload.max_size)
    if upload.size is not None and announced != upload.size:
        raise SizeMismatch(f"The body has {announced} bytes; {upload.size} were promised.", expected=upload.size)
