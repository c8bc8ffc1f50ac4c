"""Running transactions: ``await db.read(fn, …)`` and ``await db.write(fn, …)`` for plain functions of a Connection.

The queries themselves live beside this module, by noun; nothing outside ``db`` knows which database runs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from fileferry.db.connections import FIRST_SHARED_BYTE, SHARED_BYTES, Connections, Opening, path_of
from fileferry.disks.failures import told
from fileferry.disks.spare import Spare
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.groups import GroupThread, Job

P = ParamSpec("P")
T = TypeVar("T")

_LARGEST_GROUP = 128
_READERS = 4


class Database(Protocol):
    """What the engine needs of a database."""

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in a read-only transaction and return its result."""
        ...

    async def lookup(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``read``, for what fetches a row or two by key: where a change of thread would cost more than the query."""
        ...

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in a transaction; return once it is durable. An exception of ``fn`` undoes its writes and only its.
        ``fn`` may be called again after it was undone, so it must have no effect but on the connection.

        Raises InsufficientStorage when the disk is full, Unavailable when the database cannot be used for any other reason.
        """
        ...

    async def grow(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``write``, for what adds to what is kept: raises InsufficientStorage where it would not leave what must be free."""
        ...

    async def free(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``write``, for what ends things: on a full disk it may use what was set aside for that."""
        ...

    async def close(self) -> None:
        """Finish the waiting writes and close every connection."""
        ...


class _Write(Job):
    def __init__(self, call: Callable[[Connection], Any], *, frees: bool = False) -> None:
        super().__init__()
        self.call = call
        self.frees = frees


def holders_of(url: str) -> Literal["one", "several"] | None:
    """Return whether another process has the database open, for itself or so that several may; not for one that has it open."""
    with translated(), open(path_of(url), "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except BlockingIOError:
            pass
        else:
            return None
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except BlockingIOError:
            return "one"
        return "several"


class SqliteDatabase:
    """SQLite behind one writer thread that commits waiting writes as a group, and read-only connections for reads.

    One ``fsync`` of the write-ahead log serves the whole group (``synchronous=FULL``). Where a write of a group fails, the
    group runs again with a savepoint around each, so that the others are not touched: a write may be called twice. Several
    processes may open the same file: SQLite's lock orders their groups. With ``alone`` only this one may (decision 0029).
    ``spare`` is given back when a write that frees finds no room.
    """

    def __init__(
        self,
        url: str,
        refuse_full: Callable[[], None] = lambda: None,
        *,
        alone: bool = False,
        spare: Spare | None = None,
    ) -> None:
        self._refuse_full = refuse_full
        self._spare = spare
        with translated():
            self._connections = Connections(url, alone=alone)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")
        self._writer = GroupThread("db-write", self._commit, _LARGEST_GROUP)

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` on a read-only connection in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read, lambda c: fn(c, *args, **kwargs)
        )

    async def lookup(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` here and now: in WAL mode a reader waits for nobody."""
        with self._opened() as opened:
            return fn(opened.looking, *args, **kwargs)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in the writer thread's next group; return after the group's commit."""
        result: T = await self._writer.submit(_Write(lambda connection: fn(connection, *args, **kwargs)))
        return result

    async def grow(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does, if the disk has room."""
        self._refuse_full()
        return await self.write(fn, *args, **kwargs)

    async def free(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does, with the reserve where the disk is full."""
        result: T = await self._writer.submit(_Write(lambda connection: fn(connection, *args, **kwargs), frees=True))
        return result

    async def close(self) -> None:
        """Let the writer finish its queue, then close everything."""
        await self._writer.close()
        self._readers.shutdown()
        self._connections.close()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Opening]:
        """Give the connections, and tell their errors in our own words; where the file is not there, they are opened anew."""
        try:
            with translated(), self._connections.using() as opened:
                yield opened
        except Unavailable:
            self._connections.doubt()
            raise

    def _read(self, call: Callable[[Connection], T]) -> T:
        with self._opened() as opened, opened.reading.begin():
            return call(opened.reading)

    def _commit(self, group: list[_Write]) -> None:
        with self._opened() as opened, opened.turn:
            try:
                with opened.writing.begin():
                    for job in group:
                        job.result = job.call(opened.writing)
            except Exception:
                _commit_apart(opened.writing, group)
            if self._spare is not None:
                refused = [
                    job for job in group if job.frees and isinstance(job.error, InsufficientStorage | Unavailable)
                ]
                _commit_with_spare(opened.writing, self._spare, refused)
        if any(isinstance(job.error, Unavailable) for job in group):
            self._connections.doubt()


def _commit_with_spare(connection: Connection, spare: Spare, refused: list[_Write]) -> None:
    """Run what frees once more, with the room that was kept for it; what is left of that is kept again.

    Over a quota SQLite does not say that it is room that it lacks. A log whose pages have all gone to the database begins
    anew, so that a full disk can be emptied file by file.
    """
    is_full = any(isinstance(job.error, InsufficientStorage) for job in refused)
    if refused and (spare.release() or is_full):
        with contextlib.suppress(sqlite3.Error):
            _checkpoint(connection)
        _commit_apart(connection, refused)
    spare.keep()


def _checkpoint(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _commit_apart(connection: Connection, group: list[_Write]) -> None:
    """Run a group again in which a write failed, with a savepoint around each: slower, and only the failed one is undone."""
    for job in group:
        job.error = None
    try:
        with connection.begin():
            for job in group:
                _run(connection, job)
    except Exception as error:  # the commit failed, or SQLite undid the whole transaction: nothing of it is durable
        failure = _common_failure(group, error)
        for job in group:
            job.error = job.error or failure


def _common_failure(group: list[_Write], error: Exception) -> Exception:
    """Return what to tell the writes that did not fail by themselves; never the error of another caller's write."""
    of_the_database = (job.error for job in reversed(group) if isinstance(job.error, InsufficientStorage | Unavailable))
    return next(of_the_database, _translate(error))


def _run(connection: Connection, job: _Write) -> None:
    savepoint = connection.begin_nested()
    try:
        job.result = job.call(connection)
        savepoint.commit()
    except Exception as error:
        job.error = _translate(error)
        savepoint.rollback()  # raises where SQLite has already undone the whole transaction, as on a full disk


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Tell the database's errors in our own words; those that broke a rule of its tables, or of its language, go on as they are."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        raise _translate(error) from error


def _translate(error: Exception) -> Exception:
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
