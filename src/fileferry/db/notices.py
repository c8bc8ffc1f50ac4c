"""A hint that something was written which others wait for: an event, or a job. Whoever gets none looks by themselves in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine

from fileferry.logs import get_logger

CHANNEL = "fileferry"
_AGAIN_SECONDS = 1.0
_log = get_logger(__name__)


def tell(conn: Connection) -> None:
    """Let others be told once this transaction is committed, where the database can tell them."""
    conn.info["told"] = True


def take_told(conn: Connection) -> bool:
    """Whether ``tell`` was called since this was last asked."""
    return bool(conn.info.pop("told", False))


class Bell:
    """Wakes one who waits, with what rang since it waited last."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait until it has rung, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), seconds)
        self._rung.clear()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rung.set()


class Listener:
    """Hears the notices of every process that writes, on a connection of its own, and rings all bells; without one, none rings."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._bells: list[Bell] = []
        self._task: asyncio.Task[None] | None = None

    def bell(self) -> Bell:
        """Return a bell that rings at each notice from now on."""
        bell = Bell()
        self._bells.append(bell)
        if self._task is None and self._engine is not None:
            self._task = asyncio.create_task(self._listen(self._engine))
        return bell

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self, engine: Engine) -> None:
        while True:
            try:
                await self._hear(await asyncio.to_thread(_open, engine))
            except Exception as error:
                _log.info("notices_away", error=str(error).partition("\n")[0])
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self, connection: Any) -> None:
        loop, broken = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        descriptor = connection.fileno()

        def read() -> None:
            try:
                connection.pgconn.consume_input()
                while connection.pgconn.notifies() is not None:
                    pass
            except Exception as error:
                if not broken.done():
                    broken.set_exception(error)
                loop.remove_reader(descriptor)
            self._ring()

        loop.add_reader(descriptor, read)
        self._ring()  # for what was written before
        try:
            await broken
        finally:
            loop.remove_reader(descriptor)
            connection.close()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.ring()


def _open(engine: Engine) -> Any:
    held = engine.raw_connection()
    connection: Any = held.driver_connection
    held.detach()
    connection.execute(f"LISTEN {CHANNEL}")
    return connection
