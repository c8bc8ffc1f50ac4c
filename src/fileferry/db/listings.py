"""Queries of many files: by search, path, folder and age, page by page."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text

from fileferry.db import names
from fileferry.db.file_rows import CURRENT, RESTORABLE, living, read_all, restorable
from fileferry.db.letters import lowered
from fileferry.db.reach import EVERYTHING, Reach, in_workspace, of_files
from fileferry.db.schema import files, versions
from fileferry.model import Search, State, StoredFile


def search(
    conn: Connection, workspace_id: str, asked: Search, now: datetime, reach: Reach = EVERYTHING
) -> list[StoredFile]:
    """Return the page of a workspace's files that ``asked`` describes, of those within reach."""
    query = CURRENT.where(*_asked(conn, workspace_id, asked, now, reach)).order_by(*_order(asked))
    return read_all(conn, query.limit(asked.limit).offset(asked.offset))


def count(conn: Connection, workspace_id: str, asked: Search, now: datetime, reach: Reach = EVERYTHING) -> int:
    """Return how many files within reach ``asked`` describes, whatever the page."""
    query = select(func.count()).select_from(files).join(versions, versions.c.id == files.c.current_version_id)
    total: int = conn.execute(query.where(*_asked(conn, workspace_id, asked, now, reach))).scalar_one()
    return total


def count_over(conn: Connection, workspace_id: str, asked: Search, now: datetime) -> int:
    """Return how many files of a workspace, living or deleted ones, are over but not yet marked so."""
    living = and_(text("expires_at IS NOT NULL AND deleted_at IS NULL"), files.c.expires_at <= now)
    deleted = and_(RESTORABLE, files.c.restorable_until <= now)
    query = select(func.count()).select_from(files).where(deleted if asked.deleted else living)
    # As a bare column it would be looked up in an index of all the workspace's files; few are over, of all workspaces.
    of_workspace = func.coalesce(files.c.workspace_id, "") == workspace_id
    total: int = conn.execute(query.where(of_workspace)).scalar_one()
    return total


def list_newest(
    conn: Connection,
    organization_id: str,
    now: datetime,
    after_id: str | None,
    limit: int,
    reach: Reach = EVERYTHING,
) -> list[StoredFile]:
    """Return living files of an organization within reach, newest first, those older than ``after_id``."""
    query = CURRENT.where(files.c.organization_id == organization_id, *living(now), *of_files(reach))
    if after_id is not None:
        query = query.where(files.c.id < after_id)
    return read_all(conn, query.order_by(files.c.id.desc()).limit(limit))


def list_unrejected(
    conn: Connection, organization_id: str, now: datetime, reach: Reach, offset: int, limit: int
) -> list[StoredFile]:
    """Return living files of an organization within reach that were not rejected, newest first."""
    query = CURRENT.where(*_unrejected(organization_id, now, reach))
    return read_all(conn, query.order_by(files.c.id.desc()).offset(offset).limit(limit))


def count_unrejected(conn: Connection, organization_id: str, now: datetime, reach: Reach) -> int:
    """Return how many files ``list_unrejected`` has on all pages."""
    query = select(func.count()).select_from(files).join(versions, versions.c.id == files.c.current_version_id)
    total: int = conn.execute(query.where(*_unrejected(organization_id, now, reach))).scalar_one()
    return total


def _unrejected(organization_id: str, now: datetime, reach: Reach) -> list[Any]:
    of_organization = files.c.organization_id == organization_id
    return [of_organization, *living(now), *of_files(reach), versions.c.state != State.REJECTED.value]


def list_in_folder(
    conn: Connection, folder_id: str, now: datetime, after_id: str, limit: int, reach: Reach = EVERYTHING
) -> list[StoredFile]:
    """Return living files of a folder within reach in order of id, those past ``after_id``."""
    query = CURRENT.where(files.c.folder_id == folder_id, files.c.id > after_id, *living(now), *of_files(reach))
    return read_all(conn, query.order_by(files.c.id).limit(limit))


def list_by_path(
    conn: Connection,
    workspace_id: str,
    prefix: str,
    now: datetime,
    after: tuple[str, str] | None,
    limit: int,
    *,
    deleted: bool = False,
    reach: Reach = EVERYTHING,
) -> list[StoredFile]:
    """Return files of a workspace within reach whose path starts with ``prefix``, by path and id, those past ``after``.

    They are the living ones, or else the ``deleted`` ones that can be restored.
    """
    query = CURRENT.where(*_below(workspace_id, prefix, now, reach, deleted=deleted))
    if after is not None:
        path, file_id = after
        query = query.where(
            files.c.path >= path, or_(files.c.path > path, and_(files.c.path == path, files.c.id > file_id))
        )
    return read_all(conn, query.order_by(files.c.path, files.c.id).limit(limit))


def has_more(
    conn: Connection, workspace_id: str, prefix: str, now: datetime, count: int, reach: Reach = EVERYTHING
) -> bool:
    """Whether ``list_by_path`` has more than ``count`` living files."""
    query = select(files.c.id).where(*_below(workspace_id, prefix, now, reach, deleted=False))
    return conn.execute(query.offset(count).limit(1)).first() is not None


def _below(workspace_id: str, prefix: str, now: datetime, reach: Reach, *, deleted: bool) -> list[Any]:
    shown = restorable(now) if deleted else living(now)
    within = [files.c.path >= prefix, files.c.path < _after_prefix(prefix)] if prefix else []
    return [in_workspace(workspace_id, reach), *shown, *of_files(reach), *within]


_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
}

_SORTED = {
    "created_at": files.c.created_at,
    "modified_at": files.c.modified_at,
    "deleted_at": files.c.deleted_at,
    "name": files.c.name,
    "path": files.c.path,
    "size": versions.c.size,
}


def _asked(conn: Connection, workspace_id: str, asked: Search, now: datetime, reach: Reach) -> list[Any]:
    shown = restorable(now) if asked.deleted else living(now)
    part = None if asked.name is None else asked.name.lower()
    few = None if part is None else names.candidates(conn, part)
    conditions = [in_workspace(workspace_id, reach, are_few=few is not None), *shown, *of_files(reach)]
    if few is not None:
        conditions.append(files.c.id.in_(few))
    if part is not None:
        conditions.append(lowered(files.c.name).contains(part, autoescape=True))
    for column, user in (
        (files.c.created_by, asked.created_by),
        (files.c.modified_by, asked.modified_by),
        (files.c.deleted_by, asked.deleted_by),
    ):
        if user is not None:
            conditions.append(column == user)
    for column, ranges in (
        (files.c.created_at, asked.created_at),
        (files.c.modified_at, asked.modified_at),
        (files.c.deleted_at, asked.deleted_at),
        (versions.c.size, asked.size),
    ):
        conditions += [_COMPARED[bound.op](column, bound.value) for bound in ranges]
    return conditions


def _order(asked: Search) -> list[Any]:
    fields = asked.order_by or (("deleted_at" if asked.deleted else "created_at", False),)
    order = [_SORTED[name].desc() if descends else _SORTED[name] for name, descends in fields]
    # Pages need an order without ties; in one direction, so that an index gives it.
    return [*order, files.c.id.desc() if fields[-1][1] else files.c.id]


def _after_prefix(prefix: str) -> str:
    """Return the least string above every string that starts with ``prefix``."""
    following = ord(prefix[-1]) + 1
    if following > sys.maxunicode:
        return prefix + chr(sys.maxunicode)
    # No text has a surrogate, and no database takes one.
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)
