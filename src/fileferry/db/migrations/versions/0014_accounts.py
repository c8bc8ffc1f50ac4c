"""People who sign in by a password, or because a proxy or a provider vouches for them."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import Instant, words

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", words(36), nullable=False),
        sa.Column("organization_id", words(36), nullable=False),
        sa.Column("issuer", words(1024), nullable=False),
        sa.Column("subject", words(255), nullable=False),
        sa.Column("password", words(255), nullable=True),
        sa.Column("signed_in_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["keys.id"]),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "issuer", "subject"),
    )
    op.create_index("accounts_by_subject", "accounts", ["issuer", "subject"])
    op.create_index("accounts_by_organization", "accounts", ["organization_id", "id"])
