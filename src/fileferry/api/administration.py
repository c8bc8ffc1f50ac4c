"""The native API's administration, ``/api/keys``, ``/api/organizations`` and ``/api/workspaces``: who may do what, and where."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Router, delete, get, patch, post

from fileferry.api.bodies import takes_json
from fileferry.engine.engine import Engine
from fileferry.engine.keys import NewUser
from fileferry.model import Key, Organization, Principal, Scope, Workspace, format_optional_time, format_time
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_expires_in,
    parse_limit,
)

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Kept = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class KeyObject(msgspec.Struct, kw_only=True):
    """An API key without its secret; ``prefix`` is how the secret begins, ``user_id`` the author of what it does."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    organization_id: str | None
    user_id: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKeyObject(KeyObject, kw_only=True):
    """An API key with its secret in ``key``, which is shown this once."""

    key: str


class KeyPage(msgspec.Struct):
    """A page of keys."""

    keys: list[KeyObject]
    next_cursor: str | None


class OrganizationObject(msgspec.Struct):
    """An organization."""

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: str


class OrganizationPage(msgspec.Struct):
    """A page of organizations."""

    organizations: list[OrganizationObject]
    next_cursor: str | None


class WorkspaceObject(msgspec.Struct, kw_only=True):
    """A workspace. Of each file the newest ``keep_versions`` are kept, and replaced ones for ``keep_versions_for`` seconds."""

    id: str
    name: str
    is_default: bool
    organization_id: str
    keep_versions: int | None
    keep_versions_for: int | None
    created_at: str


class WorkspacePage(msgspec.Struct):
    """A page of workspaces."""

    workspaces: list[WorkspaceObject]
    next_cursor: str | None


class KeyUser(msgspec.Struct, forbid_unknown_fields=True):
    """Who is named as the author of what a key does: one that is there already by ``id``, or a new one."""

    id: str | None = None
    name: ShortText | None = None
    email: ShortText | None = None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a key of. ``expires_in`` is a duration such as ``90d``; without ``user`` the key is its own author."""

    name: ShortText
    scopes: list[Scope]
    expires_in: str | int | None = None
    user: KeyUser | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the present secret stays good beside the new one, as a duration; not at all by default."""

    grace: str | int | None = None


class NewOrganization(msgspec.Struct, forbid_unknown_fields=True):
    """What to make an organization of; ``id`` fixes its UUID."""

    slug: str
    name: ShortText | None = None
    id: str | None = None


