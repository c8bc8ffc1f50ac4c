"""Each process tells once a minute which keys it has seen, and that it lives. Servers of before may go on beside this schema."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import NUMBER, Instant, words

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_uses",
        sa.Column("key_id", words(36), nullable=False),
        sa.Column("used_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_table(
        "processes",
        sa.Column("id", words(36), nullable=False),
        sa.Column("role", words(16), nullable=False),
        sa.Column("host", words(255), nullable=False),
        sa.Column("pid", NUMBER, nullable=False),
        sa.Column("version", words(64), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
