"""The one connection that writes to SQLite: waiting writes are committed as a group, so that they share a sync.

Brief writes run where they arrive, in the event loop's thread, and only their commit waits in another one: what they do takes
less than handing it over would (decision 0040). All others run in that thread, where they may take their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import RootTransaction

from fileferry.db.connections import Connections, Opening
from fileferry.db.failures import translate
from fileferry.disks.spare import Spare
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.groups import Job, settle, settled

_LARGEST_GROUP = 128
# What is brief together, so that no other request waits long for the loop: so many writes, and no further one after so many
# seconds. A statement that SQLite is at after more of them than that is no brief one.
_MOST_BRIEF = 64
_LONGEST_BRIEF = 0.004
_LONGEST_STATEMENT = 0.02
# Seconds that writes which waited for a commit go on waiting for those that it answered to come again: a commit costs as much as
# several writes, and what they share of it they need not pay (decision 0081).
_LONGEST_GATHERING = 0.002
_STEPS = 20_000  # of SQLite's machine, after which it is looked at the clock: about a millisecond
_PATIENCE_MS = 30_000
# How often, and every how many seconds, it is asked for the turn that another process has, before the thread waits for it: what
# comes meanwhile joins the group, and its statements would cost more in the thread, beside the loop (decision 0080).
_MOST_ASKED = 10
_ASKED_AGAIN = 0.0005

F = TypeVar("F", bound=Callable[..., Any])


def brief(write: F) -> F:
    """Mark a write that is a few statements by key. One that takes long for once is undone, and run in the thread."""
    write.is_brief = True  # type: ignore[attr-defined]
    return write


class Write(Job):
    """A function of a connection to be run in a transaction; one that ``frees`` may use the spare room."""

    def __init__(self, call: Callable[[Connection], Any], *, frees: bool = False, is_brief: bool = False) -> None:
        super().__init__()
        context = copy_context()  # wherever it runs, it is to know who asked for it
        self.call: Callable[[Connection], Any] = lambda connection: context.run(call, connection)
        self.frees = frees
        self.is_brief = is_brief


class Writer:
    """Runs writes in the order in which they come; used from one event loop.

    One ``fsync`` of the write-ahead log serves a whole group. Where a write of it fails, the group runs again with a savepoint
    around each, so that the others are not touched: a write may be called several times.
    """

    def __init__(self, connections: Connections, spare: Spare | None) -> None:
        self._connections = connections
        self._spare = spare
        self._waiting: deque[Write] = deque()
        self._is_busy = False
        self._idle: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._asked = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._wanted = 0  # writes, for which it is gathered
        self._steps: queue.SimpleQueue[tuple[Callable[[], None], list[Write]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="db-write", daemon=True)
        self._thread.start()

    async def submit(self, write: Write) -> Any:
        """Queue a write and return its result, or raise its error, once it is durable.

        A cancelled caller still waits for the outcome, so that it never lets go of what the write is using.
        """
        self._waiting.append(write)
        if not self._is_busy:
            self._is_busy = True
            write.loop.call_soon(self._begin)  # what else arrives in this turn of the loop is of the group
        elif self._gathering is not None and len(self._waiting) >= self._wanted:
            self._gathering.cancel()
            self._gathering = None
            write.loop.call_soon(self._begin)
        return await settled(write.future)

    async def close(self) -> None:
        """Finish the queue and stop the thread."""
        loop = asyncio.get_running_loop()
        while self._is_busy:
            self._idle = loop.create_future()
            await self._idle
        self._steps.put(None)
        await loop.run_in_executor(None, self._thread.join)

    # In the loop's thread

    def _begin(self) -> None:
        """Start the next group: its statements here where they are brief and no other process is writing, or soon is not."""
        is_brief = self._waiting[0].is_brief
        opened = self._take_here() if is_brief else None
        if opened is not None and not opened.turn.take_free():
            self._connections.give()
            opened = None
            if self._asked < _MOST_ASKED:
                self._asked += 1
                self._waiting[0].loop.call_later(_ASKED_AGAIN, self._begin)
                return
        self._asked = 0
        group = self._gather(_MOST_BRIEF if is_brief else _LARGEST_GROUP, is_brief)
        if opened is None:
            self._steps.put((partial(self._commit, group), group))
            return
        try:
            transaction = self._run_here(opened, group)
        except Exception:
            # A write failed, took too long, or the database is not to be had: the thread has time for all of that.
            self._give(opened)
            self._steps.put((partial(self._commit, group), group))
        else:
            self._steps.put((partial(self._sync, opened, transaction, group), group))

    def _begin_gathered(self) -> None:
        self._gathering = None
        self._begin()

    def _take_here(self) -> Opening | None:
        """Take the connections, where statements may run here: where they are open and wait for no readers."""
        opened = self._connections.take_open()
        if opened is None or opened.is_waiting_for_nobody:
            return opened
        self._connections.give()
        return None

    def _give(self, opened: Opening) -> None:
        opened.turn.give()
        self._connections.give()

    def _gather(self, most: int, is_brief: bool) -> list[Write]:
        group = [self._waiting.popleft()]
        while self._waiting and len(group) < most and (self._waiting[0].is_brief or not is_brief):
            group.append(self._waiting.popleft())
        return group

    def _run_here(self, opened: Opening, group: list[Write]) -> RootTransaction:
        """Run a group's statements; what there is no time for is taken out of it, and goes first the next time."""
        started = time.perf_counter()
        self._deadline = started + _LONGEST_STATEMENT
        transaction = opened.writing.begin()
        opened.driver.set_progress_handler(self._is_over, _STEPS)
        try:
            for number, write in enumerate(group):
                if number and time.perf_counter() - started > _LONGEST_BRIEF:
                    self._waiting.extendleft(reversed(group[number:]))
                    del group[number:]
                    break
                write.result = write.call(opened.writing)
        except BaseException:
            transaction.rollback()
            raise
        finally:
            opened.driver.set_progress_handler(None, 0)
        return transaction

    def _is_over(self) -> bool:
        return time.perf_counter() > self._deadline

    def _end(self, group: list[Write]) -> None:
        settle(group)
        if len(self._waiting) >= _MOST_BRIEF:
            self._begin()
            return
        if self._waiting:
            self._wanted = min(len(group) + len(self._waiting), _MOST_BRIEF)
            self._gathering = self._waiting[0].loop.call_later(_LONGEST_GATHERING, self._begin_gathered)
            return
        self._is_busy = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # In the thread

    def _work(self) -> None:
        while (queued := self._steps.get()) is not None:
            step, group = queued
            try:
                step()
            except Exception as error:
                # A thread that died of it would leave these and all later callers waiting for ever.
                for write in group:
                    write.error = write.error or translate(error)
            if any(isinstance(write.error, Unavailable) for write in group):
                self._connections.doubt()
            # A shutdown that gave up waiting has closed the loop; what was done is done either way.
            with contextlib.suppress(RuntimeError):
                group[0].loop.call_soon_threadsafe(self._end, group)

    def _sync(self, opened: Opening, transaction: RootTransaction, group: list[Write]) -> None:
        """Commit what ran in the loop's thread, whose turn goes on; where that fails, run it again."""
        try:
            try:
                with transaction:
                    pass
            except Exception:
                with _patience(opened):
                    _commit_apart(opened.writing, group)
            self._use_spare(opened, group)
        finally:
            self._give(opened)

    def _commit(self, group: list[Write]) -> None:
        with self._connections.using() as opened, opened.turn.taken(), _patience(opened):
            try:
                with opened.writing.begin():
                    for write in group:
                        write.result = write.call(opened.writing)
            except Exception:
                _commit_apart(opened.writing, group)
            self._use_spare(opened, group)

    def _use_spare(self, opened: Opening, group: list[Write]) -> None:
        if self._spare is not None:
            refused = [
                write for write in group if write.frees and isinstance(write.error, InsufficientStorage | Unavailable)
            ]
            _commit_with_spare(opened, self._spare, refused)


