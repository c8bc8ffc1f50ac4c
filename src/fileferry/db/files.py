"""Queries of files and their versions."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, delete, insert, or_, select, text, union_all, update

from fileferry.db.schema import files, inline_bytes, uploads, versions, workspaces
from fileferry.model import Digests, Extent, File, State, StoredFile, Version

_STORED = select(*files.c, *versions.c).join_from(files, versions, versions.c.file_id == files.c.id)
_CURRENT = select(*files.c, *versions.c).join_from(files, versions, versions.c.id == files.c.current_version_id)
_FREEABLE = (State.EXPIRED, State.DELETED, State.REJECTED)


# Statements of the hot paths are built once; building one costs more than running it.
_ADVANCE = (
    update(workspaces)
    .where(workspaces.c.id == bindparam("workspace"), workspaces.c.last_number < bindparam("clock"))
    .values(last_number=bindparam("clock"))
    .returning(workspaces.c.last_number)
)
_STEP = (
    update(workspaces)
    .where(workspaces.c.id == bindparam("workspace"))
    .values(last_number=workspaces.c.last_number + 1)
    .returning(workspaces.c.last_number)
)
_INSERT_FILE = insert(files)
_INSERT_VERSION = insert(versions)
_INSERT_INLINE = insert(inline_bytes)
_INLINE = select(inline_bytes.c.bytes).where(inline_bytes.c.version_id == bindparam("version"))
_BY_FILE = _CURRENT.where(files.c.id == bindparam("file"))
_BY_VERSION = _STORED.where(versions.c.id == bindparam("version"))
_BY_PATH = _CURRENT.where(
    files.c.workspace_id == bindparam("workspace"),
    files.c.path == bindparam("path"),
    text("files.owns_path AND files.deleted_at IS NULL"),  # in the words of the index, or SQLite does not use it
)


def next_number(conn: Connection, workspace_id: str, now: datetime) -> int:
    """Return a version number above every earlier one of the workspace: nanoseconds of ``now``, or the last one plus one."""
    clock = int(now.timestamp() * 1_000_000) * 1000
    # Two statements rather than a greatest(): its name differs between databases.
    number = conn.execute(_ADVANCE, {"workspace": workspace_id, "clock": clock}).scalar_one_or_none()
    if number is None:
        number = conn.execute(_STEP, {"workspace": workspace_id}).scalar_one()
    return int(number)


def insert_file(conn: Connection, file: File, current_version_id: str) -> None:
    """Add a file whose current version is ``current_version_id``."""
    conn.execute(
        _INSERT_FILE,
        {
            "id": file.id,
            "organization_id": file.organization_id,
            "workspace_id": file.workspace_id,
            "folder_id": file.folder_id,
            "name": file.name,
            "path": file.path,
            "owns_path": file.owns_path,
            "current_version_id": current_version_id,
            "metadata": file.metadata,
            "created_at": file.created_at,
            "modified_at": file.modified_at,
            "expires_at": file.expires_at,
            "deleted_at": file.deleted_at,
        },
    )


def insert_version(conn: Connection, version: Version) -> None:
    """Add a version whose bytes are in the store."""
    conn.execute(
        _INSERT_VERSION,
        {
            "id": version.id,
            "file_id": version.file_id,
            "number": version.number,
            "state": version.state.value,
            "reason": version.reason,
            "size": version.size,
            "content_type": version.content_type,
            "detected_type": version.detected_type,
            "crc32c": version.digests.crc32c,
            "sha256": version.digests.sha256,
            "blob_key": version.blob_key,
            "extents": None if version.extents is None else [[e.offset, e.length] for e in version.extents],
            "has_bytes": True,
            "created_at": version.created_at,
        },
    )


def insert_inline(conn: Connection, version_id: str, content: bytes) -> None:
    """Keep the bytes of a small version in the database."""
    conn.execute(_INSERT_INLINE, {"version_id": version_id, "bytes": content})


def read_inline(conn: Connection, version_id: str) -> bytes | None:
    """Return the bytes of a version that are in the database; None where they are gone."""
    return conn.execute(_INLINE, {"version": version_id}).scalar_one_or_none()


def update_file(conn: Connection, file_id: str, **values: Any) -> None:
    """Change columns of one file."""
    conn.execute(update(files).where(files.c.id == file_id).values(**values))


def find(conn: Connection, file_id: str) -> StoredFile | None:
    """Return the file with its current version."""
    return _first(conn, _BY_FILE, file=file_id)


def find_by_version(conn: Connection, version_id: str) -> StoredFile | None:
    """Return the file with this version of it."""
    return _first(conn, _BY_VERSION, version=version_id)


def find_by_path(conn: Connection, workspace_id: str, path: str) -> StoredFile | None:
    """Return the living file that owns ``path``."""
    return _first(conn, _BY_PATH, workspace=workspace_id, path=path)


def list_newest(
    conn: Connection, organization_id: str, now: datetime, after_id: str | None, limit: int
) -> list[StoredFile]:
    """Return living files of an organization, newest first, those older than ``after_id``."""
    query = _CURRENT.where(files.c.organization_id == organization_id, *_living(now))
    if after_id is not None:
        query = query.where(files.c.id < after_id)
    return _all(conn, query.order_by(files.c.id.desc()).limit(limit))


def list_in_folder(conn: Connection, folder_id: str, now: datetime, after_id: str, limit: int) -> list[StoredFile]:
    """Return living files of a folder in order of id, those past ``after_id``."""
    query = _CURRENT.where(files.c.folder_id == folder_id, files.c.id > after_id, *_living(now))
    return _all(conn, query.order_by(files.c.id).limit(limit))


def list_by_path(
    conn: Connection, workspace_id: str, prefix: str, now: datetime, after: tuple[str, str] | None, limit: int
) -> list[StoredFile]:
    """Return living files of a workspace whose path starts with ``prefix``, by path and id, those past ``after``."""
    query = _CURRENT.where(files.c.workspace_id == workspace_id, *_living(now))
    if prefix:
        query = query.where(files.c.path >= prefix, files.c.path < _after_prefix(prefix))
    if after is not None:
        path, file_id = after
        query = query.where(
            files.c.path >= path, or_(files.c.path > path, and_(files.c.path == path, files.c.id > file_id))
        )
    return _all(conn, query.order_by(files.c.path, files.c.id).limit(limit))


def list_expired(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of files whose time is over and that are not yet marked so."""
    overdue = and_(files.c.expires_at.is_not(None), files.c.expires_at <= now, files.c.deleted_at.is_(None))
    return list(conn.execute(select(files.c.id).where(overdue).order_by(files.c.expires_at).limit(limit)).scalars())


