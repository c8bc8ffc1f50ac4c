"""Queries of batches."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from fileferry.db.schema import batches
from fileferry.model import Batch

_COLUMNS = (
    batches.c.id,
    batches.c.organization_id,
    batches.c.upload_ids,
    batches.c.created_at,
    batches.c.committed_at,
)


def insert_batch(conn: Connection, batch: Batch) -> None:
    """Add a batch."""
    conn.execute(insert(batches), {column.name: getattr(batch, column.name) for column in _COLUMNS})


def find(conn: Connection, batch_id: str) -> Batch | None:
    """Return a batch by its id."""
    row = conn.execute(select(*_COLUMNS).where(batches.c.id == batch_id)).first()
    return None if row is None else Batch(*row)


def commit(conn: Connection, batch_id: str, at: datetime) -> None:
    """Record when a batch was committed first."""
    conn.execute(
        update(batches).where(batches.c.id == batch_id, batches.c.committed_at.is_(None)).values(committed_at=at)
    )


def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Forget at most ``limit`` batches that were made before ``before``; return how many."""
    old = select(batches.c.id).where(batches.c.created_at < before).limit(limit)
    return conn.execute(delete(batches).where(batches.c.id.in_(old))).rowcount
