"""Queries of short URLs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from fileferry.db.schema import short_urls
from fileferry.db.statements import Kept, Row

_BY_DIGEST = Kept(
    select(
        short_urls.c.kind, short_urls.c.target_id, short_urls.c.key_id, short_urls.c.secret, short_urls.c.expires_at
    ).where(short_urls.c.digest == bindparam("digest"))
)
_INSERT = Kept(insert(short_urls))


def insert_many(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add short URLs, one at least, each with every column."""
    _INSERT.run_many(conn, rows)


def find(conn: Connection, digest: str) -> Row | None:
    """Return kind, target, key, digest of the key's secret and end of the short URL whose token has this SHA-256."""
    return _BY_DIGEST.first(conn, {"digest": digest})


def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Forget at most ``limit`` short URLs that ended before ``before``; return how many."""
    ended = select(short_urls.c.digest).where(short_urls.c.expires_at < before).limit(limit)
    return conn.execute(delete(short_urls).where(short_urls.c.digest.in_(ended))).rowcount
