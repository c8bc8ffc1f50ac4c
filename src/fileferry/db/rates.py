"""Queries of what servers have taken of rates, by window."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from fileferry.db.schema import rates
from fileferry.db.statements import Kept

_TAKEN = Kept(select(rates.c.taken).where(rates.c.key == bindparam("window")))
_TAKE = Kept(
    update(rates)
    .where(rates.c.key == bindparam("window"))
    .values(taken=rates.c.taken + bindparam("amount"))
    .returning(rates.c.taken)
)
_BEGIN = Kept(insert(rates))


def taken(conn: Connection, key: str) -> int:
    """Return what was taken in a window; 0 for one that nobody has taken of."""
    return int(_TAKEN.scalar(conn, {"window": key}) or 0)


def take(conn: Connection, key: str, amount: int, ends_at: datetime) -> int:
    """Take so much of a window, or give it back where it is negative; return what was taken in all."""
    total: int | None = _TAKE.scalar(conn, {"window": key, "amount": amount})
    if total is not None:
        return total
    _BEGIN.run(conn, {"key": key, "taken": amount, "ends_at": ends_at})
    return amount


def forget(conn: Connection, now: datetime, limit: int) -> int:
    """Forget some windows that are over; return how many."""
    over = select(rates.c.key).where(rates.c.ends_at <= now).limit(limit)
    return conn.execute(delete(rates).where(rates.c.key.in_(over))).rowcount
