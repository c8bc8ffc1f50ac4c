"""Uploads: taking bytes in, making them durable, and only then recording the version that they are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobStore
from fileferry.db import bookkeeping, files
from fileferry.db.database import Database
from fileferry.engine import policy, processing
from fileferry.engine.digests import Algorithm, Hasher
from fileferry.engine.organizations import find_workspace
from fileferry.errors import FileTooLarge, IdempotencyMismatch, PreconditionFailed, SizeMismatch
from fileferry.groups import settled
from fileferry.model import Clock, File, Principal, Scope, State, StoredFile, Version, new_id
from fileferry.settings import Settings

# What is held of one transfer: at most one batch being written and one being filled.
_BATCH = 512 * 1024
_HASHED_INLINE = 64 * 1024


class Preconditions(msgspec.Struct, frozen=True):
    """RFC 9110 section 13 conditions on the file at a path: entity tags of If-Match (``*`` is any), or If-None-Match: *."""

    if_match: tuple[str, ...] = ()
    must_be_new: bool = False

    def verify(self, current: StoredFile | None) -> None:
        """Raise PreconditionFailed unless the file now at the path fits."""
        if self.must_be_new and current is not None:
            raise PreconditionFailed("There is a file at this path already.")
        if self.if_match and current is None:
            raise PreconditionFailed("There is no file at this path.")
        if self.if_match and current and "*" not in self.if_match and current.version.etag not in self.if_match:
            raise PreconditionFailed("The file at this path has changed.")


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of the bytes it sends. ``at_path`` puts them at that path; otherwise they are a hand-off of their own."""

    path: str
    at_path: bool
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: timedelta | None = None
    expires_at: datetime | None = None
    workspace: str | None = None
    idempotency_key: str | None = None
    preconditions: Preconditions = Preconditions()


class Received(msgspec.Struct, frozen=True):
    """The outcome of an upload. ``is_new_file`` tells a first version from a further one."""

    stored: StoredFile
    is_new_file: bool


class Uploads:
    """Opens uploads for principals that may."""

    def __init__(self, database: Database, store: BlobStore, settings: Settings, clock: Clock) -> None:
        self.database = database
        self.store = store
        self.settings = settings
        self.clock = clock
        self.hashing = ThreadPoolExecutor(2, thread_name_prefix="digest")

    def authorize(self, principal: Principal) -> None:
        """Raise Forbidden unless the principal may upload; for flows that must read something before ``receive``."""
        policy.authorize(principal, Scope.UPLOAD)

    def receive(
        self,
        principal: Principal,
        *,
        declared: Mapping[Algorithm, bytes] | None = None,
        size: int | None = None,
    ) -> Incoming:
        """Start taking in one file. ``size`` (bytes) is what the client announced, where it did.

        Raises Forbidden without the scope, and FileTooLarge at once for an announced size over the limit.
        """
        self.authorize(principal)
        limit = policy.largest_file(self.settings)
        if size is not None and size > limit:
            raise FileTooLarge(f"The file has {size} bytes; the limit is {limit}.", limit=limit)
        return Incoming(self, principal, dict(declared or {}), size, limit)

    async def check(self, principal: Principal, new: NewFile) -> None:
        """Raise what ``Incoming.finish`` would for these words of the client, before any byte is read."""
        self.check_words(new)
        if new.workspace is not None or new.preconditions != Preconditions():
            await self.database.read(self._check_place, principal, new)

    def check_words(self, new: NewFile) -> None:
        """Raise InvalidExpiry or InvalidMetadata for what can be judged without the database."""
        policy.expiry(self.settings, self.clock(), new.expires_in, new.expires_at)
        policy.check_metadata(self.settings, new.metadata)

    def _check_place(self, conn: Connection, principal: Principal, new: NewFile) -> None:
        workspace = find_workspace(conn, principal.organization.id, new.workspace)
        current = files.find_by_path(conn, workspace.id, new.path) if new.at_path else None
        new.preconditions.verify(None if current is None or has_expired(current.file, self.clock()) else current)

    async def close(self) -> None:
        """Let go of the hashing threads."""
        self.hashing.shutdown()


