"""The tables of shares and of requests for files."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Table

from fileferry.db.schema.columns import NUMBER, Instant, metadata, words

shares = Table(
    "shares",
    metadata,
    Column("id", words(36), primary_key=True),
    # What its link carries.
    Column("token", words(32), nullable=False, unique=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    # Those of the folder that is shared; null for a list of files.
    Column("workspace_id", words(36)),
    Column("folder_id", words(36)),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("user_id", words(36)),
    Column("end_user", words(255)),
    Column("name", words(255), nullable=False),
    Column("message", words(), nullable=False),
    # Its digest; null without one.
    Column("passphrase", words(255)),
    Column("expires_at", Instant, index=True),
    Column("max_downloads", NUMBER),
    Column("downloads", BigInteger, nullable=False, server_default="0"),
    Column("last_downloaded_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index("shares_by_organization", "organization_id", "id"),
)

# The list of a share that has one, in its order.
share_files = Table(
    "share_files",
    metadata,
    Column("share_id", ForeignKey("shares.id"), primary_key=True),
    Column("position", NUMBER, primary_key=True),
    Column("file_id", words(36), nullable=False),
    Index("share_files_by_file", "share_id", "file_id", unique=True),
)

file_requests = Table(
    "file_requests",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("token", words(32), nullable=False, unique=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False, index=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("user_id", words(36)),
    Column("end_user", words(255)),
    Column("title", words(255), nullable=False),
    Column("message", words(), nullable=False),
    Column("folder", words(1024), nullable=False),
    Column("max_size", BigInteger),
    Column("max_files", NUMBER),
    Column("types", JSON(none_as_null=True)),
    Column("passphrase", words(255)),
    Column("expires_at", Instant, index=True),
    Column("received", BigInteger, nullable=False, server_default="0"),
    Column("received_bytes", BigInteger, nullable=False, server_default="0"),
    Column("last_received_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index("file_requests_by_organization", "organization_id", "id"),
)

# What is sent for a request: begun with its upload, and kept as long as the request.
sent_files = Table(
    "sent_files",
    metadata,
    Column("request_id", ForeignKey("file_requests.id"), primary_key=True),
    Column("upload_id", words(36), primary_key=True),
    Column("file_id", words(36), nullable=False),
    # As its sender calls it.
    Column("name", words(255), nullable=False),
    Column("visitor", words(64)),
    Column("arrived_at", Instant),
    # When its sender said that this was all.
    Column("closed_at", Instant),
)
