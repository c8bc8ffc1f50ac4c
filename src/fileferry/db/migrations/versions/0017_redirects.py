"""Whether who fetches an organization's files is sent on to the store. What is not said is as the server's setting says."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import words

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organizations", sa.Column("redirect", words(8)))