class Incoming:
    """One file on its way in: ``write`` its bytes, then ``finish``. Left without finish it leaves nothing behind.

    Memory is bounded by two batches however large the file; writing to the store, hashing and receiving overlap.
    """

    def __init__(
        self, uploads: Uploads, principal: Principal, declared: dict[Algorithm, bytes], size: int | None, limit: int
    ) -> None:
        self._uploads = uploads
        self._principal = principal
        self._declared = declared
        self._announced = size
        self._limit = limit
        self._version_id = new_id(uploads.clock())
        self._writer = uploads.store.open_write(self._version_id)
        self._hasher = Hasher({Algorithm.SHA256, *declared})
        self._batch: list[bytes] = []
        self._batched = 0
        self._absorbing: asyncio.Task[None] | None = None
        self._head = b""
        self.size = 0

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the upload; without a ``finish`` before it, nothing is left behind."""
        if self._absorbing is not None:
            # Its own error was either raised already or is secondary to the one that ends this upload.
            await asyncio.wait([self._absorbing])
        await self._writer.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed the limit."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise FileTooLarge(f"The file is larger than the limit of {self._limit} bytes.", limit=self._limit)
        if len(self._head) < processing.SNIFFED_BYTES:
            self._head += chunk[: processing.SNIFFED_BYTES - len(self._head)]
        self._batch.append(chunk)
        self._batched += len(chunk)
        if self._batched >= _BATCH:
            await self._pass_on()

    async def finish(self, new: NewFile) -> Received:
        """Verify what was received, make it durable, record it, and only then return.

        Raises SizeMismatch, DigestMismatch, IdempotencyMismatch, PreconditionFailed, InvalidExpiry, InvalidMetadata,
        NotFound (workspace) and InsufficientStorage; after each of them nothing is kept.
        """
        self._uploads.check_words(new)
        await self._absorb_rest()
        if self._announced is not None and self.size != self._announced:
            raise SizeMismatch(f"{self._announced} bytes were announced and {self.size} arrived; nothing was stored.")
        self._hasher.verify(self._declared)
        types = self._types(new)
        await self._writer.commit()
        received = await self._uploads.database.write(self._record, new, types)
        if received.stored.version.id != self._version_id:  # a repeated request: the first one's file stands
            await self._uploads.store.delete(self._version_id)
        return received

    async def _pass_on(self) -> None:
        batch, self._batch, self._batched = self._batch, [], 0
        if self._absorbing is not None:
            await settled(self._absorbing)
        self._absorbing = asyncio.create_task(self._absorb(batch))

    async def _absorb(self, batch: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        hashing = loop.run_in_executor(self._uploads.hashing, self._hasher.update, batch)
        try:
            await self._writer.append(batch)
        finally:
            await settled(hashing)

    async def _absorb_rest(self) -> None:
        if self._absorbing is not None:
            await settled(self._absorbing)
        if self._batched > _HASHED_INLINE:
            await self._absorb(self._batch)
            return
        self._hasher.update(self._batch)
        await self._writer.append(self._batch)

    def _types(self, new: NewFile) -> tuple[str, str | None]:
        """Return the media type to record and the one that the bytes show."""
        content_type = processing.effective_type(new.content_type, new.path)
        detected = processing.detect_type(self._head, content_type)
        if content_type == processing.GENERIC_TYPE:
            content_type = detected or content_type
        return content_type, detected

    def _record(self, conn: Connection, new: NewFile, types: tuple[str, str | None]) -> Received:
        fingerprint = self._fingerprint(new) if new.idempotency_key is not None else ""
        if new.idempotency_key is not None:
            earlier = bookkeeping.find_request(conn, self._principal.key.id, new.idempotency_key)
            if earlier is not None:
                return _replay(conn, earlier, fingerprint)
        received = self._insert(conn, new, types)
        if new.idempotency_key is not None:
            bookkeeping.remember_request(
                conn,
                scope=self._principal.key.id,
                key=new.idempotency_key,
                fingerprint=fingerprint,
                version_id=self._version_id,
                now=received.stored.version.created_at,
            )
        return received

    def _insert(self, conn: Connection, new: NewFile, types: tuple[str, str | None]) -> Received:
        now = self._uploads.clock()
        organization_id = self._principal.organization.id
        workspace = find_workspace(conn, organization_id, new.workspace)
        current = files.find_by_path(conn, workspace.id, new.path) if new.at_path else None
        if current is not None and has_expired(current.file, now):
            expire(conn, current.file, now)
            current = None
        new.preconditions.verify(current)
        name = new.path.rpartition("/")[2]
        file = File(
            id=current.file.id if current else new_id(now),
            organization_id=organization_id,
            workspace_id=workspace.id,
            name=name,
            path=new.path,
            owns_path=new.at_path,
            metadata=new.metadata,
            created_at=current.file.created_at if current else now,
            modified_at=now,
            expires_at=policy.expiry(self._uploads.settings, now, new.expires_in, new.expires_at),
            deleted_at=None,
        )
        version = self._version(file, files.next_number(conn, workspace.id, now), types, now)
        if current is None:
            files.insert_file(conn, file, version.id)
        else:
            files.update_file(
                conn,
                file.id,
                current_version_id=version.id,
                metadata=file.metadata,
                modified_at=now,
                expires_at=file.expires_at,
            )
        files.insert_version(conn, version)
        announce(conn, "file.ready", file, now, version)
        return Received(StoredFile(file, version), is_new_file=current is None)

    def _version(self, file: File, number: int, types: tuple[str, str | None], now: datetime) -> Version:
        content_type, detected_type = types
        return Version(
            id=self._version_id,
            file_id=file.id,
            number=number,
            state=State.READY,
            reason=None,
            size=self.size,
            content_type=content_type,
            detected_type=detected_type,
            digests=self._hasher.digests(),
            created_at=now,
        )

    def _fingerprint(self, new: NewFile) -> str:
        """What must be the same when an Idempotency-Key comes again: everything said of the file, and its bytes' checksum."""
        crc32c = self._hasher.value(Algorithm.CRC32C).hex()
        said = [
            self._principal.organization.id,
            new.workspace,
            new.path,
            new.at_path,
            new.content_type,
            new.metadata,
            None if new.expires_in is None else new.expires_in.total_seconds(),
            new.expires_at,
            self.size,
            crc32c,
        ]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def has_expired(file: File, now: datetime) -> bool:
    """Whether a file's time is over, swept or not."""
    return file.expires_at is not None and file.expires_at <= now


def expire(conn: Connection, file: File, now: datetime) -> None:
    """Move a file whose time is over, and every version of it, to expired."""
    files.update_file(conn, file.id, deleted_at=now)
    files.end_versions(conn, file.id, State.EXPIRED)
    announce(conn, "file.expired", file, now)


def announce(conn: Connection, type: str, file: File, now: datetime, version: Version | None = None) -> None:
    """Append an event to the outbox, in the transaction of the change that it tells of."""
    bookkeeping.append_event(
        conn,
        organization_id=file.organization_id,
        file_id=file.id,
        version_id=version.id if version else None,
        type=type,
        data={"path": file.path},
        now=now,
    )


def _replay(conn: Connection, earlier: tuple[str, str], fingerprint: str) -> Received:
    remembered, version_id = earlier
    stored = files.find_by_version(conn, version_id)
    if remembered != fingerprint or stored is None:
        raise IdempotencyMismatch()
    return Received(stored, is_new_file=True)
