"""Queries of what keys are lent to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, and_, bindparam, delete, insert, or_, select, update

from fileferry.db.schema import Instant, key_secrets, keys, lent_keys
from fileferry.db.statements import Kept
from fileferry.model import LentKey

_NAMES = LentKey.__struct_fields__
_LENT = select(*(lent_keys.c[name] for name in _NAMES))
_BY_ACCESS = Kept(
    _LENT.where(lent_keys.c.access == bindparam("digest"), lent_keys.c.access_ends_at > bindparam("now", type_=Instant))
)


def _lent(row: Sequence[Any]) -> LentKey:
    return LentKey(**dict(zip(_NAMES, row, strict=True)))


def insert_lent(conn: Connection, lent: LentKey) -> None:
    """Add what somebody has allowed."""
    conn.execute(insert(lent_keys), {name: getattr(lent, name) for name in _NAMES})


def find_by_access(conn: Connection, digest: str, now: datetime) -> LentKey | None:
    """Return what the access token with this SHA-256 stands for, unless its time is over."""
    row = _BY_ACCESS.first(conn, {"digest": digest, "now": now})
    return None if row is None else _lent(row)


def find_by(conn: Connection, name: Literal["code", "access", "refresh", "spent"], digest: str) -> LentKey | None:
    """Return what has this SHA-256 as its code or one of its tokens, whatever the time is; nobody else changes it meanwhile."""
    row = conn.execute(_LENT.where(lent_keys.c[name] == digest).with_for_update()).first()
    return None if row is None else _lent(row)


def list_living(conn: Connection, key_id: str, organization_id: str | None, now: datetime) -> list[LentKey]:
    """Return what a key is lent to, and all keys of an organization where one is named, the last used first."""
    of_keys = lent_keys.c.key_id == key_id
    if organization_id is not None:
        of_keys = or_(of_keys, keys.c.organization_id == organization_id)
    query = _LENT.join_from(lent_keys, keys, keys.c.id == lent_keys.c.key_id)
    query = query.join(key_secrets, and_(key_secrets.c.key_id == keys.c.id, key_secrets.c.digest == lent_keys.c.secret))
    is_living = and_(
        lent_keys.c.access.is_not(None),
        lent_keys.c.ends_at > now,
        or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > now),
    )
    rows = conn.execute(query.where(of_keys, is_living).order_by(lent_keys.c.used_at.desc()).limit(1000))
    return [_lent(row) for row in rows]


def update_lent(conn: Connection, id: str, **values: Any) -> None:
    """Change columns of one."""
    conn.execute(update(lent_keys).where(lent_keys.c.id == id).values(**values))


def delete_lent(conn: Connection, id: str) -> None:
    """End one, with its tokens."""
    conn.execute(delete(lent_keys).where(lent_keys.c.id == id))


def delete_ended(conn: Connection, now: datetime, limit: int) -> int:
    """Remove those whose time is over; return how many."""
    ended = select(lent_keys.c.id).where(lent_keys.c.ends_at <= now).limit(limit)
    return conn.execute(delete(lent_keys).where(lent_keys.c.id.in_(ended))).rowcount
