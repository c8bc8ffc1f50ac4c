"""What pages for people show of files: a page in the order that they choose, the folders beside it, fetches, and use by day."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from fileferry.db import browsing, folders, usage
from fileferry.db.browsing import ORDERS, VIEWS, Fetched, Shelf
from fileferry.db.database import Database
from fileferry.db.usage import Usage
from fileferry.engine.access import policy
from fileferry.engine.access.workspaces import find_workspace
from fileferry.errors import Forbidden, NotFound
from fileferry.model import Clock, Folder, Principal, Scope, State, StoredFile, Workspace

__all__ = ["ORDERS", "VIEWS", "Browsing", "Day", "Fetched", "View"]

_MOST_FOLDERS = 500


class View(msgspec.Struct, frozen=True):
    """A page of files: the workspace and folder that it is of, the folders in that, how often each was fetched by id.

    ``after`` is where the next page begins, None on the last.
    """

    workspace: Workspace
    folder: Folder | None
    folders: list[Folder]
    items: list[StoredFile]
    fetched: dict[str, Fetched]
    after: tuple[str | int, str] | None


class Day(msgspec.Struct, frozen=True):
    """What one day brought: files that came and are there, their bytes, and whole fetches."""

    date: datetime
    files: int
    bytes: int
    fetches: int


class Browsing:
    """What people look at, of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def view(
        self,
        principal: Principal,
        workspace: str | None,
        folder: str,
        *,
        name: str | None = None,
        view: str = "all",
        state: State | None = None,
        order: str = "newest",
        after: tuple[str | int, str] | None = None,
        limit: int = 100,
    ) -> View:
        """Return what a folder shows, by its path; an empty one is the whole workspace. Raises NotFound, Forbidden."""
        policy.authorize(principal, Scope.READ)
        reach = policy.reach(principal)

        def read(conn: Connection) -> View:
            found = find_workspace(conn, principal.organization.id, workspace)
            at = folders.find_by_path(conn, found.id, folder) if folder else None
            if folder and (at is None or not _is_seen(reach.folder, folder)):
                raise NotFound("There is no such folder.")
            shelf = Shelf(folder=at, name=name, view=view, state=state, order=order, after=after, limit=limit + 1)
            placed = browsing.list_shelf(conn, found.id, shelf, self._clock(), reach)
            items = [stored for stored, _place in placed[:limit]]
            below = reach.folder if not folder and reach.folder else folder
            return View(
                found,
                at,
                browsing.list_subfolders(conn, found.id, below, _MOST_FOLDERS, reach),
                items,
                browsing.count_fetches(conn, [stored.file.id for stored in items]),
                (placed[limit - 1][1], items[-1].file.id) if len(placed) > limit else None,
            )

        return await self._database.read(read)

    async def fetched(self, stored: StoredFile) -> Fetched:
        """Return how often a file, which the principal was given, was fetched whole."""
        found = await self._database.read(browsing.count_fetches, [stored.file.id])
        return found.get(stored.file.id, Fetched(0, None))

    async def days(self, principal: Principal, count: int) -> list[Day]:
        """Return what each of the last days brought to the organization; raises Forbidden for who sees a part of it only."""
        _authorize_whole(principal)
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        since = today - timedelta(days=count - 1)
        organization_id = principal.organization.id

        def read(conn: Connection) -> list[Day]:
            came = {
                day: (number, size)
                for day, number, size in browsing.count_days(conn, organization_id, since, _id_of(since))
            }
            fetches = dict(browsing.count_event_days(conn, organization_id, "file.fetched", since))
            dates = [since + timedelta(days=number) for number in range(count)]
            numbers = [int(date.timestamp()) // 86400 for date in dates]
            return [
                Day(date, *came.get(number, (0, 0)), fetches.get(number, 0))
                for date, number in zip(dates, numbers, strict=True)
            ]

        return await self._database.read(read)

    async def kept(self, principal: Principal) -> Usage:
        """Return what the organization keeps; raises Forbidden for who sees a part of it only."""
        _authorize_whole(principal)
        return await self._database.read(usage.count, usage.of_organization(principal.organization.id))


def _authorize_whole(principal: Principal) -> None:
    policy.authorize(principal, Scope.READ)
    if policy.is_confined(principal):
        raise Forbidden("This key sees a part of the organization only.")


def _is_seen(confined_to: str | None, path: str) -> bool:
    return confined_to is None or path == confined_to or path.startswith(confined_to + "/")


def _id_of(moment: datetime) -> str:
    """Return an id below every one that was made since: they begin with the milliseconds."""
    return str(uuid.UUID(int=int(moment.timestamp() * 1000) << 80))
