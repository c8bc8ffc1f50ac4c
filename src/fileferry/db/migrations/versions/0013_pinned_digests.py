"""Which digest the URLs of a direct upload hold the store to. Those that there are hold it to none."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import words

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("direct_uploads", sa.Column("pinned", words(16)))
