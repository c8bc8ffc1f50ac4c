"""Queries of files and their versions: recording, finding and moving them. Listings are in ``listings``, upkeep in ``upkeep``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from fileferry.db import usage
from fileferry.db.file_rows import (
    CURRENT,
    FILE,
    OWNS_PATH,
    STORED,
    living,
    read_file,
    read_first,
    read_one,
    read_version,
)
from fileferry.db.reach import EVERYTHING, Reach, of_files
from fileferry.db.schema import files, inline_bytes, shared_blobs, versions
from fileferry.db.statements import Kept, change
from fileferry.model import File, State, StoredFile, Version

_INSERT_FILE = Kept(insert(files))
_INSERT_VERSION = Kept(insert(versions))
_INSERT_INLINE = Kept(insert(inline_bytes))
_INLINE = Kept(select(inline_bytes.c.bytes).where(inline_bytes.c.version_id == bindparam("version")))
_BY_FILE = Kept(CURRENT.where(files.c.id == bindparam("file")))
_BY_NUMBER = Kept(STORED.where(files.c.id == bindparam("file"), versions.c.number == bindparam("number")))
_BY_VERSION = Kept(STORED.where(versions.c.id == bindparam("version")))
_AT_PATH = (files.c.workspace_id == bindparam("workspace"), files.c.path == bindparam("path"), OWNS_PATH)
_BY_PATH = Kept(CURRENT.where(*_AT_PATH))
_FILE_BY_ID = Kept(FILE.where(files.c.id == bindparam("file")))
_OWNER = Kept(FILE.where(*_AT_PATH))


def insert_file(conn: Connection, file: File, current_version_id: str | None) -> None:
    """Add a file whose current version is ``current_version_id``, or is still to come."""
    row = {name: getattr(file, name) for name in File.__struct_fields__}
    _INSERT_FILE.run(conn, {**row, "current_version_id": current_version_id})


def insert_version(conn: Connection, version: Version, workspace_id: str, rescan_at: datetime | None = None) -> None:
    """Add a version whose bytes are in the store, of a file of this workspace; ``rescan_at`` is when to scan it."""
    _INSERT_VERSION.run(
        conn,
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
            "md5": version.digests.md5,
            "blob_key": version.blob_key,
            "extents": None if version.extents is None else msgspec.to_builtins(version.extents),
            "has_bytes": True,
            "created_at": version.created_at,
            "sequence": version.sequence,
            "created_by": version.created_by,
            "expires_at": version.expires_at,
            "superseded_at": version.superseded_at,
            "workspace_id": workspace_id,
            "key_id": version.key_id,
            "scan": None if version.scan is None else msgspec.to_builtins(version.scan),
            "rescan_at": rescan_at,
            "fetches_left": version.fetches_left,
        },
    )


def share_blobs(conn: Connection, version_id: str, blob_keys: set[str]) -> None:
    """Record that a version, or one to come, has bytes in blobs which are not its own."""
    conn.execute(delete(shared_blobs).where(shared_blobs.c.version_id == version_id))
    rows = [{"version_id": version_id, "blob_key": blob_key} for blob_key in sorted(blob_keys)]
    if rows:
        conn.execute(insert(shared_blobs), rows)


def list_shared(conn: Connection, version_ids: list[str]) -> list[str]:
    """Return the blobs that these versions share."""
    query = select(shared_blobs.c.blob_key).distinct().where(shared_blobs.c.version_id.in_(version_ids))
    return list(conn.execute(query).scalars())


def are_shared(conn: Connection, blob_keys: list[str]) -> set[str]:
    """Return which of these blobs a version has bytes in beside its own."""
    query = select(shared_blobs.c.blob_key).where(shared_blobs.c.blob_key.in_(blob_keys))
    return set(conn.execute(query).scalars())


def insert_inline(conn: Connection, version_id: str, content: bytes) -> None:
    """Keep the bytes of a small version in the database."""
    _INSERT_INLINE.run(conn, {"version_id": version_id, "bytes": content})


def read_inline(conn: Connection, version_id: str) -> bytes | None:
    """Return the bytes of a version that are in the database; None where they are gone."""
    found: bytes | None = _INLINE.scalar(conn, {"version": version_id})
    return found


def update_file(conn: Connection, file_id: str, **values: Any) -> None:
    """Change columns of one file."""
    change(conn, files, file_id, values)


def update_version(conn: Connection, version_id: str, **values: Any) -> None:
    """Change columns of one version."""
    change(conn, versions, version_id, values)


def find(conn: Connection, file_id: str, number: int | None = None) -> StoredFile | None:
    """Return the file with its current version, or with the one of this number."""
    if number is None:
        return read_first(conn, _BY_FILE, file=file_id)
    return read_first(conn, _BY_NUMBER, file=file_id, number=number)


def find_file(conn: Connection, file_id: str) -> File | None:
    """Return the file, also one whose first version is still to come."""
    row = _FILE_BY_ID.first(conn, {"file": file_id})
    return None if row is None else read_file(row)


def find_owner(conn: Connection, workspace_id: str, path: str) -> File | None:
    """Return the living file that owns ``path``, also one whose first version is still to come."""
    row = _OWNER.first(conn, {"workspace": workspace_id, "path": path})
    return None if row is None else read_file(row)


def find_by_version(conn: Connection, version_id: str) -> StoredFile | None:
    """Return the file with this version of it."""
    return read_first(conn, _BY_VERSION, version=version_id)


def find_newest(conn: Connection, file_id: str) -> StoredFile | None:
    """Return a file with the version of it that completed last, ready or still to be judged."""
    accepted = versions.c.state.in_([State.READY.value, State.PROCESSING.value])
    query = STORED.where(files.c.id == file_id, accepted)
    return read_one(conn, query.order_by(versions.c.sequence.desc()).limit(1))


def list_waiting(conn: Connection, current: StoredFile) -> list[Version]:
    """Return the versions of a file that are still to be judged and came after the current one."""
    of_file = versions.c.file_id == current.file.id
    is_waiting = and_(versions.c.state == State.PROCESSING.value, versions.c.sequence > current.version.sequence)
    return [read_version(row, 0) for row in conn.execute(select(*versions.c).where(of_file, is_waiting))]


def find_by_path(conn: Connection, workspace_id: str, path: str) -> StoredFile | None:
    """Return the living file that owns ``path``."""
    return read_first(conn, _BY_PATH, workspace=workspace_id, path=path)


def find_in_folder(
    conn: Connection, workspace_id: str, path: str, now: datetime, reach: Reach = EVERYTHING
) -> StoredFile | None:
    """Return the newest living file of a folder at a path, of those within reach."""
    query = CURRENT.where(files.c.workspace_id == workspace_id, files.c.path == path, files.c.folder_id.is_not(None))
    return read_one(conn, query.where(*living(now), *of_files(reach)).order_by(files.c.id.desc()).limit(1))


def list_versions(conn: Connection, file_id: str, limit: int) -> list[Version]:
    """Return the ready versions of a file, the last completed first."""
    query = select(*versions.c).where(versions.c.file_id == file_id, versions.c.state == State.READY.value)
    return [read_version(row, 0) for row in conn.execute(query.order_by(versions.c.sequence.desc()).limit(limit))]


def delete_file(conn: Connection, file_id: str) -> None:
    """Forget a file that has no version."""
    conn.execute(files.delete().where(files.c.id == file_id))


def list_surplus(conn: Connection, file_id: str, keep: int) -> list[str]:
    """Return ids of a file's ready versions beyond the newest ``keep``."""
    query = select(versions.c.id).where(versions.c.file_id == file_id, versions.c.state == State.READY.value)
    return list(conn.execute(query.order_by(versions.c.sequence.desc()).offset(keep)).scalars())


