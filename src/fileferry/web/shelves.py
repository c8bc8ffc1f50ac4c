"""How a request says in which order it wants files, of what state, and where a page begins; the engine finds them."""

from __future__ import annotations

from fileferry.errors import InvalidParameter
from fileferry.model import State
from fileferry.web.requests import decode_cursor, whole_number

STATES = {"ready": State.READY, "processing": State.PROCESSING, "rejected": State.REJECTED}
"""The states by which files are found, as a request names them."""


def place_of(cursor: str | None, order: str) -> tuple[str | int, str] | None:
    """Return where a page begins; None for the first. Raises InvalidParameter for a cursor of another order."""
    found = decode_cursor(cursor, 2)
    if found is None:
        return None
    if order == "name":
        return found[0], found[1]
    number = whole_number(found[0])
    if number is None:
        raise InvalidParameter("cursor must be one that an earlier page returned.", parameter="cursor")
    return number, found[1]
