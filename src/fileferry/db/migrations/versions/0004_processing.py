"""Processing, end users, limits, and webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("subject", sa.String(length=320), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("types", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("secret", sa.String(length=128), nullable=False),
        sa.Column("old_secret", sa.String(length=128), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhooks_organization_id", "webhooks", ["organization_id"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("webhook_id", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=255), nullable=True),
        sa.Column("last_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("webhook_id", "event_id"),
    )
    op.create_index(
        "deliveries_in_order",
        "deliveries",
        ["webhook_id", "file_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("deliveries_of_webhook", "deliveries", ["webhook_id", "id"], unique=False)
    op.create_index(
        "deliveries_pending",
        "deliveries",
        ["webhook_id", "next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"], unique=False)

    op.create_table(
        "file_references",
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("file_id", "kind", "reference"),
    )
    op.create_table(
        "jobs",
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("rules", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("needs_scanner", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=36), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("version_id"),
    )
    op.create_index("ix_jobs_run_at", "jobs", ["run_at"], unique=False)

    op.create_index("events_by_organization", "events", ["organization_id", "id"], unique=False)

    op.add_column("files", sa.Column("end_user", sa.String(length=255), nullable=True))
    op.add_column("files", sa.Column("deleted_by_end_user", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "files_by_end_user",
        "files",
        ["organization_id", "end_user", "id"],
        unique=False,
        sqlite_where=sa.text("end_user IS NOT NULL"),
        postgresql_where=sa.text("end_user IS NOT NULL"),
    )

    op.add_column("keys", sa.Column("limits", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("keys", sa.Column("path_prefix", sa.String(length=1024), nullable=True))
    op.add_column("keys", sa.Column("on_behalf_of", sa.JSON(none_as_null=True), nullable=True))

    op.add_column("organizations", sa.Column("limits", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("organizations", sa.Column("end_user_limits", sa.JSON(), server_default="{}", nullable=False))

    op.add_column("uploads", sa.Column("end_user", sa.String(length=255), nullable=True))
    op.add_column("uploads", sa.Column("fetches", sa.Integer(), nullable=True))
    op.add_column("uploads", sa.Column("refusal", sa.String(length=32), nullable=True))

    op.add_column("versions", sa.Column("key_id", sa.String(length=36), nullable=True))
    op.add_column("versions", sa.Column("scan", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("versions", sa.Column("rescan_at", sa.BigInteger(), nullable=True))
    op.add_column("versions", sa.Column("fetches_left", sa.Integer(), nullable=True))
    # What was never scanned is due as soon as there is a scanner.
    op.execute("UPDATE versions SET rescan_at = created_at WHERE state = 'ready'")
    op.create_index(
        "versions_to_rescan",
        "versions",
        ["rescan_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND rescan_at IS NOT NULL"),
        postgresql_where=sa.text("state = 'ready' AND rescan_at IS NOT NULL"),
    )

    op.add_column("workspaces", sa.Column("limits", sa.JSON(), server_default="{}", nullable=False))
