"""The state machine of versions: every move is made here, in one transaction that also appends its event to the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import bookkeeping, files, folders, uploads, workspaces
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
    """Where new content goes and what it is called. ``at_path`` files own their path; the others are found by id only.

    A version that was promised brings the ``file_id`` and ``number`` that it was promised with.
    """

    organization_id: str
    workspace_id: str
    path: str
    at_path: bool
    metadata: dict[str, Any]
    expires_at: datetime | None
    user_id: str | None = None
    folder_id: str | None = None
    file_id: str | None = None
    version_id: str | None = None
    number: int | None = None
    preconditions: Preconditions = Preconditions()


class Received(msgspec.Struct, frozen=True):
    """The outcome of an upload. ``is_new_file`` tells a first version from a further one."""

    stored: StoredFile
    is_new_file: bool


def add(conn: Connection, place: Placement, content: Content, now: datetime) -> Received:
    """Make content the ready version of a new file, or of the file that it was promised to or that owns its path.

    Raises PreconditionFailed.
    """
    target = _target(conn, place, now)
    current = files.find(conn, target.id) if target is not None else None
    place.preconditions.verify(current)
    sequence = workspaces.next_numbers(conn, place.workspace_id, now)
    file = target or _new_file(conn, place, now)
    version = Version(
        id=place.version_id or content.blob_key or new_id(now),
        file_id=file.id,
        number=place.number or sequence,
        state=State.READY,
        reason=None,
        size=content.size,
        content_type=content.content_type,
        detected_type=content.detected_type,
        digests=content.digests,
        blob_key=content.blob_key,
        extents=content.extents,
        created_at=now,
        sequence=sequence,
        created_by=place.user_id,
        expires_at=place.expires_at,
    )
    changed = {
        "metadata": place.metadata,
        "modified_at": now,
        "modified_by": place.user_id,
        "expires_at": place.expires_at,
    }
    file = msgspec.structs.replace(file, **changed)
    if target is None:
        files.insert_file(conn, file, version.id)
    else:
        files.update_file(conn, file.id, current_version_id=version.id, **changed)
    files.insert_version(conn, version, file.workspace_id)
    if content.inline is not None:
        files.insert_inline(conn, version.id, content.inline)
    if current is None:
        workspaces.count_files(conn, file.workspace_id, living=1)
    else:
        _supersede(conn, current, now)
    _announce(conn, "file.ready", file, now, version)
    return Received(StoredFile(file, version), is_new_file=current is None)


def reserve(
    conn: Connection, organization_id: str, workspace_id: str, path: str, user_id: str | None, now: datetime
) -> File:
    """Return the file that owns a path; where there is none, one that keeps the path for a first version to come."""
    owner = find_owner(conn, workspace_id, path, now)
    if owner is not None:
        return owner
    place = Placement(
        organization_id=organization_id,
        workspace_id=workspace_id,
        path=path,
        at_path=True,
        metadata={},
        expires_at=None,
        user_id=user_id,
    )
    file = _new_file(conn, place, now)
    files.insert_file(conn, file, None)
    return file


def _target(conn: Connection, place: Placement, now: datetime) -> File | None:
    """Return the file that gets the version: the one it was promised to while that lives, or else the owner of its path."""
    if not place.at_path:
        return None
    promised = files.find_file(conn, place.file_id) if place.file_id else None
    if promised is not None and promised.deleted_at is None and not has_expired(promised, now):
        return promised
    return find_owner(conn, place.workspace_id, place.path, now)


def _new_file(conn: Connection, place: Placement, now: datetime) -> File:
    parent, _, name = place.path.rpartition("/")
    # The id that was promised may be that of a file whose time is over; it names that one for good.
    is_free = place.file_id is not None and files.find_file(conn, place.file_id) is None
    return File(
        id=place.file_id if is_free and place.file_id else new_id(now),
        organization_id=place.organization_id,
        workspace_id=place.workspace_id,
        folder_id=folders.ensure(conn, place.workspace_id, parent, now) if place.at_path else place.folder_id,
        name=name,
        path=place.path,
        owns_path=place.at_path,
        metadata=place.metadata,
        created_at=now,
        modified_at=now,
        expires_at=place.expires_at,
        deleted_at=None,
        created_by=place.user_id,
        modified_by=place.user_id,
    )


def _supersede(conn: Connection, replaced: StoredFile, now: datetime) -> None:
    """Mark the version that is no longer the current one, and end those that the workspace does not keep."""
    files.update_version(conn, replaced.version.id, superseded_at=now)
    keep = workspaces.find_by_id(conn, replaced.file.workspace_id).keep_versions
    if keep is not None:
        trim(conn, replaced.file.id, keep)


def trim(conn: Connection, file_id: str, keep: int) -> None:
    """End a file's versions beyond the newest ``keep``."""
    files.end_some_versions(conn, files.list_surplus(conn, file_id, keep), State.DELETED, "retention")


