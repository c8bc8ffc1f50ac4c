"""Bringing the schema up to date at start, one process at a time. The steps themselves are Alembic's, in ``migrations``.

A new database is made as ``schema`` says and needs no step (decision 0045): Alembic is loaded for an old one only.
"""

from __future__ import annotations

import contextlib

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, text

from fileferry.db.connections import opened_alone, path_of, write_log_again, writer_engine
from fileferry.db.failures import translated
from fileferry.db.schema import metadata
from fileferry.db.turns import turn
from fileferry.logs import get_logger
from fileferry.settings import SettingsError

NEWEST = "0017"
"""The last step. A database that has it needs no Alembic, which takes as long to load as the whole of SQLAlchemy."""

_KNOWN = frozenset(f"{number:04}" for number in range(1, int(NEWEST) + 1))
_SQLITE = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, section 1.3
_log = get_logger(__name__)
_steps = Table(  # as Alembic makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def migrate(url: str, *, alone: bool = False) -> None:
    """Run every outstanding migration of the database at ``url`` in one transaction. ``alone`` as of SqliteDatabase.

    The transaction takes the database's write lock first, so that processes starting together wait for each other and a
    failed step leaves the schema as it was. Raises InsufficientStorage and Unavailable, as transactions do, and SettingsError for
    a database of a newer fileferry, or of another program.
    """
    _refuse_no_database(path_of(url))
    engine = writer_engine(opened_alone(url) if alone else url)
    try:
        with translated(), turn(path_of(url)):
            write_log_again(path_of(url) + "-wal")
        with translated(), engine.connect() as connection, connection.begin():
            before = revision(connection)
            refuse_foreign(connection, before, path_of(url))
            if before is None:
                make(connection)
            elif before != NEWEST:
                upgrade(connection)
                _log.info("database_upgraded", before=before, after=NEWEST)
    finally:
        engine.dispose()


def _refuse_no_database(path: str) -> None:
    """Raise SettingsError for a file that SQLite would not open, before it is asked to."""
    with translated(), contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        start = file.read(len(_SQLITE))
        if start and start != _SQLITE:
            raise SettingsError(f"{path} is no database of fileferry: name another folder or FILEFERRY_DATABASE_URL.")


def refuse_foreign(connection: Connection, before: str | None, path: str) -> None:
    """Raise SettingsError for a database that no step of ours leads on from; ``path`` is what it is called."""
    tables = inspect(connection).get_table_names()
    if tables and (before is None or "organizations" not in tables):
        raise SettingsError(f"{path} is no database of fileferry: name another folder or FILEFERRY_DATABASE_URL.")
    if before is not None and before not in _KNOWN:
        raise SettingsError(
            f"{path} was upgraded by a newer fileferry, to schema {before}; this one knows schemas up to {NEWEST}. "
            "Run that version, or restore a backup from before the upgrade."
        )


def make(connection: Connection) -> None:
    """Make all tables of an empty database."""
    make_tables(connection)
    record_newest(connection)


def make_tables(connection: Connection) -> None:
    """Make the tables that rows are kept in."""
    metadata.create_all(connection, checkfirst=False)


def record_newest(connection: Connection) -> None:
    """Record that the tables are as the last step leaves them: from now on it is a database."""
    _steps.create(connection, checkfirst=False)
    connection.execute(_steps.insert().values(version_num=NEWEST))


def revision(connection: Connection) -> str | None:
    """Return the last step that was taken; None where there was none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(connection: Connection) -> None:
    """Take the steps that are left."""
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "fileferry.db:migrations")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
