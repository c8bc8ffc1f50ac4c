"""Queries of what is over: files and versions to end, bytes to free, rows to forget."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, func, select, text, union_all, update

from fileferry.db.file_rows import RESTORABLE, SHOWN, read_version
from fileferry.db.schema import files, inline_bytes, jobs, references, shared_blobs, uploads, versions, workspaces
from fileferry.model import State, UploadState, Version

_OLD = text("versions.state = 'ready' AND versions.superseded_at IS NOT NULL")
_OLD_WITH_EXPIRY = text("state = 'ready' AND superseded_at IS NOT NULL AND expires_at IS NOT NULL")

# Statements of the hot paths are built once; building one costs more than running it.
_IS_PROMISED = (
    select(uploads.c.id)
    .where(uploads.c.file_id == files.c.id, uploads.c.state.in_([UploadState.OPEN.value, UploadState.RECEIVED.value]))
    .exists()
)


def list_expired(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of files whose time is over and that are not yet marked so."""
    overdue = and_(files.c.expires_at.is_not(None), files.c.expires_at <= now, files.c.deleted_at.is_(None))
    return list(conn.execute(select(files.c.id).where(overdue).order_by(files.c.expires_at).limit(limit)).scalars())


def list_purgeable(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of deleted files that can no longer be restored and are not yet marked so."""
    over = and_(RESTORABLE, files.c.restorable_until <= now)
    return list(conn.execute(select(files.c.id).where(over).order_by(files.c.restorable_until).limit(limit)).scalars())


def list_unborn(conn: Connection, limit: int) -> list[str]:
    """Return ids of files whose first version was to come and no longer is."""
    query = select(files.c.id).where(text("current_version_id IS NULL"), ~_IS_PROMISED)
    return list(conn.execute(query.limit(limit)).scalars())


def delete_unborn(conn: Connection, file_ids: list[str]) -> None:
    """Forget those of these files that no version has come of, nor is to come."""
    conn.execute(files.delete().where(files.c.id.in_(file_ids), files.c.current_version_id.is_(None), ~_IS_PROMISED))


def list_old_expired(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of replaced versions whose own time is over."""
    query = select(versions.c.id).where(_OLD_WITH_EXPIRY, versions.c.expires_at <= now)
    return list(conn.execute(query.order_by(versions.c.expires_at).limit(limit)).scalars())


def list_outdated(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of versions that were replaced longer ago than their workspace keeps them."""
    found: list[str] = []
    keeping = select(workspaces.c.id, workspaces.c.keep_versions_for).where(workspaces.c.keep_versions_for.is_not(None))
    for workspace_id, seconds in conn.execute(keeping).all():
        old = and_(_OLD, versions.c.superseded_at <= now - timedelta(seconds=seconds))
        query = select(versions.c.id).where(versions.c.workspace_id == workspace_id, old)
        found += conn.execute(query.limit(limit - len(found))).scalars()
    return found


def list_with_surplus(conn: Connection, limit: int) -> list[tuple[str, int]]:
    """Return files that have more ready versions than their workspace keeps, and how many it keeps."""
    query = (
        select(files.c.id, workspaces.c.keep_versions)
        .join_from(workspaces, files, files.c.workspace_id == workspaces.c.id)
        .join(versions, versions.c.file_id == files.c.id)
        .where(workspaces.c.keep_versions.is_not(None), versions.c.state == State.READY.value, SHOWN)
        .group_by(files.c.id, workspaces.c.keep_versions)
        .having(func.count() > workspaces.c.keep_versions)
    )
    return [(row[0], row[1]) for row in conn.execute(query.limit(limit))]


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
    conn.execute(delete(shared_blobs).where(shared_blobs.c.version_id.in_(version_ids)))
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
    shared = select(shared_blobs.c.blob_key).where(shared_blobs.c.blob_key.in_(blob_keys))
    return set(conn.execute(union_all(of_versions, of_uploads, shared)).scalars())


def list_ready(conn: Connection, after_id: str, limit: int) -> list[Version]:
    """Return ready versions in order of id, those past ``after_id``."""
    query = select(*versions.c).where(versions.c.id > after_id, versions.c.state == State.READY.value)
    return [read_version(row, 0) for row in conn.execute(query.order_by(versions.c.id).limit(limit))]


def delete_tombstones(conn: Connection, before: datetime, limit: int, workspace_id: str | None = None) -> int:
    """Forget files, of one workspace or of all, that ended before ``before`` and whose bytes are gone; return how many."""
    ended = select(files.c.id).where(files.c.deleted_at.is_not(None), files.c.deleted_at < before)
    if workspace_id is not None:
        ended = ended.where(files.c.workspace_id == workspace_id)
    keeping = select(versions.c.file_id).where(versions.c.file_id == files.c.id, versions.c.has_bytes)
    ids = list(conn.execute(ended.where(~keeping.exists()).limit(limit)).scalars())
    if ids:
        ended_versions = select(versions.c.id).where(versions.c.file_id.in_(ids))
        conn.execute(delete(jobs).where(jobs.c.version_id.in_(ended_versions)))
        conn.execute(delete(references).where(references.c.file_id.in_(ids)))
        conn.execute(versions.delete().where(versions.c.file_id.in_(ids)))
        conn.execute(files.delete().where(files.c.id.in_(ids)))
    return len(ids)
