"""The tables that the server keeps for itself."""

from __future__ import annotations

from sqlalchemy import Column, Table

from fileferry.db.schema.columns import Instant, metadata, words

# Which store the blobs are in: one row, the id that the store carries too.
stores = Table(
    "stores",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("created_at", Instant, nullable=False),
)

# Work that one process at a time may do, such as sweeping.
leases = Table(
    "leases",
    metadata,
    Column("name", words(64), primary_key=True),
    Column("holder", words(64), nullable=False),
    Column("until", Instant, nullable=False),
)
