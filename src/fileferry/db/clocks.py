"""The time of day as the database tells it, so that leases of all processes are measured by one clock."""

from __future__ import annotations

import asyncio
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
    """This machine's clock, moved to where the database's is: asked once a minute, so that telling the time asks nobody."""

    def __init__(self, database: Database, own: Clock) -> None:
        self._database = database
        self._own = own
        self._behind = timedelta()

    def __call__(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return self._own() + self._behind

    async def compare(self) -> None:
        """Ask the database; what the question took is halved between the way there and back."""
        asked = self._own()
        told = await self._database.lookup(_now)
        if told is not None:
            self._behind = told - (asked + (self._own() - asked) / 2)

    async def follow(self) -> None:
        """Compare from time to time until cancelled; as it was while the database is away."""
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            try:
                await self.compare()
            except Exception as error:
                _log.info("clock_not_compared", error=str(error))


def _now(conn: Connection) -> datetime | None:
    """Return the time of the server's clock; None where the database has no clock but this machine's."""
    if conn.dialect.name == "sqlite":
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=conn.execute(_NOW).scalar_one())
