"""The database's errors in our own words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from fileferry.disks.failures import told
from fileferry.errors import InsufficientStorage, Unavailable


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Tell the database's errors in our own words; those that broke a rule of its tables, or of its language, go on as they are."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        raise translate(error) from error


def translate(error: Exception) -> Exception:
    """Return what to tell of an error: of the driver's all but our own mistakes are the disk's, whatever SQLite calls them."""
    if isinstance(error, OSError):
        return told(error, "The database")
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError | ProgrammingError):
        return error
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR:  # SQL that is wrong: a fault of ours
        return error
    if code == sqlite3.SQLITE_FULL:
        return InsufficientStorage()
    return Unavailable(
        f"The database cannot be used at the moment: {error.orig}. Repeat the request shortly.", retry_after=1
    )
