"""The steps of the schema, for Alembic; ``db.migration`` runs them."""
