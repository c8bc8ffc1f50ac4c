"""Queries of the processes that serve and work on this database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from fileferry.db.schema import processes
from fileferry.model import Process

_MOST_LISTED = 1000
_COLUMNS = [processes.c[name] for name in Process.__struct_fields__]


def tell(conn: Connection, process: Process) -> None:
    """Record that a process lives, and when it was last seen."""
    seen = update(processes).where(processes.c.id == process.id).values(seen_at=process.seen_at)
    if conn.execute(seen).rowcount == 0:
        conn.execute(insert(processes), {name: getattr(process, name) for name in Process.__struct_fields__})


def list_all(conn: Connection) -> list[Process]:
    """Return the processes that have not said that they end, the one that was seen last first."""
    query = select(*_COLUMNS).order_by(processes.c.seen_at.desc(), processes.c.id).limit(_MOST_LISTED)
    return [Process(*row) for row in conn.execute(query)]


def end(conn: Connection, process_id: str) -> None:
    """Forget a process that ends in an orderly way."""
    conn.execute(delete(processes).where(processes.c.id == process_id))


def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Forget some processes that were seen last before ``before``; return how many."""
    silent = select(processes.c.id).where(processes.c.seen_at < before).limit(limit)
    return conn.execute(delete(processes).where(processes.c.id.in_(silent))).rowcount
