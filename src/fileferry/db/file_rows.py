"""How files and versions are read from rows, and the conditions that indexes know by their words."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, or_, select, text

from fileferry.db.schema import files, versions
from fileferry.db.statements import Kept
from fileferry.model import Digests, Extent, File, Scan, State, StoredFile, Version

FILE = select(*files.c)
STORED = select(*files.c, *versions.c).join_from(files, versions, versions.c.file_id == files.c.id)
CURRENT = select(*files.c, *versions.c).join_from(files, versions, versions.c.id == files.c.current_version_id)

# In the words of the indexes, or SQLite does not use them.
OWNS_PATH = text("files.owns_path AND files.deleted_at IS NULL")
SHOWN = text("files.deleted_at IS NULL AND files.current_version_id IS NOT NULL")
RESTORABLE = text("files.restorable_until IS NOT NULL")


def living(now: datetime) -> tuple[Any, Any]:
    """Return the conditions of a file that is there, with a version and not over."""
    return SHOWN, or_(files.c.expires_at.is_(None), files.c.expires_at > now)


def restorable(now: datetime) -> tuple[Any, Any]:
    """Return the conditions of a deleted file that can be restored."""
    return RESTORABLE, files.c.restorable_until > now


def read_first(conn: Connection, query: Kept, **parameters: str | int) -> StoredFile | None:
    """Return the first file that a kept statement finds, or None."""
    row = query.first(conn, parameters)
    return None if row is None else _stored(row)


def read_one(conn: Connection, query: Select[Any]) -> StoredFile | None:
    """Return the first file that a query finds, or None."""
    row = conn.execute(query).first()
    return None if row is None else _stored(row)


def read_all(conn: Connection, query: Select[Any]) -> list[StoredFile]:
    """Return every file that a query finds."""
    return [_stored(row) for row in conn.execute(query)]


# Rows are read by position: both tables have columns of the same names, and it is what costs least.
_file_fields = operator.itemgetter(*(files.c.keys().index(name) for name in File.__struct_fields__))
_FILE_COLUMNS = len(files.c)


def read_file(row: Sequence[Any]) -> File:
    """Return the file that a row of ``FILE`` is."""
    return File(*_file_fields(row))


def _stored(row: Sequence[Any]) -> StoredFile:
    return StoredFile(read_file(row), read_version(row, _FILE_COLUMNS))


def read_version(row: Sequence[Any], offset: int) -> Version:
    """Return the version whose columns begin at ``offset`` of a row."""
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
