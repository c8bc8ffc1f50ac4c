"""Counting whole fetches: each is an event, and the last one that a version may have ends it.

Those of a limited version are recorded one by one, before they end; the others in batches, so that a download costs no commit.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from fileferry import telemetry
from fileferry.db.database import Database
from fileferry.engine.files import versions
from fileferry.errors import InsufficientStorage
from fileferry.logs import get_logger
from fileferry.model import Clock, StoredFile
from fileferry.settings import Settings

BATCHED = timedelta(milliseconds=500)
"""How long fetches of versions without a limit are gathered to be written together; a process that dies takes them along."""
_MOST_WAITING = 50_000
_BATCH = 1000
_log = get_logger(__name__)


class Fetches:
    """The fetches that this process has served."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._most = settings.fetch_events
        self._clock = clock
        self._minute = 0
        self._told: dict[str, int] = {}
        self._waiting: list[versions.Fetch] = []
        self._writing: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    async def record(self, stored: StoredFile) -> None:
        """Record a whole fetch of a limited version durably; after the last one it is gone for everybody who comes later."""
        await self._database.free(versions.fetched, stored, self._clock())

    def add(self, stored: StoredFile) -> None:
        """Have a whole fetch of a version without a limit recorded soon, unless the minute has had enough of it."""
        minute = int(self._clock().timestamp() // 60)
        if minute != self._minute:
            self._minute, self._told = minute, {}
        told = self._told.get(stored.version.id, 0)
        if told >= self._most:
            return
        self._told[stored.version.id] = told + 1
        if len(self._waiting) >= _MOST_WAITING:
            _log.warning("fetch_not_recorded", version=stored.version.id)
            return
        self._waiting.append((stored, self._clock(), telemetry.actor()))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_soon())

    async def close(self) -> None:
        """Record what is waiting."""
        self._ending.set()
        if self._writing is not None:
            await self._writing
        await self._write()

    async def _write_soon(self) -> None:
        try:
            while self._waiting and not self._ending.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(BATCHED.total_seconds()):
                        await self._ending.wait()
                await self._write()
        finally:
            self._writing = None

    async def _write(self) -> None:
        try:
            # What comes meanwhile is for the next time: else there would be a commit for every few.
            for end in range(len(self._waiting), 0, -_BATCH):
                batch = self._waiting[: min(end, _BATCH)]
                await self._database.grow(versions.fetched_without_limit, batch)
                del self._waiting[: len(batch)]
        except InsufficientStorage:
            # What tells of fetches is the last thing that may fill a disk.
            _log.warning("fetches_not_recorded", waiting=len(self._waiting))
            self._waiting.clear()
        except Exception:
            _log.exception("fetches_not_recorded", waiting=len(self._waiting))
