"""The tables of what is kept."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

from fileferry.db.schema.columns import Instant, metadata

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
    ),
    Index("files_by_path", "workspace_id", "path", "id"),
    Index("files_by_organization", "organization_id", "id"),
    Index("files_by_folder", "folder_id", "id"),
    Index("files_by_expiry", "expires_at", sqlite_where=text("expires_at IS NOT NULL AND deleted_at IS NULL")),
    Index("files_by_deletion", "deleted_at", sqlite_where=text("deleted_at IS NOT NULL")),
    Index("files_by_creation", "workspace_id", "created_at", "id", sqlite_where=_LIVING),
    Index("files_by_change", "workspace_id", "modified_at", "id", sqlite_where=_LIVING),
    Index(
        "files_to_restore",
        "workspace_id",
        "deleted_at",
        "id",
        sqlite_where=text("restorable_until IS NOT NULL"),
    ),
    Index("files_to_purge", "restorable_until", sqlite_where=text("restorable_until IS NOT NULL")),
    Index("files_to_come", "created_at", sqlite_where=text("current_version_id IS NULL")),
    Index(
        "files_by_end_user",
        "organization_id",
        "end_user",
        "id",
        sqlite_where=text("end_user IS NOT NULL"),
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
    Index("versions_to_rescan", "rescan_at", sqlite_where=_TO_RESCAN),
    Index("versions_by_expiry", "expires_at", sqlite_where=_OLD_WITH_EXPIRY),
    Index("versions_by_age", "workspace_id", "superseded_at", sqlite_where=_OLD),
    Index(
        "versions_to_free",
        "state",
        sqlite_where=text("has_bytes AND state IN ('expired', 'deleted', 'rejected')"),
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
