"""Alembic's entry point: runs the steps on the connection, and in the transaction, that ``db.migration`` opened."""

from alembic import context

from fileferry.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
