"""The table of what was had of rates, where they are counted in the database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from fileferry.db.schema.columns import Instant, metadata, words

rates = Table(
    "rates",
    metadata,
    # One rate of one subject in one window.
    Column("key", words(), primary_key=True),
    # What servers have taken to give out; some of it may still be to be given.
    Column("taken", BigInteger, nullable=False),
    # When the window is over, or a little later.
    Column("ends_at", Instant, nullable=False, index=True),
)
