"""Statements of the last commit of each process, by which it finds out what became of one that was not answered."""

from __future__ import annotations

from sqlalchemy import text

from fileferry.db.notices import CHANNEL

_RECORD = (
    "INSERT INTO commits (process, number, at)"
    " SELECT CAST(:process AS text), CAST(:number AS bigint), CAST(extract(epoch FROM now()) * 1000000 AS bigint)"
    " WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
    " ON CONFLICT (process) DO UPDATE SET number = excluded.number, at = excluded.at RETURNING number"
)
RECORD = text(_RECORD)
"""Writes the number of a transaction that has changed something, and returns it; nothing of one that has not."""
RECORD_AND_NOTIFY = text(f"{_RECORD}, pg_notify('{CHANNEL}', '')")
"""The same, and tells those who wait for events."""
FORGET = text("DELETE FROM commits WHERE at < CAST(extract(epoch FROM now() - interval '1 day') * 1000000 AS bigint)")
"""Forgets processes that have written nothing for a day, by the clock that ``RECORD`` goes by."""
LAST = text("SELECT number FROM commits WHERE process = CAST(:process AS text)")
"""The last number of a process that was committed."""
