"""Bytes arriving for an upload with a ticket, whole or as a part: taken in, made durable, and then recorded as received."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobAssembled, BlobStore
from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.db.writer import brief
from fileferry.engine.access.rates import Rates, Toll
from fileferry.engine.files.placement import Content
from fileferry.engine.inspection import signatures
from fileferry.engine.inspection.declarations import agreed_type
from fileferry.engine.inspection.digests import Algorithm, Hasher, agreed
from fileferry.engine.receiving.blocks import decoded_length
from fileferry.engine.receiving.completion import (
    Completion,
    ReceivedBytes,
    completed,
    promised_digests,
    received_bytes,
    reload,
    stored_bytes,
)
from fileferry.engine.receiving.intake import Intake
from fileferry.engine.receiving.lapse import refuse_ended
from fileferry.engine.receiving.liveness import Liveness
from fileferry.engine.receiving.parts import LARGEST_PART, MOST_WAITING_BLOCKS, part_length, refuse_part_size
from fileferry.engine.receiving.repetitions import Repetition
from fileferry.engine.receiving.room import Room
from fileferry.errors import (
    AlreadyUploaded,
    Conflict,
    FileTooLarge,
    InvalidBlock,
    SizeMismatch,
    Superseded,
    Unavailable,
)
from fileferry.model import Clock, Part, StoredFile, Upload, UploadState, new_id
from fileferry.settings import Settings


class Arrivals:
    """Where the bytes of promised uploads come in."""

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
        self.database = database
        self.store = store
        self.completion = completion
        self.rates = rates
        self.room = room
        self.hashing = hashing
        self.settings = settings
        self.clock = clock

    async def whole(
        self,
        upload: Upload,
        declared: Mapping[Algorithm, bytes],
        announced: int | None,
        content_type: str | None = None,
    ) -> WholeArrival | Repetition:
        """Start taking in all bytes at once. A further time before completion replaces them, later it must bring the same.

        ``content_type`` is what the client says now, used where less was promised. Raises AlreadyUploaded, Gone,
        FileTooLarge, SizeMismatch, RateLimited and InsufficientStorage before any byte is read.
        """
        if upload.state is UploadState.COMPLETED:
            stored = await self.database.lookup(completed, upload)
            return Repetition(upload, stored, agreed(promised_digests(upload), declared), announced)
        refuse_ended(upload)
        _refuse_size(upload, announced)
        self.room.refuse_full(announced or 0)
        toll = await self.rates.admit(upload, announced)
        liveness = Liveness(self.database, self.clock, upload)
        await liveness.note()  # before the first byte: a URL may run out while that is waited for
        stated = agreed_type(upload.content_type, content_type)
        return WholeArrival(self, upload, agreed(promised_digests(upload), declared), stated, toll, liveness)

    async def part(
        self,
        upload: Upload,
        number: int,
        declared: Mapping[Algorithm, bytes],
        announced: int | None,
        *,
        wire: Mapping[str, Any] | None = None,
    ) -> PartArrival:
        """Start taking in one part. A further time before completion replaces it; several may come at once.

        Where ``wire`` is given, it is a part of what that names, and of nothing else: raises Superseded. Raises AlreadyUploaded,
        Gone, InvalidPart, FileTooLarge, SizeMismatch, RateLimited, InsufficientStorage. All before any byte is read.
        """
        refuse_ended(upload)
        expected = part_length(upload, number)
        refuse_part_size(expected, announced)
        room = self._room_for(upload, expected, announced)
        toll = await self.rates.admit(upload, announced)
        offset, blob_key = await self.database.write(self._begin_part, upload.id, number, room, wire)
        return PartArrival(self, upload, PartPlace(number, offset, blob_key), expected, declared, toll)

    async def block(
        self, upload: Upload, block_id: str, declared: Mapping[Algorithm, bytes], announced: int | None
    ) -> PartArrival:
        """Start taking in one block, whose place in the file only a list of blocks will tell. ``block_id`` is base64.

        Raises as ``part`` does, and InvalidBlock for an id that cannot be used.
        """
        refuse_ended(upload)
        decoded_length(block_id)
        room = self._room_for(upload, None, announced)
        toll = await self.rates.admit(upload, announced)
        number, offset, blob_key = await self.database.write(self._begin_block, upload.id, block_id, room)
        return PartArrival(self, upload, PartPlace(number, offset, blob_key, block_id), None, declared, toll)

    def _room_for(self, upload: Upload, expected: int | None, announced: int | None) -> int:
        limit = min(upload.max_size, LARGEST_PART)
        if announced is not None and announced > limit:
            raise FileTooLarge(f"The part has {announced} bytes; at most {limit} may come.", limit=limit)
        self.room.refuse_full(expected or announced or 0)
        # Enough for whatever the part turns out to be; setting it aside costs nothing until it is written.
        return next(size for size in (expected, announced, limit) if size is not None)

    @brief
    def _begin_block(self, conn: Connection, upload_id: str, block_id: str, room: int) -> tuple[int, int, str]:
        blob_key = self._gathering_blob(conn, upload_id)
        present = uploads.any_block(conn, upload_id)
        if present is not None and decoded_length(present) != decoded_length(block_id):
            raise InvalidBlock("All block ids of one upload must be equally long.")
        number = uploads.number_of_block(conn, upload_id, block_id)
        if number > uploads.LAST_PART + MOST_WAITING_BLOCKS:
            raise Conflict(f"At most {MOST_WAITING_BLOCKS} blocks of one upload may wait for a list.")
        uploads.begin_part(conn, upload_id, number, block_id)
        return number, uploads.reserve(conn, upload_id, room), blob_key

    @brief
    def _begin_part(
        self, conn: Connection, upload_id: str, number: int, room: int, wire: Mapping[str, Any] | None
    ) -> tuple[int, str]:
        blob_key = self._gathering_blob(conn, upload_id)
        upload = reload(conn, upload_id)
        if wire is not None and upload.wire != wire:
            raise Superseded("The parts of another file have begun to come.")
        is_first = uploads.begin_part(conn, upload_id, number)
        if is_first and upload.part_size is not None and upload.promised_size is not None:
            return (number - 1) * upload.part_size, blob_key
        # Another attempt may still be writing in the part's own place, or there is none: a fresh run of bytes.
        return uploads.reserve(conn, upload_id, room), blob_key

    def _gathering_blob(self, conn: Connection, upload_id: str) -> str:
        """Return the blob that the pieces of an upload are gathered in."""
        upload = reload(conn, upload_id)
        _refuse_more_parts(upload)
        if upload.blob_key is not None:
            return upload.blob_key
        blob_key = new_id(self.clock())
        uploads.update_upload(conn, upload_id, blob_key=blob_key)
        return blob_key

    @brief
    def record_whole(self, conn: Connection, upload: Upload, content: Content) -> tuple[str | None, StoredFile | None]:
        """Move an upload to received; return the key of the blob that this replaces, and the version of one that completes itself.

        Both in one transaction: bytes that another request brings in between would be taken for these.
        """
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
            block_list=None,
            touched_at=self.clock(),
        )
        stored = self.completion.record(conn, [upload.id])[0] if upload.auto_complete else None
        return current.blob_key, stored

    @brief
    def record_part(self, conn: Connection, upload: Upload, part: Part, blob_key: str) -> Part | None:
        """Record a part whose bytes are durable in this blob; return the one that it replaces."""
        current = reload(conn, upload.id)
        _refuse_more_parts(current)
        if current.blob_key != blob_key:
            raise Superseded("The upload was begun anew while this part came; it is not kept.")
        replaced = uploads.find_part(conn, upload.id, part.number)
        total = uploads.count_bytes(conn, upload.id, part.size - (replaced.size if replaced else 0))
        if total > upload.max_size:
            raise FileTooLarge(f"All parts together have more than {upload.max_size} bytes.", limit=upload.max_size)
        uploads.put_part(conn, upload.id, part)
        uploads.update_upload(conn, upload.id, touched_at=part.received_at)
        return replaced


class WholeArrival:
    """All bytes of an upload on their way in: ``write`` them, then ``finish``. Left without finish it changes nothing."""

    def __init__(
        self,
        arrivals: Arrivals,
        upload: Upload,
        declared: Mapping[Algorithm, bytes],
        content_type: str | None,
        toll: Toll | None,
        liveness: Liveness,
    ) -> None:
        self._arrivals = arrivals
        self._upload = upload
        self._declared = declared
        self._content_type = content_type
        self._liveness = liveness
        self._blob_key = new_id(arrivals.clock())
        hasher = Hasher({Algorithm.MD5, *declared}, arrivals.settings.sha256_size)
        writer = arrivals.store.open_write(self._blob_key)
        self._intake = Intake(
            writer,
            arrivals.room,
            arrivals.hashing,
            hasher,
            limit=upload.max_size,
            exact=upload.promised_size,
            toll=toll,
        )

    async def __aenter__(self) -> WholeArrival:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._intake.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed what was promised."""
        await self._intake.write(chunk)
        await self._liveness.note()

    async def finish(self) -> ReceivedBytes:
        """Verify and keep what came; an upload that completes itself is a version then.

        Raises SizeMismatch, DigestMismatch, AlreadyUploaded, InsufficientStorage, and PreconditionFailed where it completes.
        """
        intake = self._intake
        # What is to be joined with other bytes must be in the store, as they are.
        inline_up_to = self._arrivals.settings.inline_size if self._upload.parent_id is None else 0
        inline = await intake.settle(self._declared, inline_up_to)
        content_type, detected = signatures.judge_types(intake.head, self._content_type, self._upload.name)
        content = Content(
            blob_key=self._blob_key if inline is None else None,
            inline=inline,
            size=intake.size,
            content_type=content_type,
            detected_type=detected,
            digests=intake.hasher.digests(),
        )
        try:
            replaced, stored = await self._arrivals.database.write(self._arrivals.record_whole, self._upload, content)
        except Unavailable:
            raise  # whether the commit took place is not known; if it did not, the sweeper finds the bytes
        except Exception:
            if content.blob_key is not None:
                await self._arrivals.store.delete(content.blob_key)
            raise
        if replaced is not None:
            await self._arrivals.completion.release(replaced)
        return received_bytes(self._upload, content) if stored is None else stored_bytes(stored)


