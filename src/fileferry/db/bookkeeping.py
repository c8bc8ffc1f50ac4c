"""Queries of the small tables that are no noun of the API: events, remembered requests, leases and signing secrets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from fileferry.db.schema import idempotency, leases, signing_secrets, stores
from fileferry.db.statements import Kept

_REQUEST = Kept(
    select(idempotency.c.fingerprint, idempotency.c.version_id).where(
        idempotency.c.scope == bindparam("of"), idempotency.c.key == bindparam("named")
    )
)
_REMEMBER = Kept(insert(idempotency))


def find_request(conn: Connection, scope: str, key: str) -> tuple[str, str] | None:
    """Return fingerprint and version id of the request that used this Idempotency-Key before."""
    row = _REQUEST.first(conn, {"of": scope, "named": key})
    return None if row is None else (row[0], row[1])


def remember_request(
    conn: Connection, *, scope: str, key: str, fingerprint: str, version_id: str, now: datetime
) -> None:
    """Remember which version a request with an Idempotency-Key made."""
    row = {"scope": scope, "key": key, "fingerprint": fingerprint, "version_id": version_id, "created_at": now}
    _REMEMBER.run(conn, row)


def forget_requests(conn: Connection, before: datetime) -> int:
    """Forget requests remembered before ``before``; return how many."""
    return conn.execute(delete(idempotency).where(idempotency.c.created_at < before)).rowcount


def take_lease(conn: Connection, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or prolong the lease ``name``; False while another holder has it."""
    free = or_(leases.c.holder == holder, leases.c.until <= now)
    taken = update(leases).where(leases.c.name == name, free).values(holder=holder, until=until)
    if conn.execute(taken).rowcount:
        return True
    if conn.execute(select(func.count()).where(leases.c.name == name)).scalar_one():
        return False
    conn.execute(insert(leases), {"name": name, "holder": holder, "until": until})
    return True


def list_leases(conn: Connection, now: datetime) -> list[tuple[str, str, datetime]]:
    """Return the leases that are held: their name, who holds them, and until when."""
    query = select(leases.c.name, leases.c.holder, leases.c.until).where(leases.c.until > now).order_by(leases.c.name)
    return [(name, holder, until) for name, holder, until in conn.execute(query)]


def find_store(conn: Connection) -> str | None:
    """Return the id of the store that the blobs are in."""
    return conn.execute(select(stores.c.id)).scalar_one_or_none()


def insert_store(conn: Connection, id: str, now: datetime) -> None:
    """Record the id of the store that the blobs are in."""
    conn.execute(insert(stores), {"id": id, "created_at": now})


def list_signing_secrets(conn: Connection) -> dict[int, str]:
    """Return every signing secret, as hex, by its id; the highest id signs."""
    return {row[0]: row[1] for row in conn.execute(select(signing_secrets.c.id, signing_secrets.c.secret))}


def insert_signing_secret(conn: Connection, id: int, secret: str, now: datetime) -> None:
    """Add a signing secret, as hex."""
    conn.execute(insert(signing_secrets), {"id": id, "secret": secret, "created_at": now})
