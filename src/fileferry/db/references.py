"""Queries of references: what holds a file although its end user deletes it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from fileferry.db.schema import files, references


class Kind(enum.StrEnum):
    """What a file may be attached to."""

    MESSAGE = "message"
    THREAD = "thread"


class Target(msgspec.Struct, frozen=True):
    """A message or thread of the caller's, by its id, that a file is attached to."""

    kind: Kind
    id: str


class Reference(msgspec.Struct, frozen=True):
    """A file that is attached to something, and since when."""

    file_id: str
    target: Target
    created_at: datetime


def insert_reference(conn: Connection, reference: Reference) -> None:
    """Attach a file."""
    target = reference.target
    row = {"file_id": reference.file_id, "kind": target.kind.value, "reference": target.id}
    conn.execute(insert(references), {**row, "created_at": reference.created_at})


def find(conn: Connection, file_id: str, target: Target) -> Reference | None:
    """Return the reference of a file to this target."""
    row = conn.execute(select(references.c.created_at).where(_is(file_id, target))).first()
    return None if row is None else Reference(file_id, target, row[0])


def delete_reference(conn: Connection, file_id: str, target: Target) -> bool:
    """Release a file; False where it was not attached to this target."""
    return conn.execute(delete(references).where(_is(file_id, target))).rowcount > 0


def count(conn: Connection, file_id: str) -> int:
    """Return how many references a file has."""
    total: int = conn.execute(select(func.count()).where(references.c.file_id == file_id)).scalar_one()
    return total


def list_references(conn: Connection, file_id: str, offset: int, limit: int) -> list[Reference]:
    """Return references of a file, the oldest first."""
    query = select(references.c.kind, references.c.reference, references.c.created_at)
    query = query.where(references.c.file_id == file_id)
    query = query.order_by(references.c.created_at, references.c.kind, references.c.reference)
    rows: Any = conn.execute(query.offset(offset).limit(limit))
    return [Reference(file_id, Target(Kind(kind), id), created_at) for kind, id, created_at in rows]


def mark_deleted(conn: Connection, file_id: str) -> None:
    """Record that the end user of a file has deleted it."""
    conn.execute(update(files).where(files.c.id == file_id).values(deleted_by_end_user=True))


def is_marked_deleted(conn: Connection, file_id: str) -> bool:
    """Whether the end user of a file has deleted it, and a reference holds it."""
    return bool(conn.execute(select(files.c.deleted_by_end_user).where(files.c.id == file_id)).scalar())


def _is(file_id: str, target: Target) -> ColumnElement[bool]:
    return and_(
        references.c.file_id == file_id,
        references.c.kind == target.kind.value,
        references.c.reference == target.id,
    )
