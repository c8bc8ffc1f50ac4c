"""Events say who did what they tell of, for the audit log. Of those that there are nobody knows any more."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("actor", sa.JSON(none_as_null=True)))
