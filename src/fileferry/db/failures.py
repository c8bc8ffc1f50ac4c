"""The database's errors in our own words, and which of them pass."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, StatementError

from fileferry.disks.failures import told
from fileferry.errors import InsufficientStorage, InvalidParameter, Unavailable

# PostgreSQL's, https://www.postgresql.org/docs/15/errcodes-appendix.html: classes, then codes.
_AWAY = ("08", "57P", "53300", "25P03")  # connections, shutdown, too many of them, a transaction that was left alone
_COLLIDED = ("40001", "40P01")  # serialization failure, deadlock
_STANDBY = "25006"  # read_only_sql_transaction: the server is not, or no longer, the one to write to
_FULL = "53100"
# NUL, which the driver refuses; out of range; a character that there is not.
_NO_VALUE = (None, "22003", "22021", "22P05")
_OURS = ("22", "23", "42", "0A", "25")  # a rule of the tables was broken, or of the language
_TOOK_TOO_LONG = {
    "55P03": "others write for too long (lock timeout)",
    "57014": "it takes too long to answer (statement timeout)",
}
_BROKEN = ("OperationalError", "InterfaceError", "ConnectionTimeout")
_NOT_KEPT = "A value cannot be kept: it has NUL or half of a character, or is too large a number."


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Tell the database's errors in our own words; those that broke a rule of its tables, or of its language, go on as they are."""
    try:
        yield
    except (StatementError, OSError, OverflowError, UnicodeEncodeError) as error:
        raise translate(error) from error


def translate(error: Exception) -> Exception:
    """Return what to tell of an error: of the driver's all but our own mistakes are the disk's, whatever SQLite calls them."""
    if isinstance(error, OSError):
        return told(error, "The database")
    if isinstance(_cause_of(error), OverflowError | UnicodeEncodeError):  # too large a number, half of a surrogate pair
        return InvalidParameter(_NOT_KEPT)
    if not isinstance(error, DBAPIError):
        return error
    if _is_of_postgresql(error):
        return _translate_postgresql(error)
    if isinstance(error, IntegrityError | ProgrammingError):
        return error
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR:  # SQL that is wrong: a fault of ours
        return error
    if code == sqlite3.SQLITE_FULL:
        return InsufficientStorage()
    return _unavailable(error.orig)


def is_passing(error: BaseException, *, writing: bool = False) -> bool:
    """Whether PostgreSQL may do the same a moment later on a new connection: it was away, or two transactions collided."""
    if not isinstance(error, DBAPIError) or not _is_of_postgresql(error):
        return False
    code = _state_of(error)
    if code is None:  # told by the driver: the connection broke, or there was none
        return error.connection_invalidated or type(error.orig).__name__ in _BROKEN
    return code.startswith(_AWAY) or code in _COLLIDED or (writing and code == _STANDBY)


def _cause_of(error: Exception) -> BaseException:
    return (error.orig or error) if isinstance(error, StatementError) else error


def _translate_postgresql(error: DBAPIError) -> Exception:
    code = _state_of(error)
    if isinstance(error, DataError) and code in _NO_VALUE:
        return InvalidParameter(_NOT_KEPT)
    if code == _FULL:
        return InsufficientStorage()
    # Not in the driver's words, which name the server's address and its users: sessions log those.
    if code is None or code.startswith(_AWAY) or code == _STANDBY:
        return _unavailable("it is away, or restarting")
    if code.startswith(_OURS):
        return error
    return _unavailable(_TOOK_TOO_LONG.get(code, f"PostgreSQL says {code}"))


def _unavailable(reason: object) -> Unavailable:
    return Unavailable(
        f"The database cannot be used at the moment: {reason}. Repeat the request shortly.", retry_after=1
    )


def _is_of_postgresql(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("psycopg")


def _state_of(error: DBAPIError) -> str | None:
    code: str | None = getattr(error.orig, "sqlstate", None)
    return code
