"""Running transactions: ``await db.read(fn, …)`` and ``await db.write(fn, …)`` for plain functions of a Connection.

The queries themselves live beside this module, by noun; nothing outside ``db`` knows which database runs them.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar
from urllib.parse import quote, unquote

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url

from fileferry.db.failures import translated
from fileferry.db.turns import Turn
from fileferry.db.writer import Write, Writer
from fileferry.disks.spare import Spare

P = ParamSpec("P")
T = TypeVar("T")

_READERS = 4
_BUSY_TIMEOUT_MS = 30_000
_FIRST_SHARED_BYTE = 0x40000002
_SHARED_BYTES = 510


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
        ``fn`` may be called again after it was undone, so it must have no effect but on the connection. One that is marked
        ``brief`` runs in the loop's thread.

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


def path_of(url: str) -> str:
    """Return the path of the database's file."""
    named = make_url(url)
    path = named.database or ""
    return unquote(path.removeprefix("file:")) if "uri" in named.query else path


def holders_of(url: str) -> Literal["one", "several"] | None:
    """Return whether another process has the database open, for itself or so that several may; not for one that has it open.

    SQLite's locks: https://www.sqlite.org/src/file?name=src/os.h, SHARED_FIRST.
    """
    with translated(), open(path_of(url), "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_BYTES, _FIRST_SHARED_BYTE)
        except BlockingIOError:
            pass
        else:
            return None
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_BYTES, _FIRST_SHARED_BYTE)
        except BlockingIOError:
            return "one"
        return "several"


class SqliteDatabase:
    """SQLite behind one writer that commits waiting writes as a group, and read-only connections for reads.

    One ``fsync`` of the write-ahead log serves the whole group (``synchronous=FULL``). Several processes may open the same
    file: SQLite's lock orders their groups. With ``alone`` only this one may (decision 0029).
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
        url = opened_alone(url) if alone else url
        self._refuse_full = refuse_full
        self._reader_engine = _reader_engine(url)
        self._engines = [writer_engine(url), self._reader_engine, _lookup_engine(url)]
        with translated():
            self._turn = Turn(path_of(url))
            self._writing = self._engines[0].connect()
            self._looking = self._engines[2].connect()
            self._writer = Writer(self._writing, self._turn, spare)
        self._reading = threading.local()
        self._opened: list[Connection] = [self._writing, self._looking]
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` on a read-only connection in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read, lambda c: fn(c, *args, **kwargs)
        )

    async def lookup(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` here and now: in WAL mode a reader waits for nobody."""
        with translated():
            return fn(self._looking, *args, **kwargs)

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in the writer's next group, in the loop's thread where it is ``brief``; return after the group's commit."""
        call, is_brief = partial(_called, fn, args, kwargs), getattr(fn, "is_brief", False)
        result: T = await self._writer.submit(Write(call, is_brief=is_brief))
        return result

    async def grow(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does, if the disk has room."""
        self._refuse_full()
        return await self.write(fn, *args, **kwargs)

    async def free(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does, with the reserve where the disk is full."""
        result: T = await self._writer.submit(Write(partial(_called, fn, args, kwargs), frees=True))
        return result

    async def close(self) -> None:
        """Let the writer finish its queue, then close everything."""
        await self._writer.close()
        self._turn.close()
        self._readers.shutdown()
        for connection in self._opened:
            connection.close()
        for engine in self._engines:
            engine.dispose()

    def _read(self, call: Callable[[Connection], T]) -> T:
        with translated():
            connection = getattr(self._reading, "connection", None)
            if connection is None:
                connection = self._reading.connection = self._reader_engine.connect()
                self._opened.append(connection)
            with connection.begin():
                return call(connection)


def _called(fn: Callable[..., T], args: Any, kwargs: Any, connection: Connection) -> T:
    return fn(connection, *args, **kwargs)


def opened_alone(url: str) -> str:
    """Return the URL that opens a database for this process only, which then keeps SQLite's index of the log to itself.

    SQLite's VFS "unix-excl": https://www.sqlite.org/vfs.html#standard_unix_vfses.
    """
    return _with_options(url, vfs="unix-excl")


def _with_options(url: str, **options: str) -> str:
    """Return the URL with options that SQLite reads from a file's name: https://www.sqlite.org/uri.html."""
    named = make_url(url)
    query = {"uri": "true", **named.query, **options}
    return named.set(database=f"file:{quote(path_of(url))}", query=query).render_as_string()


def _create_engine(url: str) -> Engine:
    return create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )


def writer_engine(url: str) -> Engine:
    """Return the engine that writes: SQLite in WAL mode, where a commit is durable once it returns."""
    engine = _create_engine(url)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not open transactions of its own: the "begin" hook below decides what kind they are.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once, so that a group never fails half-way for want of it.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _reader_engine(url: str) -> Engine:
    engine = _lookup_engine(url)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _lookup_engine(url: str) -> Engine:
    """Return an engine that cannot write and opens no transactions: every statement sees what is committed when it runs."""
    # Not to make a new and empty one where the disk was taken away.
    engine = _create_engine(_with_options(url, mode="rw"))

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        # SQLite's own knows the letters of ASCII only.
        connection.create_function("lower", 1, str.lower, deterministic=True)
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")

    return engine
