"""Whether anything was written since: what makes it safe to remember rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def generation(conn: Connection) -> int:
    """Return a number that is another one once anybody else has committed anything, this process or another.

    It holds for one connection only, so ask by ``Database.lookup``. https://www.sqlite.org/pragma.html#pragma_data_version
    """
    driver: Any = conn.connection.driver_connection
    number: int = driver.execute("PRAGMA data_version").fetchone()[0]
    return number
