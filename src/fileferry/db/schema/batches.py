"""The table of batches."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Table

from fileferry.db.schema.columns import Instant, metadata, words

# Uploads that become files together or not at all.
batches = Table(
    "batches",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    # In their order.
    Column("upload_ids", JSON, nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
    Column("committed_at", Instant),
)
