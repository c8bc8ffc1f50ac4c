"""Whether anything was written since: what makes it safe to remember rows."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Connection

Generation = tuple[int, int]

_openings = itertools.count()


def generation(conn: Connection) -> Generation:
    """Return what is another one once anybody else has committed anything, this process or another.

    It holds for one connection only, so ask by ``Database.lookup``. https://www.sqlite.org/pragma.html#pragma_data_version
    PostgreSQL has none that costs less than to read the rows anew: there each is another one.
    """
    if conn.dialect.name != "sqlite":
        return next(_openings), 0
    opening = conn.info.get("opening")
    if opening is None:
        opening = conn.info["opening"] = next(_openings)
    driver: Any = conn.connection.driver_connection
    return opening, driver.execute("PRAGMA data_version").fetchone()[0]
