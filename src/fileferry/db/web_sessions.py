"""Queries of who is signed in to the dashboard."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, null, or_, select, update

from fileferry.db.schema import Instant, key_secrets, keys, sessions
from fileferry.db.statements import Kept
from fileferry.model import Session

_NAMES = Session.__struct_fields__
_SESSION = select(*(sessions.c[name] for name in _NAMES))
_BY_DIGEST = Kept(
    _SESSION.where(sessions.c.digest == bindparam("digest"), sessions.c.ends_at > bindparam("now", type_=Instant))
)


def insert_session(conn: Connection, session: Session, digest: str) -> None:
    """Add a session that the token with this SHA-256 opens."""
    conn.execute(insert(sessions), {"digest": digest, **{name: getattr(session, name) for name in _NAMES}})


def find(conn: Connection, digest: str, now: datetime) -> Session | None:
    """Return the session that the token with this SHA-256 opens, unless its time is over."""
    row = _BY_DIGEST.first(conn, {"digest": digest, "now": now})
    return None if row is None else Session(*row)


def list_living(conn: Connection, key_id: str, organization_id: str | None, now: datetime) -> list[Session]:
    """Return the sessions of a key, and of all keys of an organization where one is named, the last used first."""
    of_keys = sessions.c.key_id == key_id
    if organization_id is not None:
        of_keys = or_(of_keys, keys.c.organization_id == organization_id)
    query = _SESSION.join_from(sessions, keys, keys.c.id == sessions.c.key_id)
    query = query.join(key_secrets, and_(key_secrets.c.key_id == keys.c.id, key_secrets.c.digest == sessions.c.secret))
    is_living = and_(sessions.c.ends_at > now, or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > now))
    rows = conn.execute(query.where(of_keys, is_living).order_by(sessions.c.seen_at.desc()).limit(1000))
    return [Session(*row) for row in rows]


def update_session(conn: Connection, id: str, **values: Any) -> None:
    """Change columns of a session."""
    conn.execute(update(sessions).where(sessions.c.id == id).values(**values))


def take_notice(conn: Connection, id: str) -> None:
    """Forget what the next page was to say."""
    conn.execute(update(sessions).where(sessions.c.id == id).values(notice=null()))


def delete_session(conn: Connection, id: str) -> None:
    """Remove a session."""
    conn.execute(delete(sessions).where(sessions.c.id == id))


def delete_ended(conn: Connection, now: datetime, limit: int) -> int:
    """Remove sessions whose time is over; return how many."""
    ended = select(sessions.c.digest).where(sessions.c.ends_at <= now).limit(limit)
    return conn.execute(delete(sessions).where(sessions.c.digest.in_(ended))).rowcount
