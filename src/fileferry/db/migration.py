"""Bringing the schema up to date at start, one process at a time. The steps themselves are Alembic's, in ``migrations``.

A new database is made as ``schema`` says and needs no step (decision 0045): Alembic is loaded for an old one only.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, text

from fileferry.db.connections import opened_alone, path_of, write_log_again, writer_engine
from fileferry.db.failures import translated
from fileferry.db.schema import metadata
from fileferry.db.turns import turn

NEWEST = "0005"
"""The last step. A database that has it needs no Alembic, which takes as long to load as the whole of SQLAlchemy."""

_steps = Table(  # as Alembic makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def migrate(url: str, *, alone: bool = False) -> None:
    """Run every outstanding migration of the database at ``url`` in one transaction. ``alone`` as of SqliteDatabase.

    The transaction takes the database's write lock first, so that processes starting together wait for each other and a
    failed step leaves the schema as it was. Raises InsufficientStorage and Unavailable, as transactions do.
    """
    engine = writer_engine(opened_alone(url) if alone else url)
    try:
        with translated(), turn(path_of(url)):
            write_log_again(path_of(url) + "-wal")
        with translated(), engine.connect() as connection, connection.begin():
            if not inspect(connection).get_table_names():
                _make(connection)
            elif _revision(connection) != NEWEST:
                _upgrade(connection)
    finally:
        engine.dispose()


def _make(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    _steps.create(connection, checkfirst=False)
    connection.execute(_steps.insert().values(version_num=NEWEST))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "fileferry.db:migrations")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
