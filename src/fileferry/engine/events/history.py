"""What happened, newest first: for people, who look back from today. Who follows events goes the other way, in ``outbox``."""

from __future__ import annotations

from sqlalchemy import Connection

from fileferry.db import events, files
from fileferry.db.database import Database
from fileferry.db.reach import is_in_tree
from fileferry.engine.access import policy
from fileferry.model import EVENT_TYPES, Event, Page, Principal, Scope

_NEWEST = 2**63 - 1
_STRETCH = 200
_MOST_STRETCHES = 25


class History:
    """The events of all organizations that are kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_file(self, principal: Principal, file_id: str, limit: int) -> list[Event]:
        """Return the newest events of a file, which the principal must have been given."""
        policy.authorize(principal, Scope.READ)
        return await self._database.read(events.list_of_file, principal.organization.id, file_id, limit)

    async def page(
        self, principal: Principal, before: int | None, limit: int, types: tuple[str, ...] | None = None
    ) -> Page[Event]:
        """Return a page of the organization's events that the principal may know of, those before the number ``before``."""
        policy.authorize(principal, Scope.READ)
        reach = policy.reach(principal)
        size = max(limit, _STRETCH)

        def read(conn: Connection) -> Page[Event]:
            told: list[Event] = []
            last = _NEWEST if before is None else before
            for _ in range(_MOST_STRETCHES):
                found = events.list_before(conn, principal.organization.id, last, size, types or EVENT_TYPES)
                for event in found:
                    last = event.number
                    if not reach.has_path(event.data["path"]) or reach.end_user not in (None, event.data["end_user"]):
                        continue
                    if reach.folder is not None:
                        file = files.find_file(conn, event.file_id)
                        if file is None or not is_in_tree(file):
                            continue
                    told.append(event)
                    if len(told) == limit:
                        return Page(told, str(last))
                if len(found) < size:
                    return Page(told, None)
            return Page(told, str(last))

        return await self._database.read(read)
