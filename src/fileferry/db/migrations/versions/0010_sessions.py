"""Sessions of the dashboard, and the events of one file by an index."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import Instant, words

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", words(64), nullable=False),
        sa.Column("id", words(36), nullable=False),
        sa.Column("key_id", words(36), nullable=False),
        sa.Column("secret", words(64), nullable=False),
        sa.Column("organization_id", words(36), nullable=False),
        sa.Column("end_user", words(255), nullable=True),
        sa.Column("address", words(64), nullable=False),
        sa.Column("user_agent", words(255), nullable=False),
        sa.Column("notice", sa.JSON(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_sessions_key_id", "sessions", ["key_id"])
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    op.create_index("events_by_file", "events", ["file_id", "number"])
