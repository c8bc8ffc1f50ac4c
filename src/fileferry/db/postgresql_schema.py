"""Bringing the schema of a PostgreSQL database up to date at start. What there is to do is for ``migration`` to say."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import Connection

from fileferry.db import sessions
from fileferry.db.failures import translated
from fileferry.db.migration import NEWEST, make, refuse_foreign, revision, upgrade
from fileferry.db.schema import metadata
from fileferry.db.schema.names import make_missing_index
from fileferry.settings import Duration, Settings


def migrate_postgresql(url: str, settings: Settings) -> None:
    """Bring a PostgreSQL database up to date in one transaction, which holds off every other writer meanwhile.

    An empty one gets the tables as they are now: the first steps were taken before there was this database. Later ones run
    on both. Raises Unavailable where the server is not there within ``database_patience``.
    """
    unhurried = msgspec.structs.replace(
        settings, database_statement_timeout=Duration(), database_lock_timeout=Duration()
    )
    engine = sessions.writer_engine(url, unhurried)
    session = sessions.Session(engine)
    try:
        with translated():
            session.run(_bring_up_to_date, time.monotonic() + settings.database_patience.total_seconds())
    finally:
        session.close()
        engine.dispose()


def _bring_up_to_date(connection: Connection) -> None:
    with connection.begin():
        found = revision(connection)
        refuse_foreign(connection, found, "The database of FILEFERRY_DATABASE_URL")
        if found is None:
            have_the_same_rows_in_indexes()
            make(connection)
        elif found != NEWEST:
            upgrade(connection)
        else:
            make_missing_index(connection)


def have_the_same_rows_in_indexes() -> None:
    """Take over what is said for SQLite of the rows that an index has."""
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
