"""Queries of the outbox: what happened to files, in the order of the commits that it happened in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from fileferry.db.notices import tell
from fileferry.db.schema import events, organizations
from fileferry.db.statements import Kept
from fileferry.model import Event

_INSERT = Kept(insert(events))
_EVENT = select(*(getattr(events.c, name) for name in Event.__struct_fields__))
_LAST = Kept(select(func.coalesce(func.max(events.c.id), 0)))
_NUMBER = Kept(
    update(organizations)
    .where(organizations.c.id == bindparam("organization"))
    .values(last_event=organizations.c.last_event + bindparam("count"))
    .returning(organizations.c.last_event)
)


def append_all(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add events, one at least, in the transaction of the change that they tell of.

    Each has what ``Event`` has but for the id and the number.
    """
    numbers = {}
    for organization_id, count in Counter(row["organization_id"] for row in rows).items():
        last = _NUMBER.scalar(conn, {"organization": organization_id, "count": count})
        numbers[organization_id] = iter(range(last - count + 1, last + 1))
    tell(conn)
    _INSERT.run_many(conn, [{**row, "number": next(numbers[row["organization_id"]])} for row in rows])


def last_id(conn: Connection) -> int:
    """Return the id of the newest event of any organization; 0 where there is none."""
    return int(_LAST.scalar(conn))


def bounds(conn: Connection, organization_id: str) -> tuple[int, int]:
    """Return the numbers of an organization's newest forgotten event and of its newest one; 0 where there is none."""
    columns = (organizations.c.forgotten_event, organizations.c.last_event)
    forgotten, last = conn.execute(select(*columns).where(organizations.c.id == organization_id)).one()
    return int(forgotten), int(last)


def list_following(conn: Connection, after_id: int, limit: int) -> list[Event]:
    """Return events of all organizations in order, those past ``after_id``."""
    return [
        Event(*row) for row in conn.execute(_EVENT.where(events.c.id > after_id).order_by(events.c.id).limit(limit))
    ]


def list_after(
    conn: Connection,
    organization_id: str,
    after: int,
    limit: int,
    types: Sequence[str] | None = None,
    file_id: str | None = None,
) -> list[Event]:
    """Return an organization's events in order, those past the number ``after``: of some types and of one file, where given."""
    query = _EVENT.where(events.c.organization_id == organization_id, events.c.number > after)
    if types is not None:
        query = query.where(events.c.type.in_(types))
    if file_id is not None:
        query = query.where(events.c.file_id == file_id)
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number).limit(limit))]


def list_before(
    conn: Connection, organization_id: str, before: int, limit: int, types: Sequence[str] | None = None
) -> list[Event]:
    """Return an organization's events, newest first, those before the number ``before``: of some types, where given."""
    query = _EVENT.where(events.c.organization_id == organization_id, events.c.number < before)
    if types is not None:
        query = query.where(events.c.type.in_(types))
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number.desc()).limit(limit))]


def list_of_file(conn: Connection, organization_id: str, file_id: str, limit: int) -> list[Event]:
    """Return the newest events of a file."""
    query = _EVENT.where(events.c.file_id == file_id, events.c.organization_id == organization_id)
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number.desc()).limit(limit))]


def forget(conn: Connection, before: datetime) -> int:
    """Forget events from before ``before`` but for the newest, after which ids go on growing; return how many."""
    newest = select(func.max(events.c.id)).scalar_subquery()
    old = (events.c.created_at < before, events.c.id < newest)
    latest = select(events.c.organization_id, func.max(events.c.number)).where(*old).group_by(events.c.organization_id)
    for organization_id, number in conn.execute(latest).all():
        of_it = update(organizations).where(organizations.c.id == organization_id)
        conn.execute(of_it.values(forgotten_event=number))
    return conn.execute(delete(events).where(*old)).rowcount
