"""Keys lent to programs by OAuth."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import Instant, words

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lent_keys",
        sa.Column("id", words(36), nullable=False),
        sa.Column("key_id", words(36), nullable=False),
        sa.Column("secret", words(64), nullable=False),
        sa.Column("organization_id", words(36), nullable=False),
        sa.Column("end_user", words(255), nullable=True),
        sa.Column("client_id", words(2048), nullable=False),
        sa.Column("client_name", words(255), nullable=False),
        sa.Column("redirect_uri", words(2048), nullable=False),
        sa.Column("scopes", words(255), nullable=False),
        sa.Column("code", words(64), nullable=False),
        sa.Column("code_challenge", words(128), nullable=False),
        sa.Column("code_ends_at", Instant(), nullable=False),
        sa.Column("access", words(64), nullable=True),
        sa.Column("access_ends_at", Instant(), nullable=True),
        sa.Column("refresh", words(64), nullable=True),
        sa.Column("spent", words(64), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("access"),
        sa.UniqueConstraint("refresh"),
    )
    op.create_index("ix_lent_keys_key_id", "lent_keys", ["key_id"])
    op.create_index("ix_lent_keys_spent", "lent_keys", ["spent"])
    op.create_index("ix_lent_keys_ends_at", "lent_keys", ["ends_at"])
