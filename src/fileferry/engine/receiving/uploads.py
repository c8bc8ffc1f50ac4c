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
from fileferry.db.writer import brief
from fileferry.engine.access import limits, policy
from fileferry.engine.access.keys import renewed
from fileferry.engine.access.quotas import quotas_of, refuse_full, refuse_more
from fileferry.engine.access.rates import Rates, Toll
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import paths, versions
from fileferry.engine.files.placement import Content, Placement, Preconditions, Received
from fileferry.engine.inspection import signatures
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.intake import Intake
from fileferry.engine.receiving.room import Room
from fileferry.errors import IdempotencyMismatch, Unavailable
from fileferry.model import Clock, Limits, Principal, Scope, new_id
from fileferry.settings import Settings

# What is judged by the limits of its workspace, and by quotas, only once it is there: bytes, fewer than asking before is worth.
_SMALL = 64 * 1024
# How many bytes of a body that nobody announced the length of may come before quotas are looked at again.
_STRETCH = 16 * 1024 * 1024


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of the bytes it sends. ``at_path`` puts them at that path; otherwise they are a hand-off of their own.

    ``fetches`` is how often they may be fetched whole.
    """

    path: str
    at_path: bool
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: timedelta | None = None
    expires_at: datetime | None = None
    fetches: int | None = None
    workspace: str | None = None
    idempotency_key: str | None = None
    preconditions: Preconditions = Preconditions()


class Uploads:
    """Opens uploads for principals that may."""

    def __init__(
        self, database: Database, store: BlobStore, room: Room, rates: Rates, settings: Settings, clock: Clock
    ) -> None:
        self.database = database
        self.store = store
        self.settings = settings
        self.clock = clock
        self.room = room
        self.rates = rates
        self.hashing = ThreadPoolExecutor(2, thread_name_prefix="digest")

    def authorize(self, principal: Principal, path: str | None = None) -> None:
        """Raise Forbidden unless the principal may upload to a path of the tree, or hand off, for which ``path`` is None."""
        policy.authorize(principal, Scope.UPLOAD)
        policy.authorize_path(principal, path)

    async def admit(self, principal: Principal, size: int | None) -> Limits:
        """Return what is allowed of a hand-off; ``size`` (bytes) is the most that is announced, None for any number.

        Raises Forbidden, and QuotaExceeded where nothing more may be kept.
        """
        self.authorize(principal)
        if self._is_judged_at_the_end(principal, size):
            return limits.in_force(self.settings, principal, None)
        return await self.database.lookup(self._admit, principal, None, 0)

    def receive(
        self,
        principal: Principal,
        *,
        declared: Mapping[Algorithm, bytes] | None = None,
        wanted: Iterable[Algorithm] = (),
        size: int | None = None,
        allowed: Limits | None = None,
    ) -> Incoming:
        """Start taking in one file. ``declared`` digests must match, ``wanted`` ones are computed as well; ``size`` (bytes) is
        what the client announced, where it did. ``allowed`` is what ``admit`` or ``check`` returned.

        Raises Forbidden without the scope, FileTooLarge at once for an announced size over the limit, InsufficientStorage.
        """
        policy.authorize(principal, Scope.UPLOAD)
        allowed = allowed or limits.in_force(self.settings, principal, None)
        limits.refuse_size(allowed, size)
        self.room.refuse_full(size or 0)
        return Incoming(self, principal, dict(declared or {}), wanted, size, allowed, self.rates.toll(principal))

    async def check(self, principal: Principal, new: NewFile, size: int | None = None) -> Limits:
        """Return what is allowed of such a file of ``size`` bytes (None: not announced); raise what ``Incoming.finish`` would for
        these words of the client, before any byte is read.
        """
        allowed = limits.in_force(self.settings, principal, None)
        self.judge(principal, allowed, new, size)
        # A repeated request is judged by what it made the first time, which only 'finish' looks up.
        if new.idempotency_key is not None:
            return allowed
        has_words = new.workspace is not None or new.preconditions != Preconditions()
        if not has_words and self._is_judged_at_the_end(principal, size):
            return allowed
        return await self.database.lookup(self._check_place, principal, new, size)

    def judge(self, principal: Principal, allowed: Limits, new: NewFile, size: int | None) -> None:
        """Raise Forbidden, FileTooLarge, UnsupportedType, InvalidExpiry or InvalidMetadata for what can be judged by words."""
        policy.authorize_path(principal, new.path if new.at_path else None)
        limits.refuse_size(allowed, size)
        limits.refuse_type(allowed, new.path, new.content_type)
        limits.expiry(allowed, self.clock(), new.expires_in, new.expires_at)
        policy.check_metadata(self.settings, new.metadata)

    def _is_judged_at_the_end(self, principal: Principal, size: int | None) -> bool:
        """Whether so few bytes come, of a principal with so few limits, that asking the database before would cost more."""
        return size is not None and size <= _SMALL and principal.end_user is None and not quotas_of(principal)

    def _admit(self, conn: Connection, principal: Principal, asked: str | None, size: int) -> Limits:
        workspace = find_workspace(conn, principal.organization.id, asked)
        refuse_full(conn, principal, workspace, size)
        return limits.in_force(self.settings, principal, workspace)

    def _check_place(self, conn: Connection, principal: Principal, new: NewFile, size: int | None) -> Limits:
        workspace = find_workspace(conn, principal.organization.id, new.workspace)
        allowed = limits.in_force(self.settings, principal, workspace)
        self.judge(principal, allowed, new, size)
        refuse_full(conn, principal, workspace, size or 0)
        current = files.find_by_path(conn, workspace.id, new.path) if new.at_path else None
        if current is None or paths.gives_way(conn, current.file, self.clock()):
            new.preconditions.verify(None)
            return allowed
        paths.refuse_foreign(current.file, principal.end_user)
        if new.preconditions != Preconditions():
            new.preconditions.verify(files.find_newest(conn, current.file.id))
        return allowed

    async def close(self) -> None:
        """Let go of the hashing threads."""
        self.hashing.shutdown()


class Incoming:
    """One file on its way in: ``write`` its bytes, then ``finish``. Left without finish it leaves nothing behind.

    Entering it counts the announced bytes, and raises RateLimited.
    """

    def __init__(
        self,
        uploads: Uploads,
        principal: Principal,
        declared: dict[Algorithm, bytes],
        wanted: Iterable[Algorithm],
        size: int | None,
        allowed: Limits,
        toll: Toll | None,
    ) -> None:
        self._uploads = uploads
        self._announced = size
        self._toll = toll
        self._principal = principal
        self._allowed = allowed
        self._quotas = quotas_of(principal)
        self._judged = 0
        self._declared = declared
        self._blob_key = new_id(uploads.clock())
        writer = uploads.store.open_write(self._blob_key)
        hasher = Hasher({*declared, *wanted}, uploads.settings.sha256_size)
        limit = limits.largest(allowed)
        self._intake = Intake(writer, uploads.room, uploads.hashing, hasher, limit=limit, exact=size, toll=toll)

    async def __aenter__(self) -> Incoming:
        if self._toll is not None:
            await self._toll.announce(self._announced)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the upload; without a ``finish`` before it, nothing is left behind."""
        await self._intake.close()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLarge as soon as they exceed the limit, and QuotaExceeded soon after."""
        await self._intake.write(chunk)
        if self._announced is None and self._quotas and self._intake.size >= self._judged + _STRETCH:
            self._judged = self._intake.size
            await self._uploads.database.lookup(refuse_more, self._quotas, self._judged)

    async def finish(self, new: NewFile) -> Received:
        """Verify what was received, make it durable, record it, and only then return.

        Raises SizeMismatch, DigestMismatch, IdempotencyMismatch, PreconditionFailed, InvalidExpiry, InvalidMetadata, Conflict,
        Forbidden, FileTooLarge, UnsupportedType, QuotaExceeded, NotFound (workspace) and InsufficientStorage; after each of them
        nothing is kept.
        """
        self._uploads.judge(self._principal, self._allowed, new, None)
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
        content_type, detected_type = signatures.judge_types(self._intake.head, new.content_type, new.path)
        return Content(
            blob_key=self._blob_key if inline is None else None,
            inline=inline,
            size=self._intake.size,
            content_type=content_type,
            detected_type=detected_type,
            digests=self._intake.hasher.digests(),
        )

    @brief
    def _record(self, conn: Connection, new: NewFile, content: Content) -> Received:
        if new.idempotency_key is None:
            return self._add(conn, new, content)
        fingerprint = self._fingerprint(new)
        scope = _idempotency_scope(self._principal)
        earlier = bookkeeping.find_request(conn, scope, new.idempotency_key)
        if earlier is not None:
            return _replay(conn, earlier, fingerprint)
        received = self._add(conn, new, content)
        bookkeeping.remember_request(
            conn,
            scope=scope,
            key=new.idempotency_key,
            fingerprint=fingerprint,
            version_id=received.stored.version.id,
            now=received.stored.version.created_at,
        )
        return received

    def _add(self, conn: Connection, new: NewFile, content: Content) -> Received:
        now = self._uploads.clock()
        principal = self._principal
        if policy.has_lapsed(principal.judged_at, now):
            principal = renewed(conn, principal, now)
            policy.authorize(principal, Scope.UPLOAD)
        organization_id = principal.organization.id
        workspace = find_workspace(conn, organization_id, new.workspace)
        allowed = limits.in_force(self._uploads.settings, principal, workspace)
        self._uploads.judge(principal, allowed, new, content.size)
        place = Placement(
            organization_id=organization_id,
            workspace_id=workspace.id,
            path=new.path,
            at_path=new.at_path,
            metadata=new.metadata,
            expires_at=limits.expiry(allowed, now, new.expires_in, new.expires_at),
            user_id=principal.user_id,
            key_id=principal.key.id,
            end_user=principal.end_user,
            fetches=new.fetches,
            rules=limits.rules(self._uploads.settings, allowed),
            quotas=quotas_of(principal, workspace),
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
            new.fetches,
            self._principal.end_user,
            self._intake.size,
            self._intake.hasher.value(Algorithm.CRC32C).hex(),
        ]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def _idempotency_scope(principal: Principal) -> str:
    """Return whose keys of idempotency are meant: each end user has some of its own, and learns nothing of those of others."""
    if principal.end_user is None:
        return principal.key.id
    return f"{principal.key.id}:{hashlib.sha256(principal.end_user.encode()).hexdigest()[:24]}"


def _replay(conn: Connection, earlier: tuple[str, str], fingerprint: str) -> Received:
    remembered, version_id = earlier
    stored = files.find_by_version(conn, version_id)
    if remembered != fingerprint or stored is None:
        raise IdempotencyMismatch()
    return Received(stored, is_new_file=True)
