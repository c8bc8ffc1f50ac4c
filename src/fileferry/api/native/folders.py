"""The native API of folders, ``/api/folders``."""

from __future__ import annotations

import msgspec
from litestar import Response, Router, delete, get, post

from fileferry.api.bodies import takes_json
from fileferry.api.native.files import WorkspaceName
from fileferry.api.native.objects import FolderObject, FolderPage, folder_object
from fileferry.engine.engine import Engine
from fileferry.model import Principal, Scope
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    created,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_limit,
)


class NewFolder(msgspec.Struct, forbid_unknown_fields=True):
    """A folder to make."""

    path: str


@get("/folders")
async def list_folders(
    engine: Engine,
    principal: Principal,
    workspace: WorkspaceName = None,
    cursor: Cursor = "",
    limit: Limit = None,
) -> FolderPage:
    """List the folders of a workspace by path."""
    after = decode_cursor(cursor, 1)
    found, further = await engine.folders.list(principal, workspace, after[0] if after else "", parse_limit(limit))
    return FolderPage([folder_object(folder) for folder in found], encode_cursor(further) if further else None)


@post("/folders", operation_class=takes_json(NewFolder))
async def create_folder(
    request: AnyRequest, engine: Engine, principal: Principal, workspace: WorkspaceName = None
) -> Response[FolderObject]:
    """Make the folder at a path; where it is there already, the answer is that one."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewFolder)
    made = folder_object(await engine.folders.create(principal, asked.path, workspace))
    return created(request, engine, f"/api/folders/{made.id}", made)


@get("/folders/{folder_id:str}")
async def get_folder(engine: Engine, principal: Principal, folder_id: str) -> FolderObject:
    """Inspect a folder."""
    return folder_object(await engine.folders.get(principal, folder_id))


@delete("/folders/{folder_id:str}")
async def delete_folder(engine: Engine, principal: Principal, folder_id: str) -> None:
    """Delete an empty folder."""
    await engine.folders.delete(principal, folder_id)


router = Router("/api", route_handlers=[list_folders, create_folder, get_folder, delete_folder])
