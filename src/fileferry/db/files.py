"""Queries of files and their versions."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    union_all,
    update,
)

from fileferry.db import usage
from fileferry.db.reach import EVERYTHING, Reach, of_files
from fileferry.db.schema import files, inline_bytes, jobs, references, shared_blobs, uploads, versions, workspaces
from fileferry.model import Digests, Extent, File, Scan, Search, State, StoredFile, UploadState, Version

_FILE = select(*files.c)
_STORED = select(*files.c, *versions.c).join_from(files, versions, versions.c.file_id == files.c.id)
_CURRENT = select(*files.c, *versions.c).join_from(files, versions, versions.c.id == files.c.current_version_id)
# In the words of the indexes, or SQLite does not use them.
_OWNS_PATH = text("files.owns_path AND files.deleted_at IS NULL")
_SHOWN = text("files.deleted_at IS NULL AND files.current_version_id IS NOT NULL")
_RESTORABLE = text("files.restorable_until IS NOT NULL")
_OLD = text("versions.state = 'ready' AND versions.superseded_at IS NOT NULL")
_OLD_WITH_EXPIRY = text("state = 'ready' AND superseded_at IS NOT NULL AND expires_at IS NOT NULL")

# Statements of the hot paths are built once; building one costs more than running it.
_IS_PROMISED = (
    select(uploads.c.id)
    .where(uploads.c.file_id == files.c.id, uploads.c.state.in_([UploadState.OPEN.value, UploadState.RECEIVED.value]))
    .exists()
)
_INSERT_FILE = insert(files)
_INSERT_VERSION = insert(versions)
_INSERT_INLINE = insert(inline_bytes)
_INLINE = select(inline_bytes.c.bytes).where(inline_bytes.c.version_id == bindparam("version"))
_BY_FILE = _CURRENT.where(files.c.id == bindparam("file"))
_BY_NUMBER = _STORED.where(files.c.id == bindparam("file"), versions.c.number == bindparam("number"))
_BY_VERSION = _STORED.where(versions.c.id == bindparam("version"))
_BY_PATH = _CURRENT.where(files.c.workspace_id == bindparam("workspace"), files.c.path == bindparam("path"), _OWNS_PATH)
_FILE_BY_ID = _FILE.where(files.c.id == bindparam("file"))
_OWNER = _FILE.where(files.c.workspace_id == bindparam("workspace"), files.c.path == bindparam("path"), _OWNS_PATH)


def insert_file(conn: Connection, file: File, current_version_id: str | None) -> None:
    """Add a file whose current version is ``current_version_id``, or is still to come."""
    row = {name: getattr(file, name) for name in File.__struct_fields__}
    conn.execute(_INSERT_FILE, {**row, "current_version_id": current_version_id})


def insert_version(conn: Connection, version: Version, workspace_id: str, rescan_at: datetime | None = None) -> None:
    """Add a version whose bytes are in the store, of a file of this workspace; ``rescan_at`` is when to scan it."""
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
    conn.execute(_INSERT_INLINE, {"version_id": version_id, "bytes": content})


def read_inline(conn: Connection, version_id: str) -> bytes | None:
    """Return the bytes of a version that are in the database; None where they are gone."""
    return conn.execute(_INLINE, {"version": version_id}).scalar_one_or_none()


def update_file(conn: Connection, file_id: str, **values: Any) -> None:
    """Change columns of one file."""
    conn.execute(update(files).where(files.c.id == file_id).values(**values))


def update_version(conn: Connection, version_id: str, **values: Any) -> None:
    """Change columns of one version."""
    conn.execute(update(versions).where(versions.c.id == version_id).values(**values))


def find(conn: Connection, file_id: str, number: int | None = None) -> StoredFile | None:
    """Return the file with its current version, or with the one of this number."""
    if number is None:
        return _first(conn, _BY_FILE, file=file_id)
    return _first(conn, _BY_NUMBER, file=file_id, number=number)


def find_file(conn: Connection, file_id: str) -> File | None:
    """Return the file, also one whose first version is still to come."""
    row = conn.execute(_FILE_BY_ID, {"file": file_id}).first()
    return None if row is None else _file(row)


def find_owner(conn: Connection, workspace_id: str, path: str) -> File | None:
    """Return the living file that owns ``path``, also one whose first version is still to come."""
    row = conn.execute(_OWNER, {"workspace": workspace_id, "path": path}).first()
    return None if row is None else _file(row)


def find_by_version(conn: Connection, version_id: str) -> StoredFile | None:
    """Return the file with this version of it."""
    return _first(conn, _BY_VERSION, version=version_id)


def find_newest(conn: Connection, file_id: str) -> StoredFile | None:
    """Return a file with the version of it that completed last, ready or still to be judged."""
    accepted = versions.c.state.in_([State.READY.value, State.PROCESSING.value])
    query = _STORED.where(files.c.id == file_id, accepted)
    return _one(conn, query.order_by(versions.c.sequence.desc()).limit(1))


def list_waiting(conn: Connection, current: StoredFile) -> list[Version]:
    """Return the versions of a file that are still to be judged and came after the current one."""
    of_file = versions.c.file_id == current.file.id
    is_waiting = and_(versions.c.state == State.PROCESSING.value, versions.c.sequence > current.version.sequence)
    return [_version(row, 0) for row in conn.execute(select(*versions.c).where(of_file, is_waiting))]


def find_by_path(conn: Connection, workspace_id: str, path: str) -> StoredFile | None:
    """Return the living file that owns ``path``."""
    return _first(conn, _BY_PATH, workspace=workspace_id, path=path)


def find_in_folder(
    conn: Connection, workspace_id: str, path: str, now: datetime, reach: Reach = EVERYTHING
) -> StoredFile | None:
    """Return the newest living file of a folder at a path, of those within reach."""
    query = _CURRENT.where(files.c.workspace_id == workspace_id, files.c.path == path, files.c.folder_id.is_not(None))
    return _one(conn, query.where(*_living(now), *of_files(reach)).order_by(files.c.id.desc()).limit(1))


def list_versions(conn: Connection, file_id: str, limit: int) -> list[Version]:
    """Return the ready versions of a file, the last completed first."""
    query = select(*versions.c).where(versions.c.file_id == file_id, versions.c.state == State.READY.value)
    return [_version(row, 0) for row in conn.execute(query.order_by(versions.c.sequence.desc()).limit(limit))]


def search(
    conn: Connection, workspace_id: str, asked: Search, now: datetime, reach: Reach = EVERYTHING
) -> list[StoredFile]:
    """Return the page of a workspace's files that ``asked`` describes, of those within reach."""
    query = _CURRENT.where(*_asked(workspace_id, asked, now, reach)).order_by(*_order(asked))
    return _all(conn, query.limit(asked.limit).offset(asked.offset))


