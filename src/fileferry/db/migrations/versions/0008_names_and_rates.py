"""Files are found by a part of their name through an index, and rates are counted for several servers.

The files that there are come into the index while the server runs. Servers of before may go on beside this schema.
"""

from alembic import op

from fileferry.db.schema import names, names_progress, rates
from fileferry.db.schema.names import index_what_there_is

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for made in (names, names_progress, rates):
        made.create(connection)
    index_what_there_is(connection)
