"""PostgreSQL, for any number of processes: groups of writes, one after the other (decision 0047), and reads beside them.

A request waits for a server that is away, or restarting, for ``database_patience``; then it is told so. Whether a commit took
place whose answer never came is looked up, by what it has written of itself: decision 0069.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import DBAPIError

from fileferry.db.commits import FORGET, LAST, RECORD, RECORD_AND_NOTIFY
from fileferry.db.failures import is_passing, translate, translated
from fileferry.db.notices import Bell, Listener, take_told
from fileferry.db.sessions import (
    LOCK,
    Session,
    Sessions,
    lookup_engine,
    pipelined,
    reader_engine,
    writer_engine,
)
from fileferry.errors import Unavailable
from fileferry.groups import GroupThread, Job
from fileferry.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_LARGEST_GROUP = 128
_UNKNOWN = (
    "The database went away during a commit, and has not told yet whether it took place. Look, then repeat the request."
)


class Call(Job):
    """A function of a connection that somebody waits for, until ``deadline`` of ``time.monotonic`` where it has to be repeated."""

    def __init__(self, call: Callable[[Connection], Any], deadline: float) -> None:
        super().__init__()
        context = copy_context()  # wherever it runs, it is to know who asked for it
        self.call: Callable[[Connection], Any] = lambda connection: context.run(call, connection)
        self.deadline = deadline


class PostgresqlDatabase:
    """PostgreSQL behind one writer that commits waiting writes as a group, a session for lookups, and threads that read.

    Every process that writes takes the same lock for its group: what holds of one write at a time on SQLite holds here too.
    """

    def __init__(self, url: str, settings: Settings, refuse_full: Callable[[], None] = lambda: None) -> None:
        self._refuse_full = refuse_full
        self._patience = settings.database_patience.total_seconds()
        self._writing = Session(writer_engine(url, settings))
        self._asking = Session(lookup_engine(url, settings))
        self._is_pooled = settings.database_pooler
        self._looking = Session((reader_engine if self._is_pooled else lookup_engine)(url, settings))
        self._reading = Sessions(reader_engine(url, settings))
        self._readers = ThreadPoolExecutor(settings.database_readers, thread_name_prefix="db-read")
        self._lookups = GroupThread[Call]("db-look", self._look, _LARGEST_GROUP)
        self._writes = GroupThread[Call]("db-write", Writes(self._writing, self._asking).commit, _LARGEST_GROUP)
        # Through a pooler nobody hears anything.
        heard = settings.database_listen_url or (None if settings.database_pooler else url)
        self._listener = Listener(None if heard is None else lookup_engine(heard, settings))

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` on one state of the database in a reader thread."""
        deadline = time.monotonic() + self._patience
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read, lambda c: fn(c, *args, **kwargs), deadline
        )

    async def lookup(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in the thread of lookups, with all that wait: decision 0048."""
        result: T = await self._lookups.submit(self._call(lambda c: fn(c, *args, **kwargs)))
        return result

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` in this process's next group; return after the group's commit."""
        result: T = await self._writes.submit(self._call(lambda c: fn(c, *args, **kwargs)))
        return result

    async def grow(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does, if the disk of the store has room."""
        self._refuse_full()
        return await self.write(fn, *args, **kwargs)

    async def free(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn`` as ``write`` does."""
        return await self.write(fn, *args, **kwargs)

    def bell(self) -> Bell:
        """Return a bell that rings when any process has written what others wait for."""
        return self._listener.bell()

    async def close(self) -> None:
        """Finish the waiting writes and close every connection."""
        await self._listener.close()
        await self._writes.close()
        await self._lookups.close()
        self._readers.shutdown()
        for session in (self._writing, self._asking, self._looking, self._reading):
            session.close()

    def _call(self, call: Callable[[Connection], Any]) -> Call:
        return Call(call, time.monotonic() + self._patience)

    # In the threads

    def _read(self, call: Callable[[Connection], T], deadline: float) -> T:
        with translated():
            return self._reading.session().run(partial(_within, call), deadline)

    def _look(self, group: list[Call]) -> None:
        for each in group:
            # A pooler would forget between statements that this connection cannot write.
            call = partial(_within, each.call) if self._is_pooled else each.call
            try:
                each.result = self._looking.run(call, each.deadline)
            except Exception as error:
                each.error = translate(error)


def _within(call: Callable[[Connection], T], connection: Connection) -> T:
    with connection.begin():
        return call(connection)


class Writes:
    """Runs groups of writes on one session, each in a transaction; ``asking`` is for what became of one."""

    def __init__(self, session: Session, asking: Session) -> None:
        self._session = session
        self._asking = asking
        self._process = str(uuid.uuid4())
        self._number = 0

    def commit(self, group: list[Call]) -> None:
        """Give each write of a group its result or its error; what was done is durable then.

        Where a write of it fails the group runs again with a savepoint around each. Where the connection breaks, or
        PostgreSQL had two transactions collide, it runs again on a new one, until the last of its callers has waited enough.
        """
        deadline = max(write.deadline for write in group)
        is_apart = False
        while True:
            for write in group:
                write.error = None
            try:
                self._run(group, is_apart=is_apart, deadline=deadline)
                return
            except Exception as error:
                if is_passing(error, writing=True):
                    if self._session.wait(error, deadline):
                        continue
                elif not is_apart and not isinstance(error, Unavailable):
                    is_apart = True
                    continue
                _fail(group, error)
                return

    def _run(self, group: list[Call], *, is_apart: bool, deadline: float) -> None:
        connection, transaction = self._begin()
        self._number += 1
        own = {"process": self._process, "number": self._number}
        try:
            if self._number == 1:
                connection.execute(FORGET)
            if is_apart:
                for write in group:
                    _run_apart(connection, write)
            else:
                with pipelined(connection):
                    for write in group:
                        write.result = write.call(connection)
            # Also the proof that the transaction is whole: a commit of one that has failed says nothing of that.
            recorded = connection.execute(RECORD_AND_NOTIFY if take_told(connection) else RECORD, own).scalar()
        except BaseException:
            self._undo(transaction)
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            self._session.drop()  # the connection would keep the transaction, and begin no other
            # One that has changed nothing needs no commit.
            if not is_passing(error) or (recorded is not None and not self._took_place(error, deadline)):
                raise

    def _begin(self) -> tuple[Connection, RootTransaction]:
        """Begin a transaction, and wait for the turn; raises Unavailable where others have it for too long."""
        connection = self._session.connection()
        try:
            return connection, connection.begin()
        except DBAPIError as error:
            self._session.drop()
            raise error if is_passing(error, writing=True) else translate(error) from error

    def _undo(self, transaction: RootTransaction) -> None:
        try:
            transaction.rollback()
        except DBAPIError:  # it broke; what matters is told by whatever went wrong first
            self._session.drop()

    def _took_place(self, lost: DBAPIError, deadline: float) -> bool:
        """Whether the last transaction was committed although nobody said so; raises Unavailable where that is not known in time.

        It had the turn, so whoever has the turn after it sees what came of it.
        """
        while self._session.wait(lost, deadline):
            left = max(1, round((deadline - time.monotonic()) * 1000))
            turn = f"BEGIN;SET LOCAL lock_timeout = {left};SELECT pg_advisory_xact_lock({LOCK});COMMIT"
            try:
                connection = self._asking.connection()
                connection.exec_driver_sql(turn, None, {"no_parameters": True})
                last = connection.execute(LAST, {"process": self._process}).scalar()
            except DBAPIError as error:
                self._asking.drop()
                lost = error
            else:
                return bool(last == self._number)
        raise Unavailable(_UNKNOWN, retry_after=1) from lost


def _run_apart(connection: Connection, write: Call) -> None:
    savepoint = connection.begin_nested()
    try:
        write.result = write.call(connection)
        savepoint.commit()
    except Exception as error:
        if is_passing(error, writing=True):
            raise
        write.error = translate(error)
        savepoint.rollback()


def _fail(group: list[Call], error: Exception) -> None:
    """Tell every write of a group that did not fail by itself; never the error of another caller's write."""
    told = translate(error)
    for write in group:
        write.error = write.error or told