def count(conn: Connection, workspace_id: str, asked: Search, now: datetime, reach: Reach = EVERYTHING) -> int:
    """Return how many files within reach ``asked`` describes, whatever the page."""
    query = select(func.count()).select_from(files).join(versions, versions.c.id == files.c.current_version_id)
    total: int = conn.execute(query.where(*_asked(workspace_id, asked, now, reach))).scalar_one()
    return total


def count_over(conn: Connection, workspace_id: str, asked: Search, now: datetime) -> int:
    """Return how many files of a workspace, living or deleted ones, are over but not yet marked so."""
    living = and_(text("expires_at IS NOT NULL AND deleted_at IS NULL"), files.c.expires_at <= now)
    deleted = and_(_RESTORABLE, files.c.restorable_until <= now)
    query = select(func.count()).select_from(files).where(deleted if asked.deleted else living)
    # As a bare column it would be looked up in an index of all the workspace's files; few are over, of all workspaces.
    of_workspace = func.coalesce(files.c.workspace_id, "") == workspace_id
    total: int = conn.execute(query.where(of_workspace)).scalar_one()
    return total


def list_newest(
    conn: Connection,
    organization_id: str,
    now: datetime,
    after_id: str | None,
    limit: int,
    reach: Reach = EVERYTHING,
) -> list[StoredFile]:
    """Return living files of an organization within reach, newest first, those older than ``after_id``."""
    query = _CURRENT.where(files.c.organization_id == organization_id, *_living(now), *of_files(reach))
    if after_id is not None:
        query = query.where(files.c.id < after_id)
    return _all(conn, query.order_by(files.c.id.desc()).limit(limit))


def list_unrejected(
    conn: Connection, organization_id: str, now: datetime, reach: Reach, offset: int, limit: int
) -> list[StoredFile]:
    """Return living files of an organization within reach that were not rejected, newest first."""
    query = _CURRENT.where(*_unrejected(organization_id, now, reach))
    return _all(conn, query.order_by(files.c.id.desc()).offset(offset).limit(limit))


