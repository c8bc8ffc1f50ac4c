"""Queries of when keys were used last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, text

from fileferry.db.schema import Instant, key_uses

# The time never goes back: several processes tell theirs, each when its minute is over.
_RECORD = text(
    "INSERT INTO key_uses (key_id, used_at) VALUES (:key, :at) ON CONFLICT (key_id)"
    " DO UPDATE SET used_at = excluded.used_at WHERE excluded.used_at > key_uses.used_at"
).bindparams(bindparam("at", type_=Instant))


def record(conn: Connection, uses: Mapping[str, datetime]) -> None:
    """Record when keys were used, by their ids, where that is later than what is known."""
    conn.execute(_RECORD, [{"key": key_id, "at": at} for key_id, at in sorted(uses.items())])


def find(conn: Connection, key_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when keys were used last, by their ids; those that never were are left out."""
    query = select(key_uses.c.key_id, key_uses.c.used_at).where(key_uses.c.key_id.in_(key_ids))
    return {row.key_id: row.used_at for row in conn.execute(query)}
