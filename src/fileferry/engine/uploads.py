"""One-call uploads: the request that brings the bytes also says what they are, so nothing is recorded until they are durable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobStore
from fileferry.db import bookkeeping, files
from fileferry.db.database import Database
from fileferry.engine import policy, processing, versions
from fileferry.engine.digests import Algorithm, Hasher
from fileferry.engine.intake import Intake
from fileferry.engine.room import Room
from fileferry.engine.versions import Content, Placement, Preconditions, Received
from fileferry.engine.workspaces import find_workspace
from fileferry.errors import FileTooLarge, IdempotencyMismatch, Unavailable
from fileferry.model import Clock, Principal, Scope, new_id
from fileferry.settings import Settings


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


class Uploads:
    """Opens uploads for principals that may."""

    def __init__(self, database: Database, store: BlobStore, room: Room, settings: Settings, clock: Clock) -> None:
        self.database = database
        self.store = store
        self.settings = settings
        self.clock = clock
        self.room = room
        self.hashing = ThreadPoolExecutor(2, thread_name_prefix="digest")

    def authorize(self, principal: Principal) -> None:
        """Raise Forbidden unless the principal may upload; for flows that must read something before ``receive``."""
        policy.authorize(principal, Scope.UPLOAD)

    def receive(
        self,
        principal: Principal,
        *,
        declared: Mapping[Algorithm, bytes] | None = None,
        wanted: Iterable[Algorithm] = (),
        size: int | None = None,
    ) -> Incoming:
        """Start taking in one file. ``declared`` digests must match, ``wanted`` ones are computed as well; ``size`` (bytes) is
        what the client announced, where it did.

        Raises Forbidden without the scope, FileTooLarge at once for an announced size over the limit, InsufficientStorage.
        """
        self.authorize(principal)
        limit = policy.largest_file(self.settings)
        if size is not None and size > limit:
            raise FileTooLarge(f"The file has {size} bytes; the limit is {limit}.", limit=limit)
        self.room.refuse_full(size or 0)
        return Incoming(self, principal, dict(declared or {}), wanted, size, limit)

    async def check(self, principal: Principal, new: NewFile) -> None:
        """Raise what ``Incoming.finish`` would for these words of the client, before any byte is read."""
        self.check_words(new)
        # A repeated request is judged by what it made the first time, which only 'finish' looks up.
        if new.idempotency_key is None and (new.workspace is not None or new.preconditions != Preconditions()):
            await self.database.lookup(self._check_place, principal, new)

    def check_words(self, new: NewFile) -> None:
        """Raise InvalidExpiry or InvalidMetadata for what can be judged without the database."""
        policy.expiry(self.settings, self.clock(), new.expires_in, new.expires_at)
        policy.check_metadata(self.settings, new.metadata)

    def _check_place(self, conn: Connection, principal: Principal, new: NewFile) -> None:
        workspace = find_workspace(conn, principal.organization.id, new.workspace)
        current = files.find_by_path(conn, workspace.id, new.path) if new.at_path else None
        gone = current is None or versions.has_expired(current.file, self.clock())
        new.preconditions.verify(None if gone else current)

    async def close(self) -> None:
        """Let go of the hashing threads."""
        self.hashing.shutdown()


class Incoming:
    """One file on its way in: ``write`` its bytes, then ``finish``. Left without finish it leaves nothing behind."""

    def __init__(
        self,
        uploads: Uploads,
        principal: Principal,
        declared: dict[Algorithm, bytes],
        wanted: Iterable[Algorithm],
        size: int | None,
        limit: int,
    ) -> None:
        self._uploads = uploads
        self._principal = principal
        self._declared = declared
        self._blob_key = new_id(uploads.clock())
        writer = uploads.store.open_write(self._blob_key)
        hasher = Hasher({*declared, *wanted}, uploads.settings.sha256_size)
        self._intake = Intake(writer, uploads.room, uploads.hashing, hasher, limit=limit, exact=size)

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the upload; without a ``finish`` before it, nothing is left behind."""
        await self._intake.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed the limit."""
        await self._intake.write(chunk)

    async def finish(self, new: NewFile) -> Received:
        """Verify what was received, make it durable, record it, and only then return.

        Raises SizeMismatch, DigestMismatch, IdempotencyMismatch, PreconditionFailed, InvalidExpiry, InvalidMetadata,
        NotFound (workspace) and InsufficientStorage; after each of them nothing is kept.
        """
        self._uploads.check_words(new)
        inline = await self._intake.settle(self._declared, self._uploads.settings.inline_size)
        content = self._content(new, inline)
        try:
            received = await self._uploads.database.write(self._record, new, content)
        except Unavailable:
            # Whether the commit took place is not known; if it did not, the sweeper finds the bytes.
            raise
        except Exception:
            await self._discard(content)
            raise
        if received.stored.version.blob_key != content.blob_key:  # a repeated request: the first one's file stands
            await self._discard(content)
        return received

    async def _discard(self, content: Content) -> None:
        if content.blob_key is not None:
            await self._uploads.store.delete(content.blob_key)

    def _content(self, new: NewFile, inline: bytes | None) -> Content:
        content_type, detected_type = processing.judge_types(self._intake.head, new.content_type, new.path)
        return Content(
            blob_key=self._blob_key if inline is None else None,
            inline=inline,
            size=self._intake.size,
            content_type=content_type,
            detected_type=detected_type,
            digests=self._intake.hasher.digests(),
        )

    def _record(self, conn: Connection, new: NewFile, content: Content) -> Received:
        if new.idempotency_key is None:
            return self._add(conn, new, content)
        fingerprint = self._fingerprint(new)
        earlier = bookkeeping.find_request(conn, self._principal.key.id, new.idempotency_key)
        if earlier is not None:
            return _replay(conn, earlier, fingerprint)
        received = self._add(conn, new, content)
        bookkeeping.remember_request(
            conn,
            scope=self._principal.key.id,
            key=new.idempotency_key,
            fingerprint=fingerprint,
            version_id=received.stored.version.id,
            now=received.stored.version.created_at,
        )
        return received

    def _add(self, conn: Connection, new: NewFile, content: Content) -> Received:
        now = self._uploads.clock()
        organization_id = self._principal.organization.id
        place = Placement(
            organization_id=organization_id,
            workspace_id=find_workspace(conn, organization_id, new.workspace).id,
            path=new.path,
            at_path=new.at_path,
            metadata=new.metadata,
            expires_at=policy.expiry(self._uploads.settings, now, new.expires_in, new.expires_at),
            user_id=self._principal.user_id,
            preconditions=new.preconditions,
        )
        return versions.add(conn, place, content, now)

    def _fingerprint(self, new: NewFile) -> str:
        """What must be the same when an Idempotency-Key comes again: everything said of the file, and its bytes' checksum."""
        said = [
            self._principal.organization.id,
            new.workspace,
            new.path,
            new.at_path,
            new.content_type,
            new.metadata,
            None if new.expires_in is None else new.expires_in.total_seconds(),
            new.expires_at,
            self._intake.size,
            self._intake.hasher.value(Algorithm.CRC32C).hex(),
        ]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def _replay(conn: Connection, earlier: tuple[str, str], fingerprint: str) -> Received:
    remembered, version_id = earlier
    stored = files.find_by_version(conn, version_id)
    if remembered != fingerprint or stored is None:
        raise IdempotencyMismatch()
    return Received(stored, is_new_file=True)