class NewWorkspace(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a workspace of; ``id`` fixes its UUID, ``keep_versions_for`` is a duration such as ``30d``."""

    name: str
    id: str | None = None
    keep_versions: Kept | None = None
    keep_versions_for: str | int | None = None


class WorkspaceChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Which versions a workspace is to keep; null keeps all."""

    keep_versions: Kept | msgspec.UnsetType | None = msgspec.UNSET
    keep_versions_for: str | int | msgspec.UnsetType | None = msgspec.UNSET


@post("/keys", operation_class=takes_json(NewKey))
async def create_key(request: AnyRequest, engine: Engine, principal: Principal) -> NewKeyObject:
    """Make an API key of the organization; its secret is in the answer and nowhere else."""
    asked = await json_body(request, engine, NewKey)
    user = None if asked.user is None else NewUser(asked.user.id, asked.user.name, asked.user.email)
    life = parse_expires_in(asked.expires_in)
    return _with_secret(*await engine.keys.create(principal, asked.name, tuple(asked.scopes), life, user=user))


@get("/keys")
async def list_keys(engine: Engine, principal: Principal, cursor: Cursor = None, limit: Limit = None) -> KeyPage:
    """List the organization's API keys, revoked ones too."""
    after = decode_cursor(cursor, 1)
    page = await engine.keys.list(principal, after[0] if after else "", parse_limit(limit))
    return KeyPage(
        [_key_object(key) for key in page.items], encode_cursor(page.next_cursor) if page.next_cursor else None
    )


@get("/keys/{key_id:str}")
async def get_key(engine: Engine, principal: Principal, key_id: str) -> KeyObject:
    """Inspect an API key."""
    return _key_object(await engine.keys.get(principal, key_id))


@delete("/keys/{key_id:str}")
async def revoke_key(engine: Engine, principal: Principal, key_id: str) -> None:
    """Revoke an API key at once."""
    await engine.keys.revoke(principal, key_id)


@post("/keys/{key_id:str}/rotate", operation_class=takes_json(Rotation))
async def rotate_key(request: AnyRequest, engine: Engine, principal: Principal, key_id: str) -> NewKeyObject:
    """Give an API key a new secret; the present one stays good for ``grace``."""
    asked = await json_body(request, engine, Rotation)
    grace = parse_expires_in(asked.grace) or timedelta(0)
    return _with_secret(*await engine.keys.rotate(principal, key_id, grace))


@post("/organizations", operation_class=takes_json(NewOrganization))
async def create_organization(request: AnyRequest, engine: Engine, principal: Principal) -> OrganizationObject:
    """Make an organization; needs the root key."""
    asked = await json_body(request, engine, NewOrganization)
    return _organization_object(await engine.organizations.create(principal, asked.slug, asked.name, asked.id))


@get("/organizations")
async def list_organizations(
    engine: Engine, principal: Principal, cursor: Cursor = None, limit: Limit = None
) -> OrganizationPage:
    """List the organizations that the key may act in."""
    after = decode_cursor(cursor, 1)
    page = await engine.organizations.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [_organization_object(organization) for organization in page.items]
    return OrganizationPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/organizations/{id_or_slug:str}")
async def get_organization(engine: Engine, principal: Principal, id_or_slug: str) -> OrganizationObject:
    """Inspect an organization."""
    return _organization_object(await engine.organizations.get(principal, id_or_slug))


@post("/workspaces", operation_class=takes_json(NewWorkspace))
async def create_workspace(request: AnyRequest, engine: Engine, principal: Principal) -> WorkspaceObject:
    """Make a workspace in the organization."""
    asked = await json_body(request, engine, NewWorkspace)
    made = await engine.workspaces.create(
        principal,
        asked.name,
        id=asked.id,
        keep_versions=asked.keep_versions,
        keep_versions_for=_seconds(asked.keep_versions_for),
    )
    return _workspace_object(made)


@get("/workspaces")
async def list_workspaces(
    engine: Engine, principal: Principal, cursor: Cursor = None, limit: Limit = None
) -> WorkspacePage:
    """List the organization's workspaces."""
    after = decode_cursor(cursor, 1)
    page = await engine.workspaces.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [_workspace_object(workspace) for workspace in page.items]
    return WorkspacePage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/workspaces/{id_or_name:str}")
async def get_workspace(engine: Engine, principal: Principal, id_or_name: str) -> WorkspaceObject:
    """Inspect a workspace."""
    return _workspace_object(await engine.workspaces.get(principal, id_or_name))


@patch("/workspaces/{id_or_name:str}", operation_class=takes_json(WorkspaceChanges))
async def patch_workspace(
    request: AnyRequest, engine: Engine, principal: Principal, id_or_name: str
) -> WorkspaceObject:
    """Change which versions a workspace keeps: of a file at once with its next version, of all files before long."""
    asked = await json_body(request, engine, WorkspaceChanges)
    kept_for = asked.keep_versions_for
    changed = await engine.workspaces.change(
        principal,
        id_or_name,
        keep_versions=asked.keep_versions,
        keep_versions_for=kept_for if kept_for is msgspec.UNSET else _seconds(kept_for),
    )
    return _workspace_object(changed)


router = Router(
    "/api",
    route_handlers=[
        create_key,
        list_keys,
        get_key,
        revoke_key,
        rotate_key,
        create_organization,
        list_organizations,
        get_organization,
        create_workspace,
        list_workspaces,
        get_workspace,
        patch_workspace,
    ],
)


def _key_fields(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "organization_id": key.organization_id,
        "user_id": key.user_id or key.id,
        "created_at": format_time(key.created_at),
        "expires_at": format_optional_time(key.expires_at),
        "revoked_at": format_optional_time(key.revoked_at),
    }


def _key_object(key: Key) -> KeyObject:
    return KeyObject(**_key_fields(key))


def _with_secret(key: Key, secret: str) -> NewKeyObject:
    return NewKeyObject(**_key_fields(key), key=secret)


def _organization_object(organization: Organization) -> OrganizationObject:
    return OrganizationObject(
        organization.id,
        organization.slug,
        organization.name,
        organization.is_default,
        format_time(organization.created_at),
    )


def _workspace_object(workspace: Workspace) -> WorkspaceObject:
    return WorkspaceObject(
        id=workspace.id,
        name=workspace.name,
        is_default=workspace.is_default,
        organization_id=workspace.organization_id,
        keep_versions=workspace.keep_versions,
        keep_versions_for=workspace.keep_versions_for,
        created_at=format_time(workspace.created_at),
    )


def _seconds(duration: str | int | None) -> int | None:
    lasting = parse_expires_in(duration)
    return None if lasting is None else int(lasting.total_seconds())