def end_versions(conn: Connection, file_id: str, state: State, reason: str | None = None) -> None:
    """Move every version of a file that has not ended yet to ``state``."""
    alive = and_(versions.c.file_id == file_id, versions.c.state.not_in([state.value for state in _FREEABLE]))
    conn.execute(update(versions).where(alive).values(state=state.value, reason=reason))


def reject_version(conn: Connection, version_id: str, reason: str) -> None:
    """Move one version to rejected, saying why."""
    conn.execute(update(versions).where(versions.c.id == version_id).values(state=State.REJECTED.value, reason=reason))


def list_freeable(conn: Connection, limit: int) -> list[tuple[str, str | None]]:
    """Return id and blob key of ended versions whose bytes may still be there."""
    # In the words of the index, or SQLite does not use it. Bytes that were missing may come back: nothing of them is freed.
    ended = text("has_bytes AND state IN ('expired', 'deleted', 'rejected')")
    kept = versions.c.reason.is_distinct_from("bytes_missing")
    query = select(versions.c.id, versions.c.blob_key).where(ended, kept).limit(limit)
    return [(row[0], row[1]) for row in conn.execute(query)]


def mark_freed(conn: Connection, version_ids: list[str]) -> None:
    """Record that the blobs of these versions are gone, and remove what of them is in the database."""
    conn.execute(delete(inline_bytes).where(inline_bytes.c.version_id.in_(version_ids)))
    conn.execute(update(versions).where(versions.c.id.in_(version_ids)).values(has_bytes=False))


