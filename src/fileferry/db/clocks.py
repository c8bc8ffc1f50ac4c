"""The time of day as the database tells it, so that leases of all processes are measured by one clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from fileferry.db.database import Database
from fileferry.logs import get_logger
from fileferry.model import Clock

_ASK_SECONDS = 60.0
_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")
_log = get_logger(__name__)


@asynccontextmanager
async def shared_clock(database: Database, own: Clock) -> AsyncIterator[Clock]:
    """Give the clock of the database, compared with this machine's ``own`` from time to time."""
    clock = DatabaseClock(database, own)
    await clock.compare()
    following = asyncio.create_task(clock.follow())
    try:
        yield clock
    finally:
        following.cancel()


class DatabaseClock:
    """The database's clock: asked once a minute, and in between told by how long ago that was.

    So a step of this machine's own clock changes nothing; ``own`` tells the time where the database has none.
    """

    def __init__(self, database: Database, own: Clock) -> None:
        self._database = database
        self._own = own
        self._told: datetime | None = None
        self._told_at = 0.0

    def __call__(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        if self._told is None:
            return self._own()
        return self._told + timedelta(seconds=_elapsed() - self._told_at)

    async def compare(self) -> None:
        """Ask the database; what the question took is halved between the way there and back."""
        asked = _elapsed()
        told = await self._database.lookup(_now)
        if told is not None:
            self._told, self._told_at = told, (asked + _elapsed()) / 2

    async def follow(self) -> None:
        """Compare from time to time until cancelled; as it was while the database is away."""
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            try:
                await self.compare()
            except Exception as error:
                _log.info("clock_not_compared", error=str(error))


def _elapsed() -> float:
    """Return seconds that go on while the machine sleeps, from any time on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _now(conn: Connection) -> datetime | None:
    """Return the time of the server's clock; None where the database has no clock but this machine's."""
    if conn.dialect.name == "sqlite":
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=conn.execute(_NOW).scalar_one())
