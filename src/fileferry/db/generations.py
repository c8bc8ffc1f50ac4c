"""Whether anything was written since: what makes it safe to remember rows."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from sqlalchemy import Connection

from fileferry.db.statements import told

Generation = tuple[int, int]

_openings = itertools.count()
_DATA_VERSION = "PRAGMA data_version"
_OF_THIS_TURN = "generation"


def generation(conn: Connection) -> Generation:
    """Return what is another one once anybody else has committed anything, this process or another.

    It holds for one connection only, so ask by ``Database.lookup``. https://www.sqlite.org/pragma.html#pragma_data_version
    Who asks in the same turn of the loop is told the same: requests that came once a commit was answered are not in that turn.
    PostgreSQL has none that costs less than to read the rows anew: there each is another one.
    """
    if conn.dialect.name != "sqlite":
        return next(_openings), 0
    told_of = conn.info
    found: Generation | None = told_of.get(_OF_THIS_TURN)
    if found is not None:
        return found
    opening = told_of.get("opening")
    if opening is None:
        opening = told_of["opening"] = next(_openings)
    driver: Any = conn.connection.driver_connection
    try:
        found = opening, driver.execute(_DATA_VERSION).fetchone()[0]
    except Exception as error:
        raise told(conn, _DATA_VERSION, None, error) from error
    # Whoever asks before the loop comes to this was in its queue already, with a request that came before now.
    told_of[_OF_THIS_TURN] = found
    asyncio.get_running_loop().call_soon(told_of.pop, _OF_THIS_TURN, None)
    return found
