"""A database with tables of a test's own, for tests of what runs transactions. Knows no table of the product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from fileferry.db.database import SqliteDatabase

Prepare = Callable[[Connection], None]


@asynccontextmanager
async def scratch_database(folder: Path, prepare: Prepare) -> AsyncIterator[SqliteDatabase]:
    """Open the database of a folder, prepared and perhaps used before."""
    opened = SqliteDatabase(f"sqlite:///{folder}/test.db")
    try:
        await opened.write(prepare)
        yield opened
    finally:
        await opened.close()


def run_on(folder: Path, prepare: Prepare, use: Callable[[SqliteDatabase], Coroutine[Any, Any, None]]) -> None:
    """Use such a database in an event loop of its own."""

    async def main() -> None:
        async with scratch_database(folder, prepare) as opened:
            await use(opened)

    asyncio.run(main())
