"""The state machine of versions: every move is made here, in one transaction that also appends its event to the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import bookkeeping, files
from fileferry.errors import PreconditionFailed
from fileferry.model import Digests, Extent, File, State, StoredFile, Version, new_id


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


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are durable and verified in the store, or ``inline`` to go into the database; and what was learned of them."""

    blob_key: str | None
    extents: tuple[Extent, ...] | None = None
    inline: bytes | None = None
    size: int
    content_type: str
    detected_type: str | None
    digests: Digests


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where new content goes and what it is called. ``at_path`` files own their path; the others are found by id only."""

    organization_id: str
    workspace_id: str
    path: str
    at_path: bool
    metadata: dict[str, Any]
    expires_at: datetime | None
    folder_id: str | None = None
    file_id: str | None = None
    version_id: str | None = None
    preconditions: Preconditions = Preconditions()


class Received(msgspec.Struct, frozen=True):
    """The outcome of an upload. ``is_new_file`` tells a first version from a further one."""

    stored: StoredFile
    is_new_file: bool


def add(conn: Connection, place: Placement, content: Content, now: datetime) -> Received:
    """Make content the ready version of a new file, or of the file that owns its path. Raises PreconditionFailed."""
    current = find_at_path(conn, place.workspace_id, place.path, now) if place.at_path else None
    place.preconditions.verify(current)
    file = File(
        id=current.file.id if current else place.file_id or new_id(now),
        organization_id=place.organization_id,
        workspace_id=place.workspace_id,
        folder_id=place.folder_id,
        name=place.path.rpartition("/")[2],
        path=place.path,
        owns_path=place.at_path,
        metadata=place.metadata,
        created_at=current.file.created_at if current else now,
        modified_at=now,
        expires_at=place.expires_at,
        deleted_at=None,
    )
    version = Version(
        id=place.version_id or content.blob_key or new_id(now),
        file_id=file.id,
        number=files.next_number(conn, place.workspace_id, now),
        state=State.READY,
        reason=None,
        size=content.size,
        content_type=content.content_type,
        detected_type=content.detected_type,
        digests=content.digests,
        blob_key=content.blob_key,
        extents=content.extents,
        created_at=now,
    )
    if current is None:
        files.insert_file(conn, file, version.id)
    else:
        changed = {"metadata": file.metadata, "modified_at": now, "expires_at": file.expires_at}
        files.update_file(conn, file.id, current_version_id=version.id, **changed)
    files.insert_version(conn, version)
    if content.inline is not None:
        files.insert_inline(conn, version.id, content.inline)
    _announce(conn, "file.ready", file, now, version)
    return Received(StoredFile(file, version), is_new_file=current is None)


def extents_within(extents: tuple[Extent, ...] | None, size: int, start: int, length: int) -> Iterator[Extent]:
    """Yield where in the blob the bytes from ``start`` on are, ``length`` of them, of a version with these extents and size."""
    position = 0
    for extent in extents or (Extent(0, size),):
        first = max(start, position)
        last = min(start + length, position + extent.length)
        if first < last:
            yield Extent(extent.offset + first - position, last - first)
        position += extent.length


def find_at_path(conn: Connection, workspace_id: str, path: str, now: datetime) -> StoredFile | None:
    """Return the living file that owns a path; one whose time is over is ended first, swept or not, and gives it free."""
    current = files.find_by_path(conn, workspace_id, path)
    if current is None or not has_expired(current.file, now):
        return current
    expire(conn, current.file, now)
    return None


def has_expired(file: File, now: datetime) -> bool:
    """Whether a file's time is over, swept or not."""
    return file.expires_at is not None and file.expires_at <= now


def expire(conn: Connection, file: File, now: datetime) -> None:
    """Move a file whose time is over, and every version of it, to expired."""
    files.update_file(conn, file.id, deleted_at=now)
    files.end_versions(conn, file.id, State.EXPIRED)
    _announce(conn, "file.expired", file, now)


def delete(conn: Connection, file: File, now: datetime) -> None:
    """Move a file and every version of it to deleted."""
    files.update_file(conn, file.id, deleted_at=now)
    files.end_versions(conn, file.id, State.DELETED)
    _announce(conn, "file.deleted", file, now)


def reject(conn: Connection, stored: StoredFile, reason: str, now: datetime) -> None:
    """Move one version to rejected, saying why."""
    files.reject_version(conn, stored.version.id, reason)
    _announce(conn, "file.rejected", stored.file, now, stored.version)


def _announce(conn: Connection, type: str, file: File, now: datetime, version: Version | None = None) -> None:
    bookkeeping.append_event(
        conn,
        organization_id=file.organization_id,
        file_id=file.id,
        version_id=version.id if version else None,
        type=type,
        data={"path": file.path},
        now=now,
    )
