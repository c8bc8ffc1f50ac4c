"""Bringing the schema up to date at start, one process at a time. The steps themselves are Alembic's, in ``migrations``."""

from __future__ import annotations

import contextlib
import os

from sqlalchemy import Connection, inspect, text

from fileferry.db.database import opened_alone, path_of, writer_engine
from fileferry.db.failures import translated
from fileferry.db.turns import turn

NEWEST = "0004"
"""The last step. A database that has it needs no Alembic, which takes as long to load as the whole of SQLAlchemy."""


def migrate(url: str, *, alone: bool = False) -> None:
    """Run every outstanding migration of the database at ``url`` in one transaction. ``alone`` as of SqliteDatabase.

    The transaction takes the database's write lock first, so that processes starting together wait for each other and a
    failed step leaves the schema as it was. Raises InsufficientStorage and Unavailable, as transactions do.
    """
    engine = writer_engine(opened_alone(url) if alone else url)
    try:
        with translated(), turn(path_of(url)):
            _write_log_again(path_of(url) + "-wal")
        with translated(), engine.connect() as connection, connection.begin():
            if _revision(connection) != NEWEST:
                _upgrade(connection)
    finally:
        engine.dispose()


def _write_log_again(path: str) -> None:
    """Write again what a process that died left in SQLite's log, and sync it.

    The sync of it may have failed, and a kernel says so once: what it then reads back need not be on the disk. The log would
    be taken for good, and all that is committed after it be lost with it at a power cut. On a full disk this waits for the
    next start.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            offset = 0
            while block := os.pread(descriptor, 1 << 20, offset):
                offset += os.pwrite(descriptor, block, offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
