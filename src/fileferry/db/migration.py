"""Bringing the schema up to date at start, one process at a time. The steps themselves are Alembic's, in ``migrations``."""

from __future__ import annotations

from alembic import command
from alembic.config import Config

from fileferry.db.database import writer_engine


def migrate(url: str) -> None:
    """Run every outstanding migration of the database at ``url`` in one transaction.

    The transaction takes the database's write lock first, so that processes starting together wait for each other and a
    failed step leaves the schema as it was.
    """
    engine = writer_engine(url)
    configuration = Config()
    configuration.set_main_option("script_location", "fileferry.db:migrations")
    try:
        with engine.connect() as connection, connection.begin():
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
    finally:
        engine.dispose()
