"""The native API of workspaces, ``/api/workspaces``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, get, patch, post

from fileferry.api.bodies import takes_json
from fileferry.api.native.bounds import LimitChanges, LimitsObject, UsageObject, changes_of, limits_object, usage_object
from fileferry.engine.engine import Engine
from fileferry.model import Principal, Scope, Workspace, format_time
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    created,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_expires_in,
    parse_limit,
)

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Kept = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class WorkspaceObject(msgspec.Struct, kw_only=True):
    """A workspace. Of each file the newest ``keep_versions`` are kept, and replaced ones for ``keep_versions_for`` seconds."""

    id: str
    name: str
    is_default: bool
    organization_id: str
    keep_versions: int | None
    keep_versions_for: int | None
    created_at: str
    limits: LimitsObject
    usage: UsageObject | None


class WorkspacePage(msgspec.Struct):
    """A page of workspaces."""

    workspaces: list[WorkspaceObject]
    next_cursor: str | None


class NewWorkspace(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a workspace of; ``id`` fixes its UUID, for a root key; ``keep_versions_for`` is a duration such as ``30d``."""

    name: str
    id: str | None = None
    keep_versions: Kept | None = None
    keep_versions_for: str | int | None = None
    limits: LimitChanges | None = None


class WorkspaceChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Which versions a workspace is to keep, null keeps all; and limits to change."""

    keep_versions: Kept | msgspec.UnsetType | None = msgspec.UNSET
    keep_versions_for: str | int | msgspec.UnsetType | None = msgspec.UNSET
    limits: LimitChanges | None = None


@post("/workspaces", operation_class=takes_json(NewWorkspace))
async def create_workspace(request: AnyRequest, engine: Engine, principal: Principal) -> Response[WorkspaceObject]:
    """Make a workspace in the organization."""
    asked = await json_body(request, engine, Scope.ADMIN, NewWorkspace)
    made = await engine.workspaces.create(
        principal,
        asked.name,
        id=asked.id,
        keep_versions=asked.keep_versions,
        keep_versions_for=_seconds(asked.keep_versions_for),
        changes=changes_of(asked.limits),
    )
    shown = await _workspace_object(engine, principal, made)
    return created(request, engine, f"/api/workspaces/{made.id}", shown)


@get("/workspaces")
async def list_workspaces(
    engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None
) -> WorkspacePage:
    """List the organization's workspaces."""
    after = decode_cursor(cursor, 1)
    page = await engine.workspaces.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [await _workspace_object(engine, principal, workspace) for workspace in page.items]
    return WorkspacePage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/workspaces/{id_or_name:str}")
async def get_workspace(engine: Engine, principal: Principal, id_or_name: str) -> WorkspaceObject:
    """Inspect a workspace."""
    return await _workspace_object(engine, principal, await engine.workspaces.get(principal, id_or_name))


@patch("/workspaces/{id_or_name:str}", operation_class=takes_json(WorkspaceChanges))
async def patch_workspace(
    request: AnyRequest, engine: Engine, principal: Principal, id_or_name: str
) -> WorkspaceObject:
    """Change limits, at once; and which versions a workspace keeps: of a file with its next version, of all files before long."""
    asked = await json_body(request, engine, Scope.ADMIN, WorkspaceChanges)
    kept_for = asked.keep_versions_for
    changed = await engine.workspaces.change(
        principal,
        id_or_name,
        keep_versions=asked.keep_versions,
        keep_versions_for=kept_for if kept_for is msgspec.UNSET else _seconds(kept_for),
        changes=changes_of(asked.limits),
    )
    return await _workspace_object(engine, principal, changed)


async def _workspace_object(engine: Engine, principal: Principal, workspace: Workspace) -> WorkspaceObject:
    return WorkspaceObject(
        id=workspace.id,
        name=workspace.name,
        is_default=workspace.is_default,
        organization_id=workspace.organization_id,
        keep_versions=workspace.keep_versions,
        keep_versions_for=workspace.keep_versions_for,
        created_at=format_time(workspace.created_at),
        limits=limits_object(workspace.limits),
        usage=usage_object(await engine.workspaces.kept(principal, workspace)),
    )


def _seconds(duration: str | int | None) -> int | None:
    lasting = parse_expires_in(duration)
    return None if lasting is None else int(lasting.total_seconds())


router = Router("/api", route_handlers=[create_workspace, list_workspaces, get_workspace, patch_workspace])
