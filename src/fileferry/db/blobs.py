"""Queries of blobs that are needed: which there are, in the order of their keys, and whose digests are known."""

from __future__ import annotations

from sqlalchemy import Connection, select

from fileferry.db.file_rows import read_version
from fileferry.db.schema import shared_blobs, uploads, versions
from fileferry.model import State, UploadState, Version

_ENDED = [State.EXPIRED.value, State.DELETED.value, State.REJECTED.value]
_UNDER_WAY = [UploadState.OPEN.value, UploadState.RECEIVED.value]

_OF_VERSIONS = select(versions.c.blob_key).where(
    versions.c.has_bytes, versions.c.blob_key.is_not(None), versions.c.state.not_in(_ENDED)
)
_OF_UPLOADS = select(uploads.c.blob_key).where(uploads.c.blob_key.is_not(None), uploads.c.state.in_(_UNDER_WAY))
_SHARED = select(shared_blobs.c.blob_key)


def list_needed(conn: Connection, after: str, until: str | None, limit: int) -> list[str]:
    """Return keys past ``after``, up to ``until``, in order: of living versions, of uploads under way, and shared ones.

    Of an upload it may be that nothing of its blob has come.
    """
    found: set[str] = set()
    for query in (_OF_VERSIONS, _OF_UPLOADS, _SHARED):
        (key,) = query.selected_columns
        # Each by its own index: a union of them would be sorted whole for every page.
        between = (key > after) if until is None else key.between(after, until) & (key != after)
        found.update(conn.execute(query.where(between).order_by(key).limit(limit)).scalars())
    return sorted(found)[:limit]


def are_needed(conn: Connection, keys: list[str]) -> set[str]:
    """Return which of these ``list_needed`` would list."""
    found: set[str] = set()
    for query in (_OF_VERSIONS, _OF_UPLOADS, _SHARED):
        (key,) = query.selected_columns
        found.update(conn.execute(query.where(key.in_(keys))).scalars())
    return found


def find_owners(conn: Connection, keys: list[str]) -> dict[str, Version]:
    """Return the ready versions of these blobs of their own, by key."""
    query = select(*versions.c).where(versions.c.blob_key.in_(keys), versions.c.state == State.READY.value)
    return {version.blob_key: version for row in conn.execute(query) if (version := read_version(row, 0)).blob_key}
