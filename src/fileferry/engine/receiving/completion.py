"""Making what has arrived for an upload a version: pieces are put together, verified and judged, and then recorded.

Every step may be repeated: a process that dies in between leaves an upload that the next call takes up again.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry import telemetry
from fileferry.blobs.store import BlobMissing, BlobStore
from fileferry.db import events, files, upkeep, uploads
from fileferry.db.database import Database
from fileferry.db.writer import brief
from fileferry.engine.access import limits
from fileferry.engine.access.quotas import quotas_of
from fileferry.engine.files import versions
from fileferry.engine.files.placement import Content, Placement, Preconditions
from fileferry.engine.inspection import signatures
from fileferry.engine.inspection.digests import Algorithm, Hasher, combine_crc32c
from fileferry.engine.receiving import lapse
from fileferry.engine.receiving.extents import join_extents, refuse_repeated
from fileferry.engine.receiving.senders import arrive
from fileferry.errors import (
    DigestMismatch,
    FileTooLarge,
    Forbidden,
    Gone,
    InternalError,
    NotUploaded,
    SizeMismatch,
    Superseded,
)
from fileferry.model import Clock, Digests, Part, State, StoredFile, Upload, UploadState, entity_tag
from fileferry.settings import Settings

MOST_BRIEF = 8
"""How many uploads opened or completed together are still a brief write."""


class Completion:
    """Completes the uploads of all organizations."""

    def __init__(self, database: Database, store: BlobStore, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._clock = clock

    def gather(self, conn: Connection, upload: Upload, chosen: Sequence[Part]) -> Upload:
        """Fix which pieces make the file; from here on none is taken any more.

        Raises SizeMismatch, FileTooLarge, TooManyPieces.
        """
        size = sum(part.size for part in chosen)
        promised = upload.promised_size
        if promised is not None and size != promised:
            raise SizeMismatch(
                f"The parts listed have {size} bytes together; {promised} were promised.", expected=promised
            )
        if size > upload.max_size:
            raise FileTooLarge(limit=upload.max_size)
        refuse_repeated(size, sum({part.number: part.size for part in chosen}.values()))
        crc32c = 0
        for part in chosen:
            crc32c = combine_crc32c(crc32c, int(part.crc32c, 16), part.size)
        content = Content(
            blob_key=upload.blob_key if chosen else None,
            inline=None if chosen else b"",
            extents=join_extents(chosen),
            size=size,
            content_type="",
            detected_type=None,
            digests=Digests(f"{crc32c:08x}"),
        )
        return self.receive(conn, upload, content)

    def receive(self, conn: Connection, upload: Upload, content: Content) -> Upload:
        """Record that all bytes of an upload are there, still to be put together; raises Gone for one that has failed."""
        self._refuse_failed(upload)
        values = {
            "state": UploadState.RECEIVED,
            "content": msgspec.to_builtins(content),
            "touched_at": self._clock(),
        }
        uploads.update_upload(conn, upload.id, **values)
        return msgspec.structs.replace(upload, **values)

    async def assemble(
        self,
        upload: Upload,
        declared: Mapping[Algorithm, bytes] | None = None,
        wanted: Collection[Algorithm] = (),
    ) -> None:
        """Make gathered pieces a blob, verify what is said of the whole, and judge its type; ``wanted`` digests are known then.

        Raises DigestMismatch: for a digest that was promised the upload has ended then, for one ``declared`` now it has not.
        """
        content = msgspec.convert(upload.content, Content)
        try:
            await self._judge(upload, content, dict(declared or {}), wanted)
        except BlobMissing as error:
            # Begun anew meanwhile, or given up; bytes that are lost while nothing has changed are another matter.
            if await self._database.lookup(self._is_still, upload):
                raise
            raise Superseded() from error

    async def assemble_declared(
        self, upload: Upload, declared: Mapping[Algorithm, bytes], wanted: Collection[Algorithm] = ()
    ) -> None:
        """Assemble what must have these digests; raises DigestMismatch where it has not, and then the upload begins anew."""
        try:
            await self.assemble(upload, declared, wanted)
        except DigestMismatch:
            await self.start_over(upload)
            raise

    async def _judge(
        self, upload: Upload, content: Content, declared: Mapping[Algorithm, bytes], wanted: Collection[Algorithm]
    ) -> None:
        if content.blob_key is not None:
            await self._store.assemble(content.blob_key)
        promised = promised_digests(upload)
        unknown = {name for name in (*promised, *declared, *wanted) if _known(content.digests, name) is None}
        if content.size <= self._settings.sha256_size and content.digests.sha256 is None:
            unknown.add(Algorithm.SHA256)
        head, hasher = await self._read_again(content, unknown)
        if unknown and hasher.value(Algorithm.CRC32C).hex() != content.digests.crc32c:
            await self._update(upload, state=UploadState.ABORTED, content=None)
            raise InternalError("The store gives back other bytes than it was given; nothing was kept. Upload again.")
        computed = {
            name: _known(content.digests, name) or hasher.value(name) for name in (*promised, *declared, *unknown)
        }
        _refuse_mismatch(declared, computed)
        try:
            _refuse_mismatch(promised, computed)
        except DigestMismatch:
            await self._update(upload, state=UploadState.ABORTED, content=None)
            raise
        content_type, detected_type = signatures.judge_types(head, upload.content_type, upload.name)
        known = {name: value.hex() for name, value in computed.items()}
        judged = msgspec.structs.replace(
            content,
            content_type=content_type,
            detected_type=detected_type,
            digests=Digests(
                content.digests.crc32c,
                content.digests.sha256 or known.get(Algorithm.SHA256),
                content.digests.md5 or known.get(Algorithm.MD5),
            ),
        )
        await self._update(upload, content=msgspec.to_builtins(judged))

    async def _read_again(self, content: Content, wanted: Collection[Algorithm]) -> tuple[bytes, Hasher]:
        """Return the first bytes, and the wanted digests of all: reading it all again is the price of those parts cannot give."""
        hasher = Hasher(wanted)
        head = b""
        length = content.size if wanted else min(content.size, signatures.SNIFFED_BYTES)
        for extent in versions.extents_within(content.extents, content.size, 0, length):
            blob_key = extent.blob_key or content.blob_key
            assert blob_key is not None  # only what is empty has none
            async for block in self._store.read(blob_key, extent.offset, extent.length):
                head += block[: signatures.SNIFFED_BYTES - len(head)]
                await hasher.take([block])
        return head, hasher

    async def start_over(self, upload: Upload) -> None:
        """Let an upload whose bytes were not those expected take them from the start."""

        def record(conn: Connection) -> bool:
            is_still = self._is_still(conn, upload)
            if is_still:
                reopen(conn, upload)
            return is_still

        if await self._database.write(record) and upload.blob_key is not None:
            await self.release(upload.blob_key)

    async def release(self, blob_key: str) -> None:
        """Remove a blob that an upload has let go of, unless others have bytes in it; nobody can come to have any more."""
        if not await self._database.read(upkeep.with_bytes, [blob_key]):
            await self._store.delete(blob_key)

    async def finish(self, found: Sequence[Upload]) -> list[StoredFile]:
        """Make received uploads versions, all or none; those that are so already stay so. Raises NotUploaded, Gone."""
        for upload in found:
            # What was gathered now, or by a process that died before it could go on.
            if upload.state is UploadState.RECEIVED and upload.content and not upload.content["content_type"]:
                await self.assemble(upload)
        try:
            recording = self.record if len(found) > MOST_BRIEF else self._record_few
            stored = await self._database.write(recording, [upload.id for upload in found])
        except FileTooLarge:
            if len(found) == 1 and found[0].end_user is not None:
                await self._database.free(refuse_too_long, found[0].id, self._clock())
            raise
        for upload in found:
            # A file without bytes has no blob, though its upload may have gathered one.
            if upload.blob_key and upload.content and upload.content["blob_key"] != upload.blob_key:
                await self.release(upload.blob_key)
        return stored

    async def _update(self, upload: Upload, **values: Any) -> None:
        """Record what assembling came to, unless the upload has moved on meanwhile: ended, completed, or sent anew whole."""

        @brief
        def record(conn: Connection) -> None:
            if self._is_still(conn, upload):
                uploads.update_upload(conn, upload.id, **values)

        await self._database.write(record)

    def _is_still(self, conn: Connection, upload: Upload) -> bool:
        """Whether an upload that has all its bytes is as it was when they were gathered."""
        current = uploads.find(conn, upload.id)
        if current is None or (current.state, current.blob_key) != (UploadState.RECEIVED, upload.blob_key):
            return False
        return msgspec.json.encode(current.content) == msgspec.json.encode(upload.content)

    def record(self, conn: Connection, upload_ids: Sequence[str]) -> list[StoredFile]:
        """Make uploads versions whose bytes are judged already, all or none; see ``finish``."""
        found = [reload(conn, upload_id) for upload_id in dict.fromkeys(upload_ids)]
        missing = [upload.file_id for upload in found if upload.state is UploadState.OPEN]
        if missing:
            raise NotUploaded(ids=missing)
        return [self._add(conn, upload) for upload in found]

    @brief
    def _record_few(self, conn: Connection, upload_ids: Sequence[str]) -> list[StoredFile]:
        return self.record(conn, upload_ids)

    def _add(self, conn: Connection, upload: Upload) -> StoredFile:
        if upload.state is UploadState.COMPLETED:
            return completed(conn, upload)
        if upload.state is not UploadState.RECEIVED:
            raise Gone("The upload was aborted, or waited too long.", ids=[upload.file_id])
        if upload.parent_id is not None:
            raise Forbidden("A partial upload is no file by itself: join it with the others.")
        self._refuse_failed(upload)
        now = self._clock()
        asker, workspace = limits.asker(conn, upload)
        allowed = limits.in_force(self._settings, asker, workspace)
        content = msgspec.convert(upload.content, Content)
        limits.refuse_size(allowed, content.size)
        lifetime = None if upload.lifetime is None else timedelta(seconds=upload.lifetime)
        place = Placement(
            organization_id=upload.organization_id,
            workspace_id=upload.workspace_id,
            folder_id=upload.folder_id,
            path=upload.path,
            at_path=upload.at_path,
            metadata=upload.metadata,
            expires_at=limits.remaining(allowed, now, lifetime, upload.expires_at, since=now),
            user_id=upload.user_id,
            file_id=upload.file_id,
            version_id=upload.version_id,
            number=upload.number,
            key_id=upload.key_id,
            end_user=upload.end_user,
            fetches=upload.fetches,
            rules=limits.rules(self._settings, allowed),
            quotas=quotas_of(asker, workspace),
            preconditions=Preconditions(tuple(upload.if_match), upload.must_be_new),
        )
        received = versions.add(conn, place, content, now)
        ended = {"state": UploadState.COMPLETED, "blob_key": None, "content": None, "touched_at": now}
        uploads.update_upload(conn, upload.id, **ended)
        if upload.request_id is not None:
            arrive(conn, upload.request_id, upload.id, received.stored, now)
        return received.stored

    def _refuse_failed(self, upload: Upload) -> None:
        if lapse.has_failed(upload, self._settings, self._clock()):
            raise Gone("The upload has failed: its bytes did not come in time.", ids=[upload.file_id])


class ReceivedBytes(msgspec.Struct, frozen=True):
    """What an upload turned out to be: bytes, digests as hex, and the entity tag that it has as a version.

    ``stored`` is the version where it is one already.
    """

    size: int
    digests: Digests
    content_type: str
    etag: str
    received_at: datetime
    stored: StoredFile | None

    @property
    def md5(self) -> str | None:
        """The MD5 as hex; None where the bytes came in pieces."""
        return self.digests.md5


def received_bytes(upload: Upload, content: Content) -> ReceivedBytes:
    """Return what is known of bytes that wait for a call to make them a version."""
    etag = entity_tag(upload.version_id, content.digests)
    return ReceivedBytes(content.size, content.digests, content.content_type, etag, upload.touched_at, None)


def stored_bytes(stored: StoredFile) -> ReceivedBytes:
    """Return what is known of bytes that are a version."""
    version = stored.version
    return ReceivedBytes(version.size, version.digests, version.content_type, version.etag, version.created_at, stored)


def completed(conn: Connection, upload: Upload) -> StoredFile:
    """Return the version that a completed upload has made; raises Gone where it is no more."""
    stored = files.find_by_version(conn, upload.version_id)
    if stored is None or stored.file.deleted_at is not None:
        raise Gone("The file was deleted, or its life is over.", ids=[upload.file_id])
    return stored


def promised_digests(upload: Upload) -> dict[Algorithm, bytes]:
    """Return the digests that the whole must have."""
    return {Algorithm(name): bytes.fromhex(digest) for name, digest in upload.digests.items()}


def reload(conn: Connection, upload_id: str) -> Upload:
    """Return an upload as it stands now, inside the transaction that is to change it; raises Gone."""
    upload = uploads.find(conn, upload_id)
    if upload is None:
        raise Gone("The upload was aborted, or waited too long.")
    return upload


def reopen(conn: Connection, upload: Upload) -> None:
    """Let an upload that had all its bytes take them anew, in another blob; what else it had gathered lay in the old one."""
    uploads.update_upload(
        conn,
        upload.id,
        state=UploadState.OPEN,
        content=None,
        stream=None,
        blob_key=None,
        block_list=None,
        pieces_size=0,
        # Parts of a fixed size have places of their own; whatever else comes goes behind them.
        tail=(upload.promised_size or 0) if upload.part_size is not None else 0,
    )
    uploads.delete_all_pieces(conn, upload.id)


def refuse_too_long(conn: Connection, upload_id: str, now: datetime) -> None:
    """End an upload whose bytes were more than may come, and tell of the file that was promised."""
    upload = uploads.find(conn, upload_id)
    if upload is None or upload.state not in (UploadState.OPEN, UploadState.RECEIVED):
        return
    uploads.update_upload(conn, upload.id, state=UploadState.ABORTED, content=None, refusal="too_long", touched_at=now)
    data = {
        "file_id": upload.file_id,
        "name": upload.name,
        "path": upload.path,
        "workspace_id": upload.workspace_id,
        "end_user": upload.end_user,
        "version_id": str(upload.number),
        "status": State.REJECTED.value,
        "reason": "size_mismatch",
        "size": upload.size,
        "content_type": upload.content_type,
        "sha256": None,
        "crc32c": None,
        "scan": None,
    }
    event = {
        "organization_id": upload.organization_id,
        "file_id": upload.file_id,
        "version_id": upload.version_id,
        "type": "file.rejected",
        "data": data,
        "actor": {"key": upload.key_id, **(telemetry.actor() or {})},
        "created_at": now,
    }
    events.append_all(conn, [event])


def _refuse_mismatch(expected: Mapping[Algorithm, bytes], computed: Mapping[Algorithm, bytes]) -> None:
    for algorithm, digest in expected.items():
        if not hmac.compare_digest(digest, computed[algorithm]):
            raise DigestMismatch(algorithm=algorithm.value)


def _known(digests: Digests, algorithm: Algorithm) -> bytes | None:
    known = {Algorithm.CRC32C: digests.crc32c, Algorithm.SHA256: digests.sha256, Algorithm.MD5: digests.md5}
    value = known.get(algorithm)
    return None if value is None else bytes.fromhex(value)
