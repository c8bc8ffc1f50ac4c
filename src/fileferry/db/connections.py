"""The connections of one process to the file of a SQLite database, also to one whose disk was away and is back.

What runs on them, and what is told of their errors, is for ``database`` to say.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, cast
from urllib.parse import quote, unquote

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url

from fileferry.db.turns import Turn, turn

FIRST_SHARED_BYTE = 0x40000002
SHARED_BYTES = 510
"""Where SQLite has its lock of readers: https://www.sqlite.org/src/file?name=src/os.h, SHARED_FIRST."""

_BUSY_TIMEOUT_MS = 30_000
_AGAIN_SECONDS = 1.0
"""How often a disk that is away is looked for."""


def path_of(url: str) -> str:
    """Return the path of the database's file."""
    named = make_url(url)
    path = named.database or ""
    return unquote(path.removeprefix("file:")) if "uri" in named.query else path


class Opening:
    """What one process has open of a database: all of it goes when the disk does. Raises what the driver and the disk raise."""

    def __init__(self, url: str) -> None:
        self._file = _File(path_of(url))
        self._all: list[Connection] = []
        self._readers = _reader_engine(url)
        self._engines = [writer_engine(url), _lookup_engine(url), self._readers]
        self._reading = threading.local()
        self.turn = Turn(path_of(url))
        try:
            self.writing, self.looking = (self._connect(engine) for engine in self._engines[:2])
            self._file.open()  # made by now, where it was not there
            self.driver = cast(Any, self.writing.connection.driver_connection)
            self.driver.execute("PRAGMA busy_timeout=0")  # whoever can wait says so
            # In other modes a commit may wait for readers.
            self.is_waiting_for_nobody = self.driver.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        except BaseException:
            self.close()
            raise

    @property
    def reading(self) -> Connection:
        """This thread's own connection that reads."""
        connection: Connection | None = getattr(self._reading, "connection", None)
        if connection is None:
            connection = self._reading.connection = self._connect(self._readers)
        return connection

    def is_there(self) -> bool:
        """Return whether the file can be read, and is still what is found by its name."""
        return self._file.is_there()

    def close(self) -> None:
        """Close everything; of a dead disk also what cannot be ended well."""
        for connection in self._all:
            with contextlib.suppress(Exception):
                connection.close()
        for engine in self._engines:
            engine.dispose()
        self.turn.close()
        self._file.close()

    def abandon(self) -> None:
        """Close everything of a file that somebody may have opened anew by its name."""
        self._file.stay()
        for connection in self._all:
            with contextlib.suppress(Exception):
                connection.invalidate()
        self.close()

    def _connect(self, engine: Engine) -> Connection:
        connection = engine.connect()
        self._all.append(connection)
        return connection


class _File:
    """The file of a database, held open beside SQLite to see what has become of it."""

    # Who closes any descriptor of a file loses the locks that the process has on it, those of SQLite too: fcntl(2). So all of one
    # file are closed with the last, as SQLite does itself.
    _held: ClassVar[Counter[tuple[int, int]]] = Counter()
    _waiting: ClassVar[dict[tuple[int, int], list[int]]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def open(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        with self._lock:
            self._descriptor, self.identity = descriptor, (status.st_dev, status.st_ino)
            self._held[self.identity] += 1

    def is_there(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            os.pread(self._descriptor, 1, 0)
            found = os.stat(self._path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity

    def stay(self) -> None:
        """Let SQLite find another reader of the file for as long as this is open.

        Who closes a file last removes its log, by name; another process may have opened the file of that name anew, on a disk that
        is back, and be writing its log.
        """
        if self._descriptor is not None:
            lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, FIRST_SHARED_BYTE, SHARED_BYTES, 0)
            with contextlib.suppress(OSError):  # as where this process has the database for itself
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, lock)

    def close(self) -> None:
        if self._descriptor is None:
            return
        with self._lock:
            waiting = self._waiting.setdefault(self.identity, [])
            waiting.append(self._descriptor)
            self._descriptor = None
            self._held[self.identity] -= 1
            if self._held[self.identity]:
                return
            del self._held[self.identity], self._waiting[self.identity]
        for descriptor in waiting:
            os.close(descriptor)


class Connections:
    """One connection that writes, one for lookups, and one for each thread that reads. They are opened at once.

    Where the file is not there any more all of them are closed, so that its disk can be let go of, and opened anew once it is
    back.
    """

    def __init__(self, url: str, *, alone: bool = False) -> None:
        self._path = path_of(url)
        self._url = opened_alone(url) if alone else url
        self._lock = threading.Lock()
        self._uses = 0
        self._is_lost = False
        self._next_try = 0.0
        self._opening: Opening | None = Opening(self._url)
        self._number = os.stat(self._path).st_ino

    @contextlib.contextmanager
    def using(self) -> Iterator[Opening]:
        """Give what is open, which stays so meanwhile. Raises OSError while the disk is away, and what the driver raises."""
        with self._lock:
            if self._is_lost:
                raise _away()
            opening = self._opening = self._opening or self._open_again()
            self._uses += 1
        try:
            yield opening
        finally:
            self.give()

    def take_open(self) -> Opening | None:
        """Give what is open, until ``give``; None where it would have to be opened anew."""
        with self._lock:
            if self._is_lost or self._opening is None:
                return None
            self._uses += 1
            return self._opening

    def give(self) -> None:
        """Let go of what was taken."""
        with self._lock:
            self._uses -= 1
            self._let_go_if_lost()

    def doubt(self) -> None:
        """After an error: give up what is open if it is not there any more."""
        with self._lock:
            self._is_lost = self._is_lost or (self._opening is not None and not self._opening.is_there())
            self._let_go_if_lost()

    def close(self) -> None:
        """Close everything. Nothing may be in use."""
        with self._lock:
            if self._opening is not None:
                self._opening.close()
                self._opening = None

    def _let_go_if_lost(self) -> None:
        if self._is_lost and not self._uses and self._opening is not None:
            self._opening.abandon()
            self._opening, self._is_lost = None, False

    def _open_again(self) -> Opening:
        if time.monotonic() < self._next_try:
            raise _away()
        self._next_try = time.monotonic() + _AGAIN_SECONDS
        # Not one that was mounted in its place, nor a new one: what this process knows is of the one it had.
        if os.stat(self._path).st_ino != self._number:
            raise _away()
        with turn(self._path):
            write_log_again(self._path + "-wal")
        return Opening(self._url)


def _away() -> OSError:
    return OSError(errno.ENODEV, os.strerror(errno.ENODEV))


def write_log_again(path: str) -> None:
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
        _lower_all_letters(connection)
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
        _lower_all_letters(connection)
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")

    return engine


def _lower_all_letters(connection: sqlite3.Connection) -> None:
    # SQLite's own knows the letters of ASCII only.
    connection.create_function("lower", 1, str.lower, deterministic=True)
