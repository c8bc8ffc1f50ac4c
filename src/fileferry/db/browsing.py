"""Queries of pages for people: files in an order that they choose, the folders beside them, and how often each was fetched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    String,
    and_,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    type_coerce,
)

from fileferry.db import names
from fileferry.db.file_rows import CURRENT, living, read_all, restorable
from fileferry.db.letters import as_pattern, lowered
from fileferry.db.reach import Reach, in_workspace, of_files, of_folders
from fileferry.db.schema import events, files, folders, versions
from fileferry.db.schema.columns import microseconds
from fileferry.model import Folder, State, StoredFile

# In microseconds, and in the words of the statement: PostgreSQL takes two parameters for two things, and groups by neither.
_DAY: Any = literal_column("86400000000", BigInteger)
_FAR = 2**62  # of what never ends: later than all that does
_ORDERS: dict[str, tuple[Any, bool]] = {
    "newest": (type_coerce(files.c.modified_at, BigInteger), True),
    "oldest": (type_coerce(files.c.modified_at, BigInteger), False),
    "name": (files.c.name, False),
    "largest": (versions.c.size, True),
    "smallest": (versions.c.size, False),
    "expiry": (func.coalesce(type_coerce(files.c.expires_at, BigInteger), _FAR), False),
}
ORDERS = tuple(_ORDERS)
"""In what orders files can be had."""
VIEWS = ("all", "handoffs", "deleted")
"""Which files: living ones, those of them that have no path, or deleted ones that can be restored."""


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """What to show of a workspace: files directly in a folder, or of the whole where that is None; below it with ``name``.

    ``name`` is a part of the name, in any case. ``after`` is the place of the last file that was shown.
    """

    folder: Folder | None = None
    name: str | None = None
    view: str = "all"
    state: State | None = None
    order: str = "newest"
    after: tuple[str | int, str] | None = None
    limit: int = 100


class Fetched(msgspec.Struct, frozen=True):
    """How often a file was fetched whole, as far as events are kept, and when last."""

    count: int
    last_at: datetime | None


def list_shelf(
    conn: Connection, workspace_id: str, shelf: Shelf, now: datetime, reach: Reach
) -> list[tuple[StoredFile, str | int]]:
    """Return the files to show and the place of each in their order."""
    column, descends = _ORDERS[shelf.order]
    is_in_one = shelf.folder is not None and shelf.name is None
    part = None if shelf.name is None else shelf.name.lower()
    few = None if part is None else names.candidates(conn, part)
    shown = restorable(now) if shelf.view == "deleted" else living(now)
    of_workspace = in_workspace(workspace_id, reach, are_few=is_in_one or few is not None)
    query = CURRENT.where(of_workspace, *shown, *of_files(reach))
    if shelf.view == "handoffs":
        query = query.where(files.c.owns_path.is_(False), files.c.folder_id.is_(None))
    if shelf.folder is not None and is_in_one:
        query = query.where(files.c.folder_id == shelf.folder.id)
    elif shelf.folder is not None:
        in_tree = or_(files.c.owns_path, files.c.folder_id.is_not(None))
        query = query.where(files.c.path > shelf.folder.path + "/", files.c.path < shelf.folder.path + "0", in_tree)
    if few is not None:
        query = query.where(files.c.id.in_(few))
    if part is not None:
        query = query.where(lowered(files.c.name).contains(part, autoescape=True))
    if shelf.state is not None:
        query = query.where(versions.c.state == shelf.state.value)
    if shelf.after is not None:
        value, file_id = shelf.after
        place = literal(value, String() if shelf.order == "name" else BigInteger())
        this, last = tuple_(column, files.c.id), tuple_(place, literal(file_id))
        query = query.where(this < last if descends else this > last)
    order = (column.desc(), files.c.id.desc()) if descends else (column, files.c.id)
    found = read_all(conn, query.order_by(*order).limit(shelf.limit))
    return [(stored, _place(stored, shelf.order)) for stored in found]


def list_subfolders(conn: Connection, workspace_id: str, path: str, limit: int, reach: Reach) -> list[Folder]:
    """Return the folders directly in a folder, or at the top for an empty path."""
    query = select(*folders.c).where(folders.c.workspace_id == workspace_id, *of_folders(reach))
    if path:
        query = query.where(folders.c.path > path + "/", folders.c.path < path + "0")
    deeper = f"{as_pattern(path)}/%/%" if path else "%/%"
    query = query.where(not_(folders.c.path.like(deeper, escape="\\")))
    return [Folder(*row) for row in conn.execute(query.order_by(folders.c.path).limit(limit))]


def count_fetches(conn: Connection, file_ids: Sequence[str]) -> dict[str, Fetched]:
    """Return how often files were fetched whole, by id; those that never were are left out."""
    if not file_ids:
        return {}
    is_fetch = and_(events.c.file_id.in_(file_ids), events.c.type == "file.fetched")
    query = select(events.c.file_id, func.count(), func.max(events.c.created_at)).where(is_fetch)
    return {row[0]: Fetched(row[1], row[2]) for row in conn.execute(query.group_by(events.c.file_id))}


def count_days(conn: Connection, organization_id: str, since: datetime, after_id: str) -> list[tuple[int, int, int]]:
    """Return of each day (since 1970) how many files came that are there, and their bytes; ``after_id`` is an id of ``since``."""
    day = type_coerce(files.c.created_at, BigInteger) // _DAY
    query = (
        select(day, func.count(), func.coalesce(func.sum(versions.c.size), 0))
        .join_from(files, versions, versions.c.id == files.c.current_version_id)
        .where(files.c.organization_id == organization_id, files.c.id > after_id, files.c.created_at >= since)
    )
    return [(int(row[0]), int(row[1]), int(row[2])) for row in conn.execute(query.group_by(day).order_by(day))]


def count_event_days(conn: Connection, organization_id: str, type: str, since: datetime) -> list[tuple[int, int]]:
    """Return of each day (since 1970) how many events of a type there were."""
    day = type_coerce(events.c.created_at, BigInteger) // _DAY
    query = select(day, func.count()).where(
        events.c.organization_id == organization_id, events.c.type == type, events.c.created_at >= since
    )
    return [(int(row[0]), int(row[1])) for row in conn.execute(query.group_by(day).order_by(day))]


def _place(stored: StoredFile, order: str) -> str | int:
    if order == "name":
        return stored.file.name
    if order in ("largest", "smallest"):
        return stored.version.size
    at = stored.file.expires_at if order == "expiry" else stored.file.modified_at
    return _FAR if at is None else microseconds(at)
