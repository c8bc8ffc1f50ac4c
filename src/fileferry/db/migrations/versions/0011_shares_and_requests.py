"""Shares, and requests for files."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import NUMBER, Instant, words

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", words(36), nullable=False),
        sa.Column("token", words(32), nullable=False),
        sa.Column("organization_id", words(36), nullable=False),
        sa.Column("workspace_id", words(36), nullable=True),
        sa.Column("folder_id", words(36), nullable=True),
        sa.Column("key_id", words(36), nullable=False),
        sa.Column("user_id", words(36), nullable=True),
        sa.Column("end_user", words(255), nullable=True),
        sa.Column("name", words(255), nullable=False),
        sa.Column("message", words(), nullable=False),
        sa.Column("passphrase", words(255), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("max_downloads", NUMBER, nullable=True),
        sa.Column("downloads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_downloaded_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index("shares_by_organization", "shares", ["organization_id", "id"], unique=False)
    op.create_index("ix_shares_expires_at", "shares", ["expires_at"], unique=False)

    op.create_table(
        "share_files",
        sa.Column("share_id", words(36), nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("file_id", words(36), nullable=False),
        sa.ForeignKeyConstraint(["share_id"], ["shares.id"]),
        sa.PrimaryKeyConstraint("share_id", "position"),
    )
    op.create_index("share_files_by_file", "share_files", ["share_id", "file_id"], unique=True)

    op.create_table(
        "file_requests",
        sa.Column("id", words(36), nullable=False),
        sa.Column("token", words(32), nullable=False),
        sa.Column("organization_id", words(36), nullable=False),
        sa.Column("workspace_id", words(36), nullable=False),
        sa.Column("key_id", words(36), nullable=False),
        sa.Column("user_id", words(36), nullable=True),
        sa.Column("end_user", words(255), nullable=True),
        sa.Column("title", words(255), nullable=False),
        sa.Column("message", words(), nullable=False),
        sa.Column("folder", words(1024), nullable=False),
        sa.Column("max_size", sa.BigInteger(), nullable=True),
        sa.Column("max_files", NUMBER, nullable=True),
        sa.Column("types", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("passphrase", words(255), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_received_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"]),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index("file_requests_by_organization", "file_requests", ["organization_id", "id"], unique=False)
    op.create_index("ix_file_requests_expires_at", "file_requests", ["expires_at"], unique=False)
    op.create_index("ix_file_requests_workspace_id", "file_requests", ["workspace_id"], unique=False)

    op.create_table(
        "sent_files",
        sa.Column("request_id", words(36), nullable=False),
        sa.Column("upload_id", words(36), nullable=False),
        sa.Column("file_id", words(36), nullable=False),
        sa.Column("name", words(255), nullable=False),
        sa.Column("visitor", words(64), nullable=True),
        sa.Column("arrived_at", Instant(), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["file_requests.id"]),
        sa.PrimaryKeyConstraint("request_id", "upload_id"),
    )

    op.add_column("uploads", sa.Column("request_id", words(36), nullable=True))
    op.create_index(
        "uploads_by_request",
        "uploads",
        ["request_id"],
        unique=False,
        sqlite_where=sa.text("request_id IS NOT NULL"),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
