"""Queries of the outbox: what happened to files, in the order of the commits that it happened in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, delete, func, insert, select, update

from fileferry.db.notices import tell
from fileferry.db.schema import events, names_progress, organizations
from fileferry.db.statements import Kept
from fileferry.model import EVENT_TYPES, Event

_HIGHEST = 2**63 - 1
# How many of the same organization are added after it.
_BEHIND = bindparam("behind", type_=Integer)
_LAST_NUMBER = select(organizations.c.last_event).where(organizations.c.id == bindparam("organization"))
_INSERT = Kept(insert(events).values(number=_LAST_NUMBER.scalar_subquery() - _BEHIND))
_EVENT = select(*(getattr(events.c, name) for name in Event.__struct_fields__))
_LAST = Kept(select(func.coalesce(func.max(events.c.id), 0)))
_DRAW = Kept(
    update(organizations)
    .where(organizations.c.id == bindparam("organization"))
    .values(last_event=organizations.c.last_event + bindparam("count"))
)


def append_all(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add events, one at least, in the transaction of the change that they tell of.

    Each has what ``Event`` has but for the id and the number; without an ``actor`` it happened by itself.
    """
    behind = Counter(row["organization_id"] for row in rows)
    for organization_id, count in behind.items():
        _DRAW.run(conn, {"organization": organization_id, "count": count})
    tell(conn)
    added = []
    for row in rows:
        organization_id = row["organization_id"]
        behind[organization_id] -= 1
        added.append({"actor": None, **row, "organization": organization_id, "behind": behind[organization_id]})
    # A number is looked up where it is written: on PostgreSQL nobody waits for it to come back first.
    _INSERT.run_many(conn, added)


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
    """Return an organization's events in order, those past the number ``after``: of some types and of one file, where given.

    Without types it is all that was done there, beside what happened to files.
    """
    query = _EVENT.where(events.c.organization_id == organization_id, events.c.number > after)
    if types is not None:
        query = query.where(events.c.type.in_(types))
    if file_id is not None:
        query = query.where(events.c.file_id == file_id)
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number).limit(limit))]


def list_before(
    conn: Connection, organization_id: str, before: int, limit: int, types: Sequence[str] | None, *, past: int = 0
) -> list[Event]:
    """Return an organization's events of some types or all, newest first: before the number ``before``, past ``past``."""
    query = _EVENT.where(events.c.organization_id == organization_id, events.c.number < before, events.c.number > past)
    if types is not None:
        query = query.where(events.c.type.in_(types))
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number.desc()).limit(limit))]


def list_of_file(conn: Connection, organization_id: str, file_id: str, limit: int) -> list[Event]:
    """Return the newest events of a file."""
    query = _EVENT.where(events.c.file_id == file_id, events.c.organization_id == organization_id)
    return [Event(*row) for row in conn.execute(query.order_by(events.c.number.desc()).limit(limit))]


def number_before(conn: Connection, organization_id: str, since: datetime) -> int:
    """Return the number of an organization's last event that is older than ``since``; 0 where none is kept."""
    first = select(func.min(events.c.id)).where(events.c.created_at >= since).scalar_subquery()
    earlier = select(events.c.number).where(
        events.c.organization_id == organization_id, events.c.id < func.coalesce(first, _HIGHEST)
    )
    return conn.execute(earlier.order_by(events.c.id.desc()).limit(1)).scalar() or 0


def list_with_old(conn: Connection, before: datetime, limit: int) -> list[str]:
    """Return the ids of organizations whose oldest event that is still told is from before ``before``."""
    oldest = (
        select(events.c.created_at)
        .where(
            events.c.organization_id == organizations.c.id,
            events.c.number > organizations.c.forgotten_event,
            events.c.type.in_(EVENT_TYPES),
        )
        .order_by(events.c.number)
        .limit(1)
        .scalar_subquery()
    )
    return list(conn.execute(select(organizations.c.id).where(oldest < before).limit(limit)).scalars())


def forget_some(conn: Connection, organization_id: str, before: datetime, limit: int) -> int:
    """Tell nobody any more of some of an organization's oldest events, those from before ``before``; return how many they are."""
    told = (
        select(events.c.number, events.c.created_at)
        .join(organizations, organizations.c.id == events.c.organization_id)
        .where(
            events.c.organization_id == organization_id,
            events.c.number > organizations.c.forgotten_event,
            events.c.type.in_(EVENT_TYPES),
        )
        .order_by(events.c.number)
        .limit(limit)
    )
    old = [number for number, created_at in conn.execute(told) if created_at < before]
    if old:
        of_it = update(organizations).where(organizations.c.id == organization_id)
        conn.execute(of_it.values(forgotten_event=old[-1]))
    return len(old)


def delete_some(conn: Connection, before: datetime, limit: int) -> int:
    """Delete some events from before ``before`` that the index of names knows; return how many.

    But for the newest, after which ids go on growing.
    """
    newest = select(func.max(events.c.id)).scalar_subquery()
    known = func.coalesce(select(names_progress.c.event_id).scalar_subquery(), newest)
    old = (
        select(events.c.id).where(events.c.created_at < before, events.c.id < newest, events.c.id <= known).limit(limit)
    )
    return conn.execute(delete(events).where(events.c.id.in_(old))).rowcount
