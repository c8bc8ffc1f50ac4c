"""Each process that writes to PostgreSQL leaves the number of its last commit. Servers of before may go on beside this schema."""

from alembic import op

from fileferry.db.schema import commits

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    commits.create(op.get_bind())