def count_unrejected(conn: Connection, organization_id: str, now: datetime, reach: Reach) -> int:
    """Return how many files ``list_unrejected`` has on all pages."""
    query = select(func.count()).select_from(files).join(versions, versions.c.id == files.c.current_version_id)
    total: int = conn.execute(query.where(*_unrejected(organization_id, now, reach))).scalar_one()
    return total


def _unrejected(organization_id: str, now: datetime, reach: Reach) -> list[Any]:
    of_organization = files.c.organization_id == organization_id
    return [of_organization, *_living(now), *of_files(reach), versions.c.state != State.REJECTED.value]


def list_in_folder(
    conn: Connection, folder_id: str, now: datetime, after_id: str, limit: int, reach: Reach = EVERYTHING
) -> list[StoredFile]:
    """Return living files of a folder within reach in order of id, those past ``after_id``."""
    query = _CURRENT.where(files.c.folder_id == folder_id, files.c.id > after_id, *_living(now), *of_files(reach))
    return _all(conn, query.order_by(files.c.id).limit(limit))


def list_by_path(
    conn: Connection,
    workspace_id: str,
    prefix: str,
    now: datetime,
    after: tuple[str, str] | None,
    limit: int,
    *,
    deleted: bool = False,
    reach: Reach = EVERYTHING,
) -> list[StoredFile]:
    """Return files of a workspace within reach whose path starts with ``prefix``, by path and id, those past ``after``.

    They are the living ones, or else the ``deleted`` ones that can be restored.
    """
    shown = _restorable(now) if deleted else _living(now)
    query = _CURRENT.where(_in_workspace(workspace_id, reach), *shown, *of_files(reach))
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


def list_purgeable(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of deleted files that can no longer be restored and are not yet marked so."""
    over = and_(_RESTORABLE, files.c.restorable_until <= now)
    return list(conn.execute(select(files.c.id).where(over).order_by(files.c.restorable_until).limit(limit)).scalars())


def list_unborn(conn: Connection, limit: int) -> list[str]:
    """Return ids of files whose first version was to come and no longer is."""
    query = select(files.c.id).where(text("current_version_id IS NULL"), ~_IS_PROMISED)
    return list(conn.execute(query.limit(limit)).scalars())


def delete_unborn(conn: Connection, file_ids: list[str]) -> None:
    """Forget those of these files that no version has come of, nor is to come."""
    conn.execute(files.delete().where(files.c.id.in_(file_ids), files.c.current_version_id.is_(None), ~_IS_PROMISED))


def delete_file(conn: Connection, file_id: str) -> None:
    """Forget a file that has no version."""
    conn.execute(files.delete().where(files.c.id == file_id))


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


def list_surplus(conn: Connection, file_id: str, keep: int) -> list[str]:
    """Return ids of a file's ready versions beyond the newest ``keep``."""
    query = select(versions.c.id).where(versions.c.file_id == file_id, versions.c.state == State.READY.value)
    return list(conn.execute(query.order_by(versions.c.sequence.desc()).offset(keep)).scalars())


def list_with_surplus(conn: Connection, limit: int) -> list[tuple[str, int]]:
    """Return files that have more ready versions than their workspace keeps, and how many it keeps."""
    query = (
        select(files.c.id, workspaces.c.keep_versions)
        .join_from(workspaces, files, files.c.workspace_id == workspaces.c.id)
        .join(versions, versions.c.file_id == files.c.id)
        .where(workspaces.c.keep_versions.is_not(None), versions.c.state == State.READY.value, _SHOWN)
        .group_by(files.c.id, workspaces.c.keep_versions)
        .having(func.count() > workspaces.c.keep_versions)
    )
    return [(row[0], row[1]) for row in conn.execute(query.limit(limit))]


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
    return [_version(row, 0) for row in conn.execute(query.order_by(versions.c.id).limit(limit))]


def delete_tombstones(conn: Connection, before: datetime, limit: int) -> int:
    """Forget files that ended before ``before`` and whose bytes are gone; return how many."""
    ended = select(files.c.id).where(files.c.deleted_at.is_not(None), files.c.deleted_at < before)
    keeping = select(versions.c.file_id).where(versions.c.file_id == files.c.id, versions.c.has_bytes)
    ids = list(conn.execute(ended.where(~keeping.exists()).limit(limit)).scalars())
    if ids:
        ended_versions = select(versions.c.id).where(versions.c.file_id.in_(ids))
        conn.execute(delete(jobs).where(jobs.c.version_id.in_(ended_versions)))
        conn.execute(delete(references).where(references.c.file_id.in_(ids)))
        conn.execute(versions.delete().where(versions.c.file_id.in_(ids)))
        conn.execute(files.delete().where(files.c.id.in_(ids)))
    return len(ids)


def _living(now: datetime) -> tuple[Any, Any]:
    return _SHOWN, or_(files.c.expires_at.is_(None), files.c.expires_at > now)


def _restorable(now: datetime) -> tuple[Any, Any]:
    return _RESTORABLE, files.c.restorable_until > now


_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
}
_SORTED = {
    "created_at": files.c.created_at,
    "modified_at": files.c.modified_at,
    "deleted_at": files.c.deleted_at,
    "name": files.c.name,
    "path": files.c.path,
    "size": versions.c.size,
}


