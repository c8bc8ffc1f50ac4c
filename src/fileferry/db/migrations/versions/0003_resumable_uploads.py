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
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("version_id", "blob_key"),
    )
    with op.batch_alter_table("shared_blobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shared_blobs_blob_key"), ["blob_key"], unique=False)

    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stream", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("wire", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("writer", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("writer_asked", sa.Boolean(), server_default=sa.false(), nullable=False))