class PartPlace(msgspec.Struct, frozen=True):
    """Where a piece of an upload goes. ``offset`` is in bytes; only blocks have a ``block_id``."""

    number: int
    offset: int
    blob_key: str
    block_id: str | None = None


class PartArrival:
    """One part on its way in: ``write`` its bytes, then ``finish``. Left without finish it changes nothing."""

    def __init__(
        self,
        arrivals: Arrivals,
        upload: Upload,
        place: PartPlace,
        expected: int | None,
        declared: Mapping[Algorithm, bytes],
        toll: Toll | None,
    ) -> None:
        self._arrivals = arrivals
        self._upload = upload
        self._place = place
        self._declared = declared
        self._liveness = Liveness(arrivals.database, arrivals.clock, upload)
        hasher = Hasher({Algorithm.MD5, *declared})
        writer = arrivals.store.open_region(place.blob_key, place.offset)
        limit = min(upload.max_size, LARGEST_PART)
        self._intake = Intake(writer, arrivals.room, arrivals.hashing, hasher, limit=limit, exact=expected, toll=toll)

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
        await self._liveness.note()

    async def finish(self) -> Part:
        """Verify and keep the part. Raises SizeMismatch, DigestMismatch, AlreadyUploaded, InsufficientStorage."""
        intake = self._intake
        try:
            await intake.settle(self._declared)
        except BlobAssembled as error:
            raise AlreadyUploaded() from error
        part = Part(
            number=self._place.number,
            offset=self._place.offset,
            size=intake.size,
            md5=intake.hasher.value(Algorithm.MD5).hex(),
            crc32c=intake.hasher.value(Algorithm.CRC32C).hex(),
            received_at=self._arrivals.clock(),
            block_id=self._place.block_id,
        )
        try:
            replaced = await self._arrivals.database.write(
                self._arrivals.record_part, self._upload, part, self._place.blob_key
            )
        except Unavailable:
            raise  # whether the commit took place is not known
        except Exception:
            await self._discard(part)
            raise
        if replaced is not None:
            await self._discard(replaced)
        return part

    async def _discard(self, part: Part) -> None:
        await self._arrivals.store.discard_region(self._place.blob_key, part.offset, part.size)


def _refuse_more_parts(upload: Upload) -> None:
    refuse_ended(upload)
    if upload.state is not UploadState.OPEN:
        raise AlreadyUploaded("All bytes of this upload have arrived; it takes no more parts.")


def _refuse_size(upload: Upload, announced: int | None) -> None:
    if announced is None:
        return
    if announced > upload.max_size:
        raise FileTooLarge(
            f"The body has {announced} bytes; at most {upload.max_size} may come.", limit=upload.max_size
        )
    if upload.promised_size is not None and announced != upload.promised_size:
        raise SizeMismatch(
            f"The body has {announced} bytes; {upload.promised_size} were promised.", expected=upload.promised_size
        )
