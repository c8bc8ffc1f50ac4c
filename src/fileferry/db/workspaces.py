"""Queries of workspaces: finding them, drawing version numbers from them, and how many files each has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, or_, select, update

from fileferry.db import requests
from fileferry.db.schema import files, folders, uploads, workspaces
from fileferry.db.statements import Kept, KeptRecord, change
from fileferry.model import Limits, Workspace

_COLUMNS = [getattr(workspaces.c, name) for name in Workspace.__struct_fields__]
_WORKSPACE = select(*_COLUMNS)


def _workspace(row: Sequence[Any]) -> Workspace:
    values = dict(zip(Workspace.__struct_fields__, row, strict=True))
    return Workspace(**{**values, "limits": msgspec.convert(values["limits"], Limits)})


_DEFAULT = KeptRecord(
    _WORKSPACE.where(workspaces.c.organization_id == bindparam("organization"), workspaces.c.is_default), _workspace
)
_BY_ID = KeptRecord(_WORKSPACE.where(workspaces.c.id == bindparam("workspace")), _workspace)
_LAST: ColumnElement[int] = workspaces.c.last_number
_DRAW = Kept(
    update(workspaces)
    .where(workspaces.c.id == bindparam("workspace"))
    .values(
        # The greater of the two; the name of that function differs between databases.
        last_number=bindparam("count") + case((bindparam("before") > _LAST, bindparam("before")), else_=_LAST),
        living_files=workspaces.c.living_files + bindparam("living"),
    )
    .returning(_LAST)
)
_COUNT = Kept(
    update(workspaces)
    .where(workspaces.c.id == bindparam("workspace"))
    .values(
        living_files=workspaces.c.living_files + bindparam("living"),
        deleted_files=workspaces.c.deleted_files + bindparam("deleted"),
    )
)


def insert_workspace(conn: Connection, workspace: Workspace) -> None:
    """Add a workspace with no versions yet."""
    row = {name: getattr(workspace, name) for name in Workspace.__struct_fields__}
    limits = msgspec.to_builtins(workspace.limits)
    conn.execute(insert(workspaces), {**row, "limits": limits, "last_number": 0, "living_files": 0, "deleted_files": 0})


def find(conn: Connection, organization_id: str, id_or_name: str) -> Workspace | None:
    """Return the organization's workspace with this id or name; an id wins."""
    named = or_(workspaces.c.id == id_or_name, workspaces.c.name == id_or_name)
    query = _WORKSPACE.where(workspaces.c.organization_id == organization_id, named)
    row = conn.execute(query.order_by(workspaces.c.id != id_or_name)).first()
    return None if row is None else _workspace(row)


def find_by_id(conn: Connection, workspace_id: str) -> Workspace:
    """Return the workspace that something is in."""
    return _there(_BY_ID.find(conn, {"workspace": workspace_id}))


def find_default(conn: Connection, organization_id: str) -> Workspace:
    """Return the workspace that every organization has."""
    return _there(_DEFAULT.find(conn, {"organization": organization_id}))


def list_workspaces(conn: Connection, organization_id: str, after_id: str, limit: int) -> list[Workspace]:
    """Return workspaces of an organization in order of id, those past ``after_id``."""
    query = _WORKSPACE.where(workspaces.c.organization_id == organization_id, workspaces.c.id > after_id)
    return [_workspace(row) for row in conn.execute(query.order_by(workspaces.c.id).limit(limit))]


def update_workspace(conn: Connection, workspace_id: str, **values: Any) -> None:
    """Change columns of one workspace."""
    change(conn, workspaces, workspace_id, values)


def is_used(conn: Connection, workspace_id: str) -> bool:
    """Return whether anything but folders is in a workspace: a file, what is left of one that has ended, or an upload."""
    inside = (select(kind.c.id).where(kind.c.workspace_id == workspace_id).limit(1) for kind in (files, uploads))
    return any(conn.execute(query).first() is not None for query in inside)


def delete_workspace(conn: Connection, workspace_id: str) -> None:
    """Remove a workspace that nothing is in, with its folders and the requests for files of it."""
    requests.delete_of_workspace(conn, workspace_id)
    conn.execute(delete(folders).where(folders.c.workspace_id == workspace_id))
    conn.execute(delete(workspaces).where(workspaces.c.id == workspace_id))


def next_numbers(conn: Connection, workspace_id: str, now: datetime, count: int = 1, *, living: int = 0) -> int:
    """Return the first of ``count`` numbers above every earlier one of the workspace: nanoseconds of ``now``, or the next.

    ``living`` is added to how many living files the workspace has.
    """
    before = int(now.timestamp() * 1_000_000) * 1000 - 1
    last = _DRAW.scalar(conn, {"workspace": workspace_id, "before": before, "count": count, "living": living})
    return int(last) - count + 1


def count_files(conn: Connection, workspace_id: str, *, living: int = 0, deleted: int = 0) -> None:
    """Add to how many living and how many restorable files the workspace has."""
    _COUNT.run(conn, {"workspace": workspace_id, "living": living, "deleted": deleted})


def counted_files(conn: Connection, workspace_id: str) -> tuple[int, int]:
    """Return how many living and how many restorable files the workspace has."""
    query = select(workspaces.c.living_files, workspaces.c.deleted_files).where(workspaces.c.id == workspace_id)
    row = conn.execute(query).one()
    return row[0], row[1]


def _there(workspace: Workspace | None) -> Workspace:
    assert workspace is not None, "a row refers to it, and it is not deleted before that"
    return workspace