@contextlib.contextmanager
def _patience(opened: Opening) -> Iterator[None]:
    """Wait for whoever else has the database locked, such as a backup or a shell, which take no turns."""
    opened.driver.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
    try:
        yield
    finally:
        opened.driver.execute("PRAGMA busy_timeout=0")


def _commit_with_spare(opened: Opening, spare: Spare, refused: list[Write]) -> None:
    """Run what frees once more, with the room that was kept for it; what is left of that is kept again.

    Over a quota SQLite does not say that it is room that it lacks. A log whose pages have all gone to the database begins
    anew, so that a full disk can be emptied file by file.
    """
    is_full = any(isinstance(write.error, InsufficientStorage) for write in refused)
    if refused and (spare.release() or is_full):
        with contextlib.suppress(sqlite3.Error):
            opened.driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        _commit_apart(opened.writing, refused)
    spare.keep()


def _commit_apart(connection: Connection, group: list[Write]) -> None:
    """Run a group again in which a write failed, with a savepoint around each: slower, and only the failed one is undone."""
    for write in group:
        write.error = None
    try:
        with connection.begin():
            for write in group:
                _run(connection, write)
    except Exception as error:  # the commit failed, or SQLite undid the whole transaction: nothing of it is durable
        failure = _common_failure(group, error)
        for write in group:
            write.error = write.error or failure


def _common_failure(group: list[Write], error: Exception) -> Exception:
    """Return what to tell the writes that did not fail by themselves; never the error of another caller's write."""
    of_the_database = (
        write.error for write in reversed(group) if isinstance(write.error, InsufficientStorage | Unavailable)
    )
    return next(of_the_database, translate(error))


def _run(connection: Connection, write: Write) -> None:
    savepoint = connection.begin_nested()
    try:
        write.result = write.call(connection)
        savepoint.commit()
    except Exception as error:
        write.error = translate(error)
        savepoint.rollback()  # raises where SQLite has already undone the whole transaction, as on a full disk
