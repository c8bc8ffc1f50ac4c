"""Which processes live: each tells so once a minute, and says when it ends.

One that is killed says nothing: it is listed with when it was seen last, until ``FORGOTTEN`` has passed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from datetime import datetime, timedelta

from fileferry.db import processes as stored
from fileferry.db.database import Database
from fileferry.logs import get_logger
from fileferry.model import Clock, Process
from fileferry.version import version

TOLD_EVERY = timedelta(minutes=1)
SILENT = timedelta(minutes=3)
"""A process that was not seen for so long has been killed, or cut off."""
FORGOTTEN = timedelta(days=1)
_LONGEST_HOST = 255
_log = get_logger(__name__)


class Processes:
    """What this process tells of itself, and what the others have told."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.own = str(uuid.uuid4())
        """The id of this process, by which it also holds what one process does for all."""
        self._database = database
        self._clock = clock
        self._started_at = clock()
        self._is_told = False

    async def run(self, role: str) -> None:
        """Tell once a minute that this process lives, as a ``serve`` or a ``worker``, until cancelled."""
        while True:
            await self.tell(role)
            await asyncio.sleep(TOLD_EVERY.total_seconds())

    async def tell(self, role: str) -> None:
        """Tell that this process lives. What cannot be written is told the next time."""
        host, now = socket.gethostname()[:_LONGEST_HOST], self._clock()
        process = Process(self.own, role, host, os.getpid(), version(), self._started_at, now)
        try:
            await self._database.grow(stored.tell, process)
            self._is_told = True
        except Exception as error:
            _log.warning("process_not_told", error=repr(error))

    async def list(self) -> list[Process]:
        """Return the processes that have not ended, the one that was seen last first."""
        return await self._database.read(stored.list_all)

    async def close(self) -> None:
        """Say that this process ends, if it has told that it lives."""
        if not self._is_told:
            return
        try:
            await self._database.free(stored.end, self.own)
        except Exception as error:
            _log.warning("end_of_process_not_told", error=repr(error))


def is_silent(process: Process, now: datetime) -> bool:
    """Whether a process that has not said that it ends was not seen for too long."""
    return now - process.seen_at > SILENT
