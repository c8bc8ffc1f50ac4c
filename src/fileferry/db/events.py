"""Queries of the outbox: what happened to files, in the order of the commits that it happened in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from fileferry.db.schema import events
from fileferry.db.statements import Kept
from fileferry.model import Event

_INSERT = Kept(insert(events))
_EVENT = select(*(getattr(events.c, name) for name in Event.__struct_fields__))
_FIRST = Kept(select(func.min(events.c.id)))
_LAST = Kept(select(func.coalesce(func.max(events.c.id), 0)))


def append(
    conn: Connection,
    *,
    organization_id: str,
    file_id: str,
    version_id: str | None,
    type: str,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    """Add an event, in the transaction of the change that it tells of."""
    _INSERT.run(
        conn,
        {
            "organization_id": organization_id,
            "file_id": file_id,
            "version_id": version_id,
            "type": type,
            "data": data,
            "created_at": now,
        },
    )


def append_all(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add events, one at least: each has what ``Event`` has but for the id."""
    _INSERT.run_many(conn, rows)


def first_id(conn: Connection) -> int | None:
    """Return the id of the oldest event that is kept."""
    first: int | None = _FIRST.scalar(conn)
    return first


def last_id(conn: Connection) -> int:
    """Return the id of the newest event; 0 where there is none."""
    return int(_LAST.scalar(conn))


def list_after(
    conn: Connection,
    after_id: int,
    limit: int,
    organization_id: str | None = None,
    types: Sequence[str] | None = None,
    file_id: str | None = None,
) -> list[Event]:
    """Return events in order, those past ``after_id``: of one organization, of some types and of one file, where they are given."""
    query = _EVENT.where(events.c.id > after_id)
    if organization_id is not None:
        query = query.where(events.c.organization_id == organization_id)
    if types is not None:
        query = query.where(events.c.type.in_(types))
    if file_id is not None:
        query = query.where(events.c.file_id == file_id)
    return [Event(*row) for row in conn.execute(query.order_by(events.c.id).limit(limit))]


def forget(conn: Connection, before: datetime) -> int:
    """Forget events from before ``before`` but for the newest, after which ids go on growing; return how many."""
    newest = select(func.max(events.c.id)).scalar_subquery()
    return conn.execute(delete(events).where(events.c.created_at < before, events.c.id < newest)).rowcount
