"""How long files and versions live, and how they end: by time, by deletion, or as the last of their versions goes."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, uploads, workspaces
from fileferry.engine.files import announcements
from fileferry.model import File, State, StoredFile, Version


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
    announcements.announce(conn, "file.expired", file, now)


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
    announcements.announce(conn, "file.deleted", file, now)


def purge(conn: Connection, file: File) -> None:
    """Give up a deleted file that could be restored so far: its versions are moved to deleted."""
    files.update_file(conn, file.id, restorable_until=None)
    files.end_versions(conn, file.id, State.DELETED)
    workspaces.count_files(conn, file.workspace_id, deleted=-1)


def outlast(conn: Connection, current: StoredFile) -> File:
    """Let a file live as long as its current version and those that wait to take its place: none of them ends for another."""
    ends = [version.expires_at for version in (current.version, *files.list_waiting(conn, current))]
    expires_at = None if None in ends else max(end for end in ends if end is not None)
    if expires_at != current.file.expires_at:
        files.update_file(conn, current.file.id, expires_at=expires_at)
    return msgspec.structs.replace(current.file, expires_at=expires_at)


def settle_end(conn: Connection, file_id: str, now: datetime, until: datetime) -> None:
    """Let a file that has lost a version end with what is left, or by ``until`` where that is nothing but rejected ones."""
    current = files.find(conn, file_id)
    if current is None:
        return
    if (
        current.version.state is State.EXPIRED
        and current.file.deleted_at is None
        and not files.list_waiting(conn, current)
    ):
        expire(conn, current.file, now)  # it has only waited for the version that it has lost now
        return
    if current.version.state is not State.READY and files.find_newest(conn, file_id) is None:
        until = min(until, current.version.expires_at or until)
        files.update_version(conn, current.version.id, expires_at=until)
        current = files.find(conn, file_id) or current
    outlast(conn, current)
