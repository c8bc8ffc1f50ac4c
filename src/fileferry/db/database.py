"""Running transactions: ``await db.read(fn, …)`` and ``await db.write(fn, …)`` for plain functions of a Connection.

The queries themselves live beside this module, by noun; nothing outside ``db`` knows which database runs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from fileferry.db.connections import FIRST_SHARED_BYTE, SHARED_BYTES, Connections, Opening, path_of
from fileferry.db.failures import translated
from fileferry.db.notices import Bell
from fileferry.db.writer import Write, Writer
from fileferry.disks.spare import Spare
from fileferry.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

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

    def bell(self) -> Bell:
        """Return a bell that may ring when another process has written what somebody waits for: look by yourself in time, too."""
        ...

    async def close(self) -> None:
        """Finish the waiting writes and close every connection."""
        ...


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
        self._refuse_full = refuse_full
        with translated():
            self._connections = Connections(url, alone=alone)
        self._writer = Writer(self._connections, spare)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` on a read-only connection in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read, lambda c: fn(c, *args, **kwargs)
        )

    async def lookup(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` here and now: in WAL mode a reader waits for nobody."""
        # Several of these are made for each request: what opens, and tells of errors, is entered only where it has to.
        opened = self._connections.take_open()
        if opened is None:
            with self._opened() as anew:
                return fn(anew.looking, *args, **kwargs)
        try:
            return fn(opened.looking, *args, **kwargs)
        except Exception:
            with self._told():
                raise
        finally:
            self._connections.give()

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

    def bell(self) -> Bell:
        """Return a bell that never rings: looking costs little here."""
        return Bell()

    async def close(self) -> None:
        """Let the writer finish its queue, then close everything."""
        await self._writer.close()
        self._readers.shutdown()
        self._connections.close()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Opening]:
        """Give the connections; where the file is not there, they are opened anew."""
        with self._told(), self._connections.using() as opened:
            yield opened

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Tell errors in our own words, and look whether the file is still there."""
        try:
            with translated():
                yield
        except Unavailable:
            self._connections.doubt()
            raise

    def _read(self, call: Callable[[Connection], T]) -> T:
        with self._opened() as opened, opened.reading.begin():
            return call(opened.reading)


def _called(fn: Callable[..., T], args: Any, kwargs: Any, connection: Connection) -> T:
    return fn(connection, *args, **kwargs)
