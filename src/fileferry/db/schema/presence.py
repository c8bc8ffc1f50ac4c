"""The tables of what each process tells once a minute: when it has last seen each key, and that it lives."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table

from fileferry.db.schema.columns import NUMBER, Instant, metadata, words

# Not a column of the keys: rows of those are read with every request, and remembered for as long as they are the same.
key_uses = Table(
    "key_uses",
    metadata,
    Column("key_id", ForeignKey("keys.id"), primary_key=True),
    Column("used_at", Instant, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", words(36), primary_key=True),
    # serve or worker.
    Column("role", words(16), nullable=False),
    Column("host", words(255), nullable=False),
    Column("pid", NUMBER, nullable=False),
    Column("version", words(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)
