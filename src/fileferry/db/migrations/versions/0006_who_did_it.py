"""Events say who did what they tell of, for the audit log, and deliveries by which trace. Of those that there are nobody knows."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import words

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("actor", sa.JSON(none_as_null=True)))
    op.add_column("deliveries", sa.Column("trace_id", words(32)))
