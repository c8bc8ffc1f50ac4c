"""The table of what keys are lent to: programs that somebody has allowed to act by a key, through OAuth."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table

from fileferry.db.schema.columns import Instant, metadata, words

# One row for each consent, from its code to its last token. Of codes and tokens there are the SHA-256 only.
lent_keys = Table(
    "lent_keys",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    # The digest of the key's secret: when that opens nothing any more, neither do the tokens.
    Column("secret", words(64), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("end_user", words(255)),
    Column("client_id", words(2048), nullable=False),
    Column("client_name", words(255), nullable=False),
    Column("redirect_uri", words(2048), nullable=False),
    # What of the key's scopes is lent, with blanks between.
    Column("scopes", words(255), nullable=False),
    Column("code", words(64), nullable=False, unique=True),
    Column("code_challenge", words(128), nullable=False),
    Column("code_ends_at", Instant, nullable=False),
    Column("access", words(64), unique=True),
    Column("access_ends_at", Instant),
    Column("refresh", words(64), unique=True),
    # The one before: who shows it has taken it from somebody.
    Column("spent", words(64), index=True),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
)
