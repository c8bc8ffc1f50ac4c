"""The tables, as SQLAlchemy Core. Migrations create them; this module is what the queries are written against."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time, stored as microseconds since 1970: exact, ordered, and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Turn a time into microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """Turn microseconds into a time."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    # What policy allows, as the model's Limits in JSON: together, and to each end user.
    Column("limits", JSON, nullable=False, server_default="{}"),
    Column("end_user_limits", JSON, nullable=False, server_default="{}"),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("keep_versions", Integer),
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
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("email", String(320)),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id")),
    Column("name", String(255), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("user_id", String(36)),
    Column("limits", JSON, nullable=False, server_default="{}"),
    # The folder that the key is confined to, and the end users that it may act for.
    Column("path_prefix", String(1024)),
    Column("on_behalf_of", JSON(none_as_null=True)),
    Index("keys_by_organization", "organization_id", "id"),
)

# A key may have two secrets for a while: the new one, and the rotated one until its grace ends.
key_secrets = Table(
    "key_secrets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    Column("expires_at", Instant),
)

signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("secret", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Files that a listing shows: the condition must stand in a query in these words, or SQLite does not use the index.
_LIVING = text("deleted_at IS NULL AND current_version_id IS NOT NULL")

files = Table(
    "files",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("folder_id", ForeignKey("folders.id")),
    Column("name", String(255), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("owns_path", Boolean, nullable=False),
    # Null for a file whose first version is still to come: it keeps the path, and nobody sees it.
    Column("current_version_id", String(36)),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("modified_at", Instant, nullable=False),
    # That of the current version.
    Column("expires_at", Instant),
    Column("deleted_at", Instant),
    Column("restorable_until", Instant),
    Column("created_by", String(36)),
    Column("modified_by", String(36)),
    Column("deleted_by", String(36)),
    Column("end_user", String(255)),
    # Its end user has deleted it, and a reference still holds it.
    Column("deleted_by_end_user", Boolean, nullable=False, server_default=false()),
    # A deleted or expired file gives its path free.
    Index(
        "files_by_owned_path",
        "workspace_id",
        "path",
        unique=True,
        sqlite_where=text("owns_path AND deleted_at IS NULL"),
        postgresql_where=text("owns_path AND deleted_at IS NULL"),
    ),
    Index("files_by_path", "workspace_id", "path", "id"),
    Index("files_by_organization", "organization_id", "id"),
    Index("files_by_folder", "folder_id", "id"),
    Index("files_by_expiry", "expires_at", sqlite_where=text("expires_at IS NOT NULL AND deleted_at IS NULL")),
    Index("files_by_deletion", "deleted_at", sqlite_where=text("deleted_at IS NOT NULL")),
    Index("files_by_creation", "workspace_id", "created_at", "id", sqlite_where=_LIVING, postgresql_where=_LIVING),
    Index("files_by_change", "workspace_id", "modified_at", "id", sqlite_where=_LIVING, postgresql_where=_LIVING),
    Index(
        "files_to_restore",
        "workspace_id",
        "deleted_at",
        "id",
        sqlite_where=text("restorable_until IS NOT NULL"),
        postgresql_where=text("restorable_until IS NOT NULL"),
    ),
    Index("files_to_purge", "restorable_until", sqlite_where=text("restorable_until IS NOT NULL")),
    Index("files_to_come", "created_at", sqlite_where=text("current_version_id IS NULL")),
    Index(
        "files_by_end_user",
        "organization_id",
        "end_user",
        "id",
        sqlite_where=text("end_user IS NOT NULL"),
        postgresql_where=text("end_user IS NOT NULL"),
    ),
)

_OLD = text("state = 'ready' AND superseded_at IS NOT NULL")
_TO_RESCAN = text("state = 'ready' AND rescan_at IS NOT NULL")
_OLD_WITH_EXPIRY = text("state = 'ready' AND superseded_at IS NOT NULL AND expires_at IS NOT NULL")

versions = Table(
    "versions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("file_id", ForeignKey("files.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("size", BigInteger, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("detected_type", String(255)),
    Column("crc32c", String(8), nullable=False),
    Column("sha256", String(64)),
    Column("md5", String(32)),
    # Null where the bytes are in inline_bytes.
    Column("blob_key", String(36), unique=True),
    # Where in the blob the bytes are, as [[offset, length], …]; null for the whole of it. In shared blobs: [[…, …, key], …].
    Column("extents", JSON(none_as_null=True)),
    # True until the bytes are known to be gone.
    Column("has_bytes", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    Column("created_by", String(36)),
    Column("expires_at", Instant),
    # When a newer version took its place.
    Column("superseded_at", Instant),
    # That of the file, for the index.
    Column("workspace_id", String(36)),
    # Which key brought it.
    Column("key_id", String(36)),
    # What the scan came to, as the model's Scan in JSON; null until there was one.
    Column("scan", JSON(none_as_null=True)),
    Column("rescan_at", Instant),
    # How often more it may be fetched whole before it ends.
    Column("fetches_left", Integer),
    Index("versions_of_file", "file_id", "sequence"),
    Index("versions_to_rescan", "rescan_at", sqlite_where=_TO_RESCAN, postgresql_where=_TO_RESCAN),
    Index("versions_by_expiry", "expires_at", sqlite_where=_OLD_WITH_EXPIRY, postgresql_where=_OLD_WITH_EXPIRY),
    Index("versions_by_age", "workspace_id", "superseded_at", sqlite_where=_OLD, postgresql_where=_OLD),
    Index(
        "versions_to_free",
        "state",
        sqlite_where=text("has_bytes AND state IN ('expired', 'deleted', 'rejected')"),
        postgresql_where=text("has_bytes AND state IN ('expired', 'deleted', 'rejected')"),
    ),
)

inline_bytes = Table(
    "inline_bytes",
    metadata,
    Column("version_id", ForeignKey("versions.id"), primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
)

# Blobs that versions, some of them still to come, share with uploads or with each other, beside the one of their own.
shared_blobs = Table(
    "shared_blobs",
    metadata,
    Column("version_id", String(36), primary_key=True),
    Column("blob_key", String(36), primary_key=True, index=True),
)

folders = Table(
    "folders",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("workspace_id", "path"),
)

_TO_FREE = text("blob_key IS NOT NULL AND state IN ('completed', 'aborted', 'expired')")

# A version that does not exist yet: what was promised for it, and what has arrived.
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("folder_id", ForeignKey("folders.id")),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("user_id", String(36)),
    Column("file_id", String(36), nullable=False, index=True),
    Column("version_id", String(36), nullable=False),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("auto_complete", Boolean, nullable=False, server_default=false()),
    Column("state", String(16), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("at_path", Boolean, nullable=False),
    Column("if_match", JSON, nullable=False),
    Column("must_be_new", Boolean, nullable=False),
    Column("content_type", String(255)),
    Column("metadata", JSON, nullable=False),
    Column("lifetime", BigInteger),
    Column("expires_at", Instant),
    Column("size", BigInteger),
    Column("max_size", BigInteger, nullable=False),
    Column("digests", JSON, nullable=False),
    Column("part_size", BigInteger),
    Column("multipart_id", String(36)),
    # Where in the blob the next piece goes that has no place of its own.
    Column("tail", BigInteger, nullable=False),
    Column("url_expires_at", Instant, nullable=False),
    Column("touched_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    # The blob that parts are gathered in, or that holds what was received.
    Column("blob_key", String(36)),
    # What was received, as the engine's Content in JSON; null until then.
    Column("content", JSON(none_as_null=True)),
    # The numbers of the blocks that make the file, in order.
    Column("block_list", JSON(none_as_null=True)),
    # How far the bytes that come one after the other are, as the engine's Stream in JSON; null before the first.
    Column("stream", JSON(none_as_null=True)),
    # Words of the protocol that the bytes come by, to be given back as they were.
    Column("wire", JSON, nullable=False, server_default="{}"),
    # The length that a protocol told on the way, where none was promised.
    Column("length", BigInteger),
    # How many bytes its parts and blocks have together.
    Column("pieces_size", BigInteger, nullable=False, server_default=text("0")),
    # The upload whose bytes this one is to be a part of.
    Column("parent_id", String(36), index=True),
    # The request that is writing, and whether another one waits for it to stop.
    Column("writer", String(36)),
    Column("writer_asked", Boolean, nullable=False, server_default=false()),
    Column("end_user", String(255)),
    Column("fetches", Integer),
    Column("refusal", String(32)),
    Index("uploads_by_blob", "blob_key"),
    Index("uploads_by_multipart", "multipart_id"),
    Index("uploads_by_touch", "state", "touched_at"),
    Index("uploads_to_free", "state", sqlite_where=_TO_FREE, postgresql_where=_TO_FREE),
)

parts = Table(
    "parts",
    metadata,
    Column("upload_id", ForeignKey("uploads.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    # The name of a block; parts have a number only.
    Column("block_id", String(88)),
    # How often sending it was begun: only the first attempt gets the part's own place in the blob.
    Column("attempts", Integer, nullable=False),
    Column("offset", BigInteger),
    Column("size", BigInteger),
    Column("md5", String(32)),
    Column("crc32c", String(8)),
    Column("received_at", Instant),
    Index("parts_by_block", "upload_id", "block_id", unique=True),
)

_PENDING = text("state = 'pending'")

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("organization_id", String(36), nullable=False),
    Column("file_id", String(36), nullable=False),
    Column("version_id", String(36)),
    Column("type", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
    Index("events_by_organization", "organization_id", "id"),
)

# Versions that wait to be judged, or to be scanned again. A claim moves ``run_at`` to when it lapses.
jobs = Table(
    "jobs",
    metadata,
    Column("version_id", ForeignKey("versions.id"), primary_key=True),
    # The model's Rules in JSON; null for a version that is ready and scanned again.
    Column("rules", JSON(none_as_null=True)),
    # Whether only a process that has a scanner may take it up.
    Column("needs_scanner", Boolean, nullable=False, server_default=false()),
    # What the file's metadata is to be once the version takes the place of another.
    Column("metadata", JSON(none_as_null=True)),
    Column("run_at", Instant, nullable=False, index=True),
    Column("holder", String(36)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", String(255)),
    Column("created_at", Instant, nullable=False),
)

# What a limit on all that is kept counts, by whose limit it is:
# "organization:ID", "workspace:ID", "key:ID" or "end_user:ORGANIZATION_ID:NAME".
usage = Table(
    "usage",
    metadata,
    Column("subject", String(320), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
)

# What holds a file although its end user deletes it: a message or a thread, by its id.
references = Table(
    "file_references",
    metadata,
    Column("file_id", ForeignKey("files.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("reference", String(255), primary_key=True),
    Column("created_at", Instant, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("url", String(2048), nullable=False),
    # The types of events to be told of; null for all.
    Column("types", JSON(none_as_null=True)),
    Column("secret", String(128), nullable=False),
    # The one before, good until its grace ends.
    Column("old_secret", String(128)),
    Column("old_secret_until", Instant),
    Column("disabled_at", Instant),
    Column("disabled_reason", String(255)),
    # The last event that deliveries were made of.
    Column("last_event_id", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# An event on its way to a webhook. Ids grow in the order of events.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("file_id", String(36), nullable=False),
    Column("type", String(32), nullable=False),
    # The body that is sent, the same at every attempt.
    Column("body", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Instant, nullable=False),
    # Of the last attempt: the HTTP status, or what went wrong before there was one.
    Column("last_status", Integer),
    Column("last_error", String(255)),
    Column("last_attempt_at", Instant),
    Column("created_at", Instant, nullable=False, index=True),
    UniqueConstraint("webhook_id", "event_id"),
    Index("deliveries_of_webhook", "webhook_id", "id"),
    Index("deliveries_pending", "webhook_id", "next_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("deliveries_in_order", "webhook_id", "file_id", "id", sqlite_where=_PENDING, postgresql_where=_PENDING),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("version_id", String(36), nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
)

# Which store the blobs are in: one row, the id that the store carries too.
stores = Table(
    "stores",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", Instant, nullable=False),
)

# Work that one process at a time may do, such as sweeping.
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Instant, nullable=False),
)
