"""The table of what clients send to the store themselves."""

from __future__ import annotations

from sqlalchemy import Column, Table

from fileferry.db.schema.columns import metadata, words

# An upload that the store was told of: the blob that it is to be, the store's own name for its parts, and the digest that it holds
# them to.
direct_uploads = Table(
    "direct_uploads",
    metadata,
    Column("upload_id", words(36), primary_key=True),
    Column("blob_key", words(36), nullable=False),
    Column("store_name", words(), nullable=False),
    Column("pinned", words(16)),
)
