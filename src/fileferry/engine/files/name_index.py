"""Keeps the index of names near the files: what came lately is taken up some at a time, beside whatever else is written."""

from __future__ import annotations

import asyncio

from fileferry.db import names
from fileferry.db.database import Database
from fileferry.errors import InsufficientStorage
from fileferry.logs import get_logger

_PAGE = 200  # names, that everybody else's writes wait for: 7 ms of computing
_PAUSE = 2.0  # seconds between looking
_FEW = 500  # files that a search may as well look at one by one
_log = get_logger(__name__)


class NameIndex:
    """Takes files up. Several processes may: each round is one transaction, and goes on from where the last one was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Keep near until cancelled; a failed round is logged and the next one tried."""
        while True:
            try:
                if await self._database.lookup(names.is_behind, _FEW):
                    await self.catch_up()
            except InsufficientStorage:
                pass  # a search looks at them one by one
            except Exception:
                _log.exception("names_not_taken_up")
            await asyncio.sleep(_PAUSE)

    async def catch_up(self) -> None:
        """Take up every file that is not there yet."""
        while await self._database.grow(names.take_up, _PAGE):
            pass
