"""Short URLs and batches."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C")
    op.create_table(
        "short_urls",
        sa.Column("digest", sa.String(length=64).with_variant(text, "postgresql"), nullable=False),
        sa.Column("kind", sa.String(length=16).with_variant(text, "postgresql"), nullable=False),
        sa.Column("target_id", sa.String(length=36).with_variant(text, "postgresql"), nullable=False),
        sa.Column("key_id", sa.String(length=36).with_variant(text, "postgresql"), nullable=False),
        sa.Column("secret", sa.String(length=64).with_variant(text, "postgresql"), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_short_urls_expires_at", "short_urls", ["expires_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=36).with_variant(text, "postgresql"), nullable=False),
        sa.Column("organization_id", sa.String(length=36).with_variant(text, "postgresql"), nullable=False),
        sa.Column("upload_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_batches_created_at", "batches", ["created_at"], unique=False)
