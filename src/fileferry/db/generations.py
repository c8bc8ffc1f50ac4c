"""Whether anything was written since: what makes it safe to remember rows."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Connection

from fileferry.db.statements import told

Generation = tuple[int, int]

_openings = itertools.count()
_DATA_VERSION = "PRAGMA data_version"


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
    try:
        return opening, driver.execute(_DATA_VERSION).fetchone()[0]
    except Exception as error:
        raise told(conn, _DATA_VERSION, None, error) from error
