"""Queries of folders."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from fileferry.db.reach import EVERYTHING, Reach, of_folders
from fileferry.db.schema import files, folders, uploads, workspaces
from fileferry.db.statements import Kept
from fileferry.model import Folder, UploadState, new_id

_BY_ID = Kept(
    select(*folders.c)
    .join(workspaces, workspaces.c.id == folders.c.workspace_id)
    .where(folders.c.id == bindparam("folder"), workspaces.c.organization_id == bindparam("organization"))
)
_BY_PATH = Kept(
    select(*folders.c).where(folders.c.workspace_id == bindparam("workspace"), folders.c.path == bindparam("at"))
)


def insert_folder(conn: Connection, folder: Folder) -> None:
    """Add a folder."""
    conn.execute(insert(folders), {name: getattr(folder, name) for name in folder.__struct_fields__})


def find(conn: Connection, organization_id: str, folder_id: str) -> Folder | None:
    """Return the organization's folder with this id."""
    row = _BY_ID.first(conn, {"folder": folder_id, "organization": organization_id})
    return None if row is None else Folder(*row)


def find_by_path(conn: Connection, workspace_id: str, path: str) -> Folder | None:
    """Return the folder at a path."""
    row = _BY_PATH.first(conn, {"workspace": workspace_id, "at": path})
    return None if row is None else Folder(*row)


def ensure(conn: Connection, workspace_id: str, path: str, now: datetime) -> str | None:
    """Return the id of the folder at a path, made with every folder above it where it was not there; None for no folder."""
    if not path:
        return None
    present = find_by_path(conn, workspace_id, path)
    if present is not None:
        return present.id
    ensure(conn, workspace_id, path.rpartition("/")[0], now)
    folder = Folder(new_id(now), workspace_id, path, now)
    insert_folder(conn, folder)
    return folder.id


def list_folders(
    conn: Connection, workspace_id: str, after_path: str, limit: int, reach: Reach = EVERYTHING
) -> list[Folder]:
    """Return folders of a workspace within reach in order of path, those past ``after_path``."""
    query = select(*folders.c).where(folders.c.workspace_id == workspace_id, folders.c.path > after_path)
    query = query.where(*of_folders(reach))
    return [Folder(*row) for row in conn.execute(query.order_by(folders.c.path).limit(limit))]


def is_used(conn: Connection, folder: Folder) -> bool:
    """Whether a folder has living files, uploads under way, or folders inside."""
    inside = select(folders.c.id).where(
        folders.c.workspace_id == folder.workspace_id,
        folders.c.path > folder.path + "/",
        folders.c.path < folder.path + "0",  # "0" is the character after "/"
    )
    living = select(files.c.id).where(files.c.folder_id == folder.id, files.c.deleted_at.is_(None))
    under_way = select(uploads.c.id).where(
        uploads.c.folder_id == folder.id,
        or_(uploads.c.state == UploadState.OPEN.value, uploads.c.state == UploadState.RECEIVED.value),
    )
    return any(conn.execute(query.limit(1)).first() is not None for query in (living, under_way, inside))


def delete_folder(conn: Connection, folder_id: str) -> None:
    """Remove a folder; what has ended in it stays as a tombstone without one."""
    conn.execute(files.update().where(files.c.folder_id == folder_id).values(folder_id=None))
    conn.execute(uploads.update().where(uploads.c.folder_id == folder_id).values(folder_id=None))
    conn.execute(delete(folders).where(folders.c.id == folder_id))
