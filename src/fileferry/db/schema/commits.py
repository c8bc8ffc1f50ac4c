"""The table of the last commit of each process that writes to PostgreSQL; SQLite needs none."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from fileferry.db.schema.columns import Instant, metadata, words

# Written with each group of writes, in its transaction. No index but its key: a change is then one within its page.
commits = Table(
    "commits",
    metadata,
    Column("process", words(36), primary_key=True),
    # Of the group, counted by the process.
    Column("number", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
)
