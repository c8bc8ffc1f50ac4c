"""The tables of what is on its way."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Table, false, text

from fileferry.db.schema.columns import NUMBER, Instant, metadata, where, words

_TO_FREE = "blob_key IS NOT NULL AND state IN ('completed', 'aborted', 'expired')"

# A version that does not exist yet: what was promised for it, and what has arrived.
uploads = Table(
    "uploads",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("workspace_id", ForeignKey("workspaces.id"), nullable=False),
    Column("folder_id", ForeignKey("folders.id")),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("user_id", words(36)),
    Column("file_id", words(36), nullable=False, index=True),
    Column("version_id", words(36), nullable=False),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("auto_complete", Boolean, nullable=False, server_default=false()),
    Column("state", words(16), nullable=False),
    Column("path", words(1024), nullable=False),
    Column("at_path", Boolean, nullable=False),
    Column("if_match", JSON, nullable=False),
    Column("must_be_new", Boolean, nullable=False),
    Column("content_type", words(255)),
    Column("metadata", JSON, nullable=False),
    Column("lifetime", BigInteger),
    Column("expires_at", Instant),
    Column("size", BigInteger),
    Column("max_size", BigInteger, nullable=False),
    Column("digests", JSON, nullable=False),
    Column("part_size", BigInteger),
    Column("multipart_id", words(36)),
    # Where in the blob the next piece goes that has no place of its own.
    Column("tail", BigInteger, nullable=False),
    Column("url_expires_at", Instant, nullable=False),
    Column("touched_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    # The blob that parts are gathered in, or that holds what was received.
    Column("blob_key", words(36)),
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
    Column("parent_id", words(36), index=True),
    # The request that is writing, and whether another one waits for it to stop.
    Column("writer", words(36)),
    Column("writer_asked", Boolean, nullable=False, server_default=false()),
    Column("end_user", words(255)),
    Column("fetches", NUMBER),
    Column("refusal", words(32)),
    # The request for files that it answers.
    Column("request_id", words(36)),
    Index("uploads_by_blob", "blob_key"),
    Index("uploads_by_multipart", "multipart_id"),
    Index("uploads_by_touch", "state", "touched_at"),
    Index("uploads_to_free", "state", **where(_TO_FREE)),
    Index("uploads_by_request", "request_id", **where("request_id IS NOT NULL")),
)

parts = Table(
    "parts",
    metadata,
    Column("upload_id", ForeignKey("uploads.id"), primary_key=True),
    Column("number", NUMBER, primary_key=True),
    # The name of a block; parts have a number only.
    Column("block_id", words(88)),
    # How often sending it was begun: only the first attempt gets the part's own place in the blob.
    Column("attempts", NUMBER, nullable=False),
    Column("offset", BigInteger),
    Column("size", BigInteger),
    Column("md5", words(32)),
    Column("crc32c", words(8)),
    Column("received_at", Instant),
    Index("parts_by_block", "upload_id", "block_id", unique=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", words(64), primary_key=True),
    Column("key", words(255), primary_key=True),
    Column("fingerprint", words(64), nullable=False),
    Column("version_id", words(36), nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
)
