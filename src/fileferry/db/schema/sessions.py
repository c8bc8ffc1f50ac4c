"""The table of who is signed in to the dashboard."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Table

from fileferry.db.schema.columns import Instant, metadata, words

sessions = Table(
    "sessions",
    metadata,
    # The SHA-256 of the token that the browser holds.
    Column("digest", words(64), primary_key=True),
    # What a list of sessions calls it; it opens nothing.
    Column("id", words(36), nullable=False, unique=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    # The digest of the key's secret: when that opens nothing any more, neither does the session.
    Column("secret", words(64), nullable=False),
    # Which organization a root key acts in.
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("end_user", words(255)),
    Column("address", words(64), nullable=False),
    Column("user_agent", words(255), nullable=False),
    # What the next page says of what was just done, once.
    Column("notice", JSON(none_as_null=True)),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
)