def extents_within(extents: tuple[Extent, ...] | None, size: int, start: int, length: int) -> Iterator[Extent]:
    """Yield where in the blob the bytes from ``start`` on are, ``length`` of them, of a version with these extents and size."""
    position = 0
    for extent in extents or (Extent(0, size),):
        first = max(start, position)
        last = min(start + length, position + extent.length)
        if first < last:
            yield Extent(extent.offset + first - position, last - first, extent.blob_key)
        position += extent.length


def free_path(conn: Connection, workspace_id: str, path: str, now: datetime) -> bool:
    """Whether no file is at a path; one whose first version is still to come gives way, and that becomes a version of the next."""
    owner = find_owner(conn, workspace_id, path, now)
    if owner is not None and files.find(conn, owner.id) is None:
        files.delete_file(conn, owner.id)
        return True
    return owner is None


def find_owner(conn: Connection, workspace_id: str, path: str, now: datetime) -> File | None:
    """Return the living file that owns a path; one whose time is over is ended first, swept or not, and gives it free."""
    owner = files.find_owner(conn, workspace_id, path)
    if owner is None or not has_expired(owner, now):
        return owner
    expire(conn, owner, now)
    return None


def has_expired(file: File, now: datetime) -> bool:
    """Whether a file's time is over, swept or not."""
    return file.expires_at is not None and file.expires_at <= now


def version_has_expired(version: Version, now: datetime) -> bool:
    """Whether a version's own time is over, swept or not."""
    return version.expires_at is not None and version.expires_at <= now


def expire(conn: Connection, file: File, now: datetime) -> None:
    """Move a file whose time is over, and every version of it, to expired."""
    files.update_file(conn, file.id, deleted_at=now)
    files.end_versions(conn, file.id, State.EXPIRED)
    workspaces.count_files(conn, file.workspace_id, living=-1)
    _announce(conn, "file.expired", file, now)


def delete(
    conn: Connection, file: File, user_id: str | None, now: datetime, restorable_until: datetime | None = None
) -> None:
    """Take a file away from everyone, with what is still on its way to it.

    Its versions stay as they are while it can be restored, and are moved to deleted where it cannot.
    """
    restorable_until = min(restorable_until, file.expires_at or restorable_until) if restorable_until else None
    files.update_file(conn, file.id, deleted_at=now, deleted_by=user_id, restorable_until=restorable_until)
    uploads.end_for_file(conn, file.id)
    if restorable_until is None:
        files.end_versions(conn, file.id, State.DELETED)
    workspaces.count_files(conn, file.workspace_id, living=-1, deleted=0 if restorable_until is None else 1)
    _announce(conn, "file.deleted", file, now)


def purge(conn: Connection, file: File) -> None:
    """Give up a deleted file that could be restored so far: its versions are moved to deleted."""
    files.update_file(conn, file.id, restorable_until=None)
    files.end_versions(conn, file.id, State.DELETED)
    workspaces.count_files(conn, file.workspace_id, deleted=-1)


def restore(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Bring a deleted file back, at ``path``, which must be free."""
    restored = _moved(conn, file, path, now)
    changed = {"deleted_at": None, "deleted_by": None, "restorable_until": None}
    restored = msgspec.structs.replace(restored, **changed)
    files.update_file(conn, file.id, name=restored.name, path=restored.path, folder_id=restored.folder_id, **changed)
    workspaces.count_files(conn, file.workspace_id, living=1, deleted=-1)
    _announce(conn, "file.restored", restored, now)
    return restored


def move(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Give a file another path, which must be free; its id and versions stay."""
    moved = _moved(conn, file, path, now)
    files.update_file(conn, file.id, name=moved.name, path=moved.path, folder_id=moved.folder_id)
    return moved


def _moved(conn: Connection, file: File, path: str, now: datetime) -> File:
    parent, _, name = path.rpartition("/")
    # A hand-off without a folder stays without one: it is found by its id, whatever slashes its name has.
    in_folder = file.owns_path or file.folder_id is not None
    folder_id = folders.ensure(conn, file.workspace_id, parent, now) if in_folder else None
    return msgspec.structs.replace(file, path=path, name=name, folder_id=folder_id)


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