def _in_workspace(workspace_id: str, reach: Reach) -> Any:
    if reach.end_user is None:
        return files.c.workspace_id == workspace_id
    # Of a user there are few; as a bare column it would have all of the workspace walked through for them, in their order.
    return func.coalesce(files.c.workspace_id, "") == workspace_id


def _asked(workspace_id: str, asked: Search, now: datetime, reach: Reach) -> list[Any]:
    shown = _restorable(now) if asked.deleted else _living(now)
    conditions = [_in_workspace(workspace_id, reach), *shown, *of_files(reach)]
    if asked.name is not None:
        conditions.append(files.c.name.icontains(asked.name, autoescape=True))
    for column, user in (
        (files.c.created_by, asked.created_by),
        (files.c.modified_by, asked.modified_by),
        (files.c.deleted_by, asked.deleted_by),
    ):
        if user is not None:
            conditions.append(column == user)
    for column, ranges in (
        (files.c.created_at, asked.created_at),
        (files.c.modified_at, asked.modified_at),
        (files.c.deleted_at, asked.deleted_at),
        (versions.c.size, asked.size),
    ):
        conditions += [_COMPARED[bound.op](column, bound.value) for bound in ranges]
    return conditions


def _order(asked: Search) -> list[Any]:
    fields = asked.order_by or (("deleted_at" if asked.deleted else "created_at", False),)
    order = [_SORTED[name].desc() if descends else _SORTED[name] for name, descends in fields]
    # Pages need an order without ties; in one direction, so that an index gives it.
    return [*order, files.c.id.desc() if fields[-1][1] else files.c.id]


def _after_prefix(prefix: str) -> str:
    """Return the least string above every string that starts with ``prefix``."""
    following = ord(prefix[-1]) + 1
    if following > sys.maxunicode:
        return prefix + chr(sys.maxunicode)
    # No text has a surrogate, and no database takes one.
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)


def _first(conn: Connection, query: Select[Any], **parameters: str | int) -> StoredFile | None:
    row = conn.execute(query, parameters).first()
    return None if row is None else _stored(row)


def _one(conn: Connection, query: Select[Any]) -> StoredFile | None:
    row = conn.execute(query).first()
    return None if row is None else _stored(row)


def _all(conn: Connection, query: Select[Any]) -> list[StoredFile]:
    return [_stored(row) for row in conn.execute(query)]


# Rows are read by position: both tables have columns of the same names, and it is what costs least.
_file_fields = operator.itemgetter(*(files.c.keys().index(name) for name in File.__struct_fields__))
_FILE_COLUMNS = len(files.c)


def _file(row: Row[Any]) -> File:
    return File(*_file_fields(row))


def _stored(row: Row[Any]) -> StoredFile:
    return StoredFile(_file(row), _version(row, _FILE_COLUMNS))


def _version(row: Row[Any], offset: int) -> Version:
    id, file_id, number, state, reason, size, content_type, detected, crc32c, sha256, md5, *rest = row[offset:]
    blob_key, extents, _has_bytes, created_at, sequence, created_by, expires_at, superseded_at, *rest = rest
    _workspace, key_id, scan, _rescan_at, fetches_left = rest
    return Version(
        id=id,
        file_id=file_id,
        number=number,
        state=State(state),
        reason=reason,
        size=size,
        content_type=content_type,
        detected_type=detected,
        digests=Digests(crc32c, sha256, md5),
        blob_key=blob_key,
        extents=None if extents is None else msgspec.convert(extents, tuple[Extent, ...]),
        created_at=created_at,
        sequence=sequence,
        created_by=created_by,
        expires_at=expires_at,
        superseded_at=superseded_at,
        key_id=key_id,
        scan=None if scan is None else msgspec.convert(scan, Scan),
        fetches_left=fetches_left,
    )
