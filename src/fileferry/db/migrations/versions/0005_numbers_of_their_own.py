"""Events are numbered by organization, and deliveries by webhook.

What there is keeps its number. Those of an organization go on above every one that was handed out, so that each place in
the outbox that a client remembers stays one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, name in (
        ("organizations", "last_event"),
        ("organizations", "forgotten_event"),
        ("events", "number"),
        ("webhooks", "last_delivery"),
        ("deliveries", "number"),
    ):
        op.add_column(table, sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE events SET number = id")
    op.execute("UPDATE deliveries SET number = id")
    op.execute("UPDATE organizations SET last_event = coalesce((SELECT max(id) FROM events), 0)")
    op.execute("UPDATE organizations SET forgotten_event = coalesce((SELECT min(id) - 1 FROM events), 0)")
    op.execute(
        "UPDATE webhooks SET last_delivery ="
        " coalesce((SELECT max(id) FROM deliveries WHERE deliveries.webhook_id = webhooks.id), 0)"
    )
    op.drop_index("events_by_organization", "events")
    op.create_index("events_by_organization", "events", ["organization_id", "number"], unique=True)
    op.drop_index("deliveries_of_webhook", "deliveries")
    op.create_index("deliveries_of_webhook", "deliveries", ["webhook_id", "number"], unique=True)