def end_some_versions(conn: Connection, version_ids: list[str], state: State, reason: str | None = None) -> None:
    """Move these versions to ``state``."""
    usage.end(conn, versions.c.id.in_(version_ids))
    conn.execute(update(versions).where(versions.c.id.in_(version_ids)).values(state=state.value, reason=reason))


def end_versions(conn: Connection, file_id: str, state: State, reason: str | None = None) -> None:
    """Move every version of a file that has not ended yet to ``state``."""
    alive = and_(versions.c.file_id == file_id, usage.KEPT)
    usage.end(conn, alive)
    conn.execute(update(versions).where(alive).values(state=state.value, reason=reason))


def reject_version(conn: Connection, version_id: str, reason: str) -> None:
    """Move one version to rejected, saying why."""
    usage.end(conn, versions.c.id == version_id)
    conn.execute(update(versions).where(versions.c.id == version_id).values(state=State.REJECTED.value, reason=reason))


def count_fetch(conn: Connection, version_id: str) -> int | None:
    """Count one fetch of a version and return how many it has left; None for any number."""
    limited = and_(versions.c.id == version_id, versions.c.fetches_left.is_not(None))
    counted = update(versions).where(limited).values(fetches_left=versions.c.fetches_left - 1)
    return conn.execute(counted.returning(versions.c.fetches_left)).scalar()
