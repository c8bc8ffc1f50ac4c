"""The table of people who sign in; what they may do is in the row of a key with the same id."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint

from fileferry.db.schema.columns import Instant, metadata, words

accounts = Table(
    "accounts",
    metadata,
    Column("id", ForeignKey("keys.id"), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    # Who vouches for them: nobody else (empty), the proxy in front, or an OpenID provider by its address; and what it calls them.
    Column("issuer", words(1024), nullable=False),
    Column("subject", words(255), nullable=False),
    # Argon2id, with its parameters; only where nobody else vouches for them.
    Column("password", words(255)),
    Column("signed_in_at", Instant),
    UniqueConstraint("organization_id", "issuer", "subject"),
    Index("accounts_by_subject", "issuer", "subject"),
    Index("accounts_by_organization", "organization_id", "id"),
)
