"""When keys were used last: noted in memory at each request, and written for all of them together once a minute.

A process that is killed takes its last minute along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from fileferry.db import key_uses as stored
from fileferry.db.database import Database
from fileferry.logs import get_logger

WRITTEN_EVERY = timedelta(minutes=1)
"""How long what is noted waits to be written; no page and no answer needs it sooner."""
_log = get_logger(__name__)


class KeyUses:
    """The uses that this process has seen, and those that all of them have written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, datetime] = {}

    def note(self, key_id: str, at: datetime) -> None:
        """Remember that somebody has acted with a key, or by a session or a token that it stands behind."""
        self._noted[key_id] = at

    async def last(self, key_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when keys were used last, by their ids; what another process has seen may be missing for a minute."""
        found = await self._database.read(stored.find, key_ids)
        for key_id in key_ids:
            if (own := self._noted.get(key_id)) is not None:
                found[key_id] = max(own, found.get(key_id, own))
        return found

    async def run(self) -> None:
        """Write what was noted, once a minute, until cancelled."""
        while True:
            await asyncio.sleep(WRITTEN_EVERY.total_seconds())
            await self.write()

    async def write(self) -> None:
        """Write what was noted; what cannot be written waits for the next time."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._database.grow(stored.record, noted)
        except Exception as error:
            # Whatever is wrong with the database or its disk is told by those who need it; this is worth no fault.
            _log.warning("key_uses_not_written", keys=len(noted), error=repr(error))
            self._noted = noted | self._noted
