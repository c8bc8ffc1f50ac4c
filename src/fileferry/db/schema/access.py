"""The tables of who may do what."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Table, UniqueConstraint

from fileferry.db.schema.columns import NUMBER, Instant, metadata, words

organizations = Table(
    "organizations",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("slug", words(64), nullable=False, unique=True),
    Column("name", words(255), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    # What policy allows, as the model's Limits in JSON: together, and to each end user.
    Column("limits", JSON, nullable=False, server_default="{}"),
    Column("end_user_limits", JSON, nullable=False, server_default="{}"),
    # The numbers of its newest event, and of the newest of those that were forgotten.
    Column("last_event", BigInteger, nullable=False, server_default="0"),
    Column("forgotten_event", BigInteger, nullable=False, server_default="0"),
    # auto or never, as FILEFERRY_REDIRECT; what is not said is as that says.
    Column("redirect", words(8)),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", words(255), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("keep_versions", NUMBER),
    # Seconds.
    Column("keep_versions_for", BigInteger),
    # How many files a listing has, so that it need not count them: living ones, and deleted ones that can be restored.
    Column("living_files", BigInteger, nullable=False, server_default="0"),
    Column("deleted_files", BigInteger, nullable=False, server_default="0"),
    Column("limits", JSON, nullable=False, server_default="{}"),
    UniqueConstraint("organization_id", "name"),
)

users = Table(
    "users",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", words(255), nullable=False),
    Column("email", words(320)),
)

keys = Table(
    "keys",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id")),
    Column("name", words(255), nullable=False),
    Column("prefix", words(16), nullable=False),
    Column("scopes", words(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("user_id", words(36)),
    Column("limits", JSON, nullable=False, server_default="{}"),
    # The folder that the key is confined to, and the end users that it may act for.
    Column("path_prefix", words(1024)),
    Column("on_behalf_of", JSON(none_as_null=True)),
    Index("keys_by_organization", "organization_id", "id"),
)

# A key may have two secrets for a while: the new one, and the rotated one until its grace ends.
key_secrets = Table(
    "key_secrets",
    metadata,
    Column("digest", words(64), primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    Column("expires_at", Instant),
)

signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("secret", words(64), nullable=False),
    Column("created_at", Instant, nullable=False),
)
