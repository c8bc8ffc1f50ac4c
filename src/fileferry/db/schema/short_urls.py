"""The table of short URLs."""

from __future__ import annotations

from sqlalchemy import Column, Table

from fileferry.db.schema.columns import Instant, metadata, words

# What a short URL is for, and by what right. Of its token there is the SHA-256 only.
short_urls = Table(
    "short_urls",
    metadata,
    Column("digest", words(64), primary_key=True),
    Column("kind", words(16), nullable=False),
    Column("target_id", words(36), nullable=False),
    Column("key_id", words(36), nullable=False),
    # The digest of the secret that the key was shown with.
    Column("secret", words(64), nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)
