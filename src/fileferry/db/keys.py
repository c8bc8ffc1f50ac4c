"""Queries of API keys and of the digests of their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from fileferry.db.organizations import COLUMNS, DEFAULT_ID, organization_of
from fileferry.db.schema import Instant, key_secrets, keys, organizations
from fileferry.db.statements import Kept, KeptRecord
from fileferry.model import Key, Limits, Organization, Scope

_NAMES = keys.c.keys()


def key_of(row: Sequence[Any]) -> Key:
    """Return the key that these columns are; further ones may follow."""
    values = dict(zip(_NAMES, row, strict=False))
    typed = {
        "scopes": tuple(Scope(scope) for scope in values["scopes"].split()),
        "limits": msgspec.convert(values["limits"], Limits),
        "on_behalf_of": None if values["on_behalf_of"] is None else tuple(values["on_behalf_of"]),
    }
    return Key(**{**values, **typed})


class Opened(NamedTuple):
    """What a secret opens: a key, and its organization or the default one; ``until`` when (None: for good) if nobody changes it."""

    key: Key
    organization: Organization | None
    until: datetime | None


def _opened(row: Sequence[Any]) -> Opened:
    key, (*of_organization, secret_ends) = key_of(row), row[len(keys.c) :]
    organization = None if of_organization[0] is None else organization_of(of_organization)
    ends = [moment for moment in (secret_ends, key.expires_at) if moment is not None]
    return Opened(key, organization, min(ends, default=None))


_NOW = bindparam("now", type_=Instant)
_BY_ID = KeptRecord(select(*keys.c).where(keys.c.id == bindparam("key")), key_of)
_BY_DIGEST = KeptRecord(
    select(*keys.c, *COLUMNS, key_secrets.c.expires_at)
    .join_from(key_secrets, keys, keys.c.id == key_secrets.c.key_id)
    # Not with an "or", for which every organization would be looked at.
    .outerjoin(organizations, organizations.c.id == func.coalesce(keys.c.organization_id, DEFAULT_ID))
    .where(
        key_secrets.c.digest == bindparam("digest"),
        or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > _NOW),
        keys.c.revoked_at.is_(None),
        or_(keys.c.expires_at.is_(None), keys.c.expires_at > _NOW),
    ),
    _opened,
)
_LIVING_SECRETS = Kept(
    select(key_secrets.c.digest).where(
        key_secrets.c.key_id == bindparam("key"),
        or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > _NOW),
    )
)


def insert_key(conn: Connection, key: Key) -> None:
    """Add a key; its secret's digest is added by ``insert_secret``."""
    conn.execute(insert(keys), _row(key))


def insert_secret(conn: Connection, key_id: str, digest: str) -> None:
    """Let the secret with this SHA-256 open the key."""
    conn.execute(insert(key_secrets), {"digest": digest, "key_id": key_id, "expires_at": None})


def opens(conn: Connection, key_id: str, digest: str) -> bool:
    """Whether the secret with this SHA-256, and no other, opens the key."""
    query = select(key_secrets.c.digest).where(key_secrets.c.key_id == key_id)
    return list(conn.execute(query).scalars()) == [digest]


def living_secrets(conn: Connection, key_id: str, now: datetime) -> list[str]:
    """Return the SHA-256 of every secret that opens the key now."""
    return [row[0] for row in _LIVING_SECRETS.all(conn, {"key": key_id, "now": now})]


def end_secrets(conn: Connection, key_id: str, at: datetime) -> None:
    """Let every present secret of the key end at ``at``, or earlier where that was settled."""
    later = or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > at)
    conn.execute(update(key_secrets).where(key_secrets.c.key_id == key_id, later).values(expires_at=at))


def delete_secrets(conn: Connection, key_id: str) -> None:
    """Forget every secret of the key."""
    conn.execute(delete(key_secrets).where(key_secrets.c.key_id == key_id))


def find_by_digest(conn: Connection, digest: str, now: datetime) -> Opened | None:
    """Return what the secret with this SHA-256 opens, where that is a living key."""
    return _BY_DIGEST.find(conn, {"digest": digest, "now": now})


def find(conn: Connection, key_id: str) -> Key | None:
    """Return a key by its id, revoked or not."""
    return _BY_ID.find(conn, {"key": key_id})


def find_living(conn: Connection, key_id: str, now: datetime) -> Key | None:
    """Return a key by its id unless it was revoked or has expired."""
    key = find(conn, key_id)
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    return key


def list_keys(conn: Connection, organization_id: str, after_id: str, limit: int) -> list[Key]:
    """Return an organization's keys in order of id, those past ``after_id``; not those of people who sign in."""
    of_program = (
        keys.c.prefix != ""
    )  # nobody was shown the secret of a person's key, which stays once they were removed
    query = select(*keys.c).where(and_(keys.c.organization_id == organization_id, keys.c.id > after_id, of_program))
    return [key_of(row) for row in conn.execute(query.order_by(keys.c.id).limit(limit))]


def update_key(conn: Connection, key_id: str, **values: Any) -> None:
    """Change columns of one key."""
    conn.execute(update(keys).where(keys.c.id == key_id).values(**values))


def change_key(conn: Connection, key: Key) -> None:
    """Make the key's row what ``key`` is."""
    conn.execute(update(keys).where(keys.c.id == key.id).values(**_row(key)))


def _row(key: Key) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in _NAMES}
    return {
        **values,
        "scopes": " ".join(key.scopes),
        "limits": msgspec.to_builtins(key.limits),
        "on_behalf_of": None if key.on_behalf_of is None else list(key.on_behalf_of),
    }
