"""Which database the settings name: bringing it up to date, and opening it. Nothing outside ``db`` asks which it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fileferry.db import database
from fileferry.db.database import Database, SqliteDatabase
from fileferry.db.migration import migrate
from fileferry.disks.spare import Spare
from fileferry.settings import Settings, SettingsError


def bring_up_to_date(settings: Settings, *, alone: bool = False) -> None:
    """Make or change the tables as this release needs them; safe from several processes at once. ``alone`` as of SqliteDatabase.

    Raises InsufficientStorage and Unavailable, as transactions do, and SettingsError where a driver is missing.
    """
    url = settings.resolved_database_url()
    if settings.resolved_database_file() is not None:
        migrate(url, alone=alone)
        return
    need_driver()
    from fileferry.db.postgresql_schema import migrate_postgresql

    migrate_postgresql(url, settings)


def holders_of(settings: Settings) -> Literal["one", "several"] | None:
    """Return whether another process has the database's file open, as of ``database.holders_of``; None where it is no file."""
    return None if settings.resolved_database_file() is None else database.holders_of(settings.resolved_database_url())


def open_database(
    settings: Settings,
    refuse_full: Callable[[], None] = lambda: None,
    *,
    alone: bool = False,
    spare: Spare | None = None,
) -> Database:
    """Open the database; ``alone`` and ``spare`` are for one that is a file of this machine."""
    url = settings.resolved_database_url()
    # What the other needs is loaded for it only: decision 0045.
    if settings.resolved_database_file() is not None:
        return SqliteDatabase(url, refuse_full, alone=alone, spare=spare)
    need_driver()
    from fileferry.db.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(url, settings, refuse_full)


def need_driver() -> None:
    """Raise SettingsError where what speaks to PostgreSQL is not installed."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "FILEFERRY_DATABASE_URL: PostgreSQL needs a driver: pip install 'fileferry[postgresql]'."
        ) from error
