"""Uploads that clients send to the store themselves."""

import sqlalchemy as sa
from alembic import op

from fileferry.db.schema.columns import words

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "direct_uploads",
        sa.Column("upload_id", words(36), primary_key=True),
        sa.Column("blob_key", words(36), nullable=False),
        sa.Column("store_name", words(), nullable=False),
    )
