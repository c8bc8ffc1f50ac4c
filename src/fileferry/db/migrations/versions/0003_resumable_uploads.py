"""Resumable uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shared_blobs",
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("blob_key", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "blob_key"),
    )
    with op.batch_alter_table("shared_blobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shared_blobs_blob_key"), ["blob_key"], unique=False)

    # One by one: a batch would make the table anew, and parts refer to it.
    op.add_column("uploads", sa.Column("stream", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("uploads", sa.Column("wire", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("uploads", sa.Column("length", sa.BigInteger(), nullable=True))
    op.add_column("uploads", sa.Column("pieces_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute(
        "UPDATE uploads SET pieces_size = coalesce((SELECT sum(size) FROM parts WHERE parts.upload_id = uploads.id), 0)"
    )
    op.add_column("uploads", sa.Column("parent_id", sa.String(length=36), nullable=True))
    op.create_index("ix_uploads_parent_id", "uploads", ["parent_id"], unique=False)
    op.add_column("uploads", sa.Column("writer", sa.String(length=36), nullable=True))
    op.add_column("uploads", sa.Column("writer_asked", sa.Boolean(), server_default=sa.false(), nullable=False))
    to_free = sa.text("blob_key IS NOT NULL AND state IN ('completed', 'aborted', 'expired')")
    op.create_index("uploads_to_free", "uploads", ["state"], sqlite_where=to_free, postgresql_where=to_free)