def any_blob(conn: Connection) -> bool:
    """Whether any version or upload has bytes in the store."""
    of_versions = select(versions.c.id).where(versions.c.has_bytes, versions.c.blob_key.is_not(None)).limit(1)
    of_uploads = select(uploads.c.id).where(uploads.c.blob_key.is_not(None)).limit(1)
    return any(conn.execute(query).first() is not None for query in (of_versions, of_uploads))


def with_bytes(conn: Connection, blob_keys: list[str]) -> set[str]:
    """Return which of these blobs belong to a version, or to an upload that has not ended."""
    of_versions = select(versions.c.blob_key).where(versions.c.blob_key.in_(blob_keys), versions.c.has_bytes)
    of_uploads = select(uploads.c.blob_key).where(uploads.c.blob_key.in_(blob_keys))
    return set(conn.execute(union_all(of_versions, of_uploads)).scalars())


def list_ready(conn: Connection, after_id: str, limit: int) -> list[Version]:
    """Return ready versions in order of id, those past ``after_id``."""
    query = select(*versions.c).where(versions.c.id > after_id, versions.c.state == State.READY.value)
    return [_version(row, 0) for row in conn.execute(query.order_by(versions.c.id).limit(limit))]


def delete_tombstones(conn: Connection, before: datetime, limit: int) -> int:
    """Forget files that ended before ``before`` and whose bytes are gone; return how many."""
    ended = select(files.c.id).where(files.c.deleted_at.is_not(None), files.c.deleted_at < before)
    keeping = select(versions.c.file_id).where(versions.c.file_id == files.c.id, versions.c.has_bytes)
    ids = list(conn.execute(ended.where(~keeping.exists()).limit(limit)).scalars())
    if ids:
        conn.execute(versions.delete().where(versions.c.file_id.in_(ids)))
        conn.execute(files.delete().where(files.c.id.in_(ids)))
    return len(ids)


def _living(now: datetime) -> tuple[Any, Any]:
    return files.c.deleted_at.is_(None), or_(files.c.expires_at.is_(None), files.c.expires_at > now)


def _after_prefix(prefix: str) -> str:
    """Return the least string above every string that starts with ``prefix``."""
    following = ord(prefix[-1]) + 1
    if following > sys.maxunicode:
        return prefix + chr(sys.maxunicode)
    # No text has a surrogate, and no database takes one.
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)


def _first(conn: Connection, query: Select[Any], **parameters: str) -> StoredFile | None:
    row = conn.execute(query, parameters).first()
    return None if row is None else _stored(row)


def _all(conn: Connection, query: Select[Any]) -> list[StoredFile]:
    return [_stored(row) for row in conn.execute(query)]


_FILE_COLUMNS = len(files.c)


def _stored(row: Row[Any]) -> StoredFile:
    id, organization_id, workspace_id, folder_id, name, path, owns_path, _current, metadata, *times = row[
        :_FILE_COLUMNS
    ]
    file = File(id, organization_id, workspace_id, folder_id, name, path, owns_path, metadata, *times)
    return StoredFile(file, _version(row, _FILE_COLUMNS))


def _version(row: Row[Any], offset: int) -> Version:
    id, file_id, number, state, reason, size, content_type, detected, crc32c, sha256, *rest = row[offset:]
    blob_key, extents, _has_bytes, created = rest
    return Version(
        id=id,
        file_id=file_id,
        number=number,
        state=State(state),
        reason=reason,
        size=size,
        content_type=content_type,
        detected_type=detected,
        digests=Digests(crc32c, sha256),
        blob_key=blob_key,
        extents=None if extents is None else tuple(Extent(*extent) for extent in extents),
        created_at=created,
    )
