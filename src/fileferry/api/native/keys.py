"""The native API of keys, ``/api/keys``: who may do what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, patch, post

from fileferry.api.bodies import takes_json
from fileferry.api.native.bounds import LimitChanges, LimitsObject, UsageObject, changes_of, limits_object, usage_object
from fileferry.api.native.workspaces import ShortText
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.access.keys import NewUser
from fileferry.engine.engine import Engine
from fileferry.model import Key, Principal, Scope, canonical_id, format_optional_time, format_time
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

Folder = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
EndUsers = Annotated[list[ShortText], msgspec.Meta(min_length=1, max_length=1000)]


class KeyObject(msgspec.Struct, kw_only=True):
    """An API key without its secret; ``prefix`` is how the secret begins, ``user_id`` the author of what it does.

    ``path_prefix`` is the folder that it is confined to, ``on_behalf_of`` the end users that it may act for (``*``: any).
    ``last_used_at`` is when somebody acted with it last, or by a session or a token that it stands behind.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    organization_id: str | None
    user_id: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    path_prefix: str | None
    on_behalf_of: list[str] | None
    limits: LimitsObject
    usage: UsageObject | None


class NewKeyObject(KeyObject, kw_only=True):
    """An API key with its secret in ``key``, which is shown this once."""

    key: str


class ActingIn(msgspec.Struct):
    """The organization that a key acts in."""

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: str


class IdentityObject(msgspec.Struct, kw_only=True):
    """Who asks: a key, the organization it acts in, the end user on whose behalf (null: nobody), and whether it is a root key."""

    key: KeyObject
    organization: ActingIn
    end_user: str | None
    is_root: bool


class KeyPage(msgspec.Struct):
    """A page of keys."""

    keys: list[KeyObject]
    next_cursor: str | None


class KeyUser(msgspec.Struct, forbid_unknown_fields=True):
    """Who is named as the author of what a key does: one that is there already by ``id``, or a new one."""

    id: str | None = None
    name: ShortText | None = None
    email: ShortText | None = None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a key of. ``expires_in`` is a duration such as ``90d``; without ``user`` the key is its own author.

    ``path_prefix`` confines it to a folder, ``on_behalf_of`` to end users, one of which every request must name.
    """

    name: ShortText
    scopes: list[Scope]
    expires_in: str | int | None = None
    user: KeyUser | None = None
    limits: LimitChanges | None = None
    path_prefix: Folder | None = None
    on_behalf_of: EndUsers | None = None


class KeyChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a key; null lifts ``path_prefix`` or ``on_behalf_of``."""

    name: ShortText | None = None
    scopes: list[Scope] | None = None
    limits: LimitChanges | None = None
    path_prefix: Folder | msgspec.UnsetType | None = msgspec.UNSET
    on_behalf_of: EndUsers | msgspec.UnsetType | None = msgspec.UNSET


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the present secret stays good beside the new one, as a duration; not at all by default."""

    grace: str | int | None = None


@post("/keys", operation_class=takes_json(NewKey))
async def create_key(request: AnyRequest, engine: Engine, principal: Principal) -> Response[NewKeyObject]:
    """Make an API key of the organization; its secret is in the answer and nowhere else."""
    asked = await json_body(request, engine, Scope.ADMIN, NewKey)
    user = None
    if asked.user is not None:
        user_id = None if asked.user.id is None else canonical_id(asked.user.id)
        user = NewUser(user_id, asked.user.name, asked.user.email)
    life = parse_expires_in(asked.expires_in)
    bounds = KeyBounds(
        limits=changes_of(asked.limits),
        path_prefix=asked.path_prefix,
        on_behalf_of=None if asked.on_behalf_of is None else tuple(asked.on_behalf_of),
    )
    key, secret = await engine.keys.create(principal, asked.name, tuple(asked.scopes), life, user=user, bounds=bounds)
    return created(request, engine, f"/api/keys/{key.id}", await _with_secret(engine, key, secret))


@get("/keys")
async def list_keys(engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None) -> KeyPage:
    """List the organization's API keys, revoked ones too."""
    after = decode_cursor(cursor, 1)
    page = await engine.keys.list(principal, after[0] if after else "", parse_limit(limit))
    uses = await engine.key_uses.last([key.id for key in page.items])
    objects = [KeyObject(**await _key_fields(engine, key, uses.get(key.id))) for key in page.items]
    return KeyPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/keys/{key_id:str}")
async def get_key(engine: Engine, principal: Principal, key_id: str) -> KeyObject:
    """Inspect an API key."""
    return await _key_object(engine, await engine.keys.get(principal, key_id))


@patch("/keys/{key_id:str}", operation_class=takes_json(KeyChanges))
async def patch_key(request: AnyRequest, engine: Engine, principal: Principal, key_id: str) -> KeyObject:
    """Change what an API key may do: from its next request on, and for the signed URLs that it has asked for."""
    asked = await json_body(request, engine, Scope.ADMIN, KeyChanges)
    named = asked.on_behalf_of
    bounds = KeyBounds(
        limits=changes_of(asked.limits),
        path_prefix=asked.path_prefix,
        on_behalf_of=tuple(named) if isinstance(named, list) else named,
    )
    scopes = None if asked.scopes is None else tuple(asked.scopes)
    changed = await engine.keys.change(principal, key_id, bounds, name=asked.name, scopes=scopes)
    return await _key_object(engine, changed)


@delete("/keys/{key_id:str}")
async def revoke_key(engine: Engine, principal: Principal, key_id: str) -> None:
    """Revoke an API key at once."""
    await engine.keys.revoke(principal, key_id)


@post("/keys/{key_id:str}/rotate", operation_class=takes_json(Rotation))
async def rotate_key(request: AnyRequest, engine: Engine, principal: Principal, key_id: str) -> NewKeyObject:
    """Give an API key a new secret; the present one stays good for ``grace``."""
    asked = await json_body(request, engine, Scope.ADMIN, Rotation)
    grace = parse_expires_in(asked.grace) or timedelta(0)
    return await _with_secret(engine, *await engine.keys.rotate(principal, key_id, grace))


@get("/whoami")
async def whoami(engine: Engine, principal: Principal) -> IdentityObject:
    """Tell who the key of the request is, and acts for; any key may ask."""
    organization = principal.organization
    return IdentityObject(
        key=await _key_object(engine, principal.key),
        organization=ActingIn(
            organization.id,
            organization.slug,
            organization.name,
            organization.is_default,
            format_time(organization.created_at),
        ),
        end_user=principal.end_user,
        is_root=principal.key.organization_id is None,
    )


async def _key_fields(engine: Engine, key: Key, used_at: datetime | None) -> dict[str, Any]:
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
        "last_used_at": format_optional_time(used_at),
        "path_prefix": key.path_prefix,
        "on_behalf_of": None if key.on_behalf_of is None else list(key.on_behalf_of),
        "limits": limits_object(key.limits),
        "usage": usage_object(await engine.keys.kept(key)),
    }


async def _key_object(engine: Engine, key: Key) -> KeyObject:
    return KeyObject(**await _key_fields(engine, key, await _last_use(engine, key)))


async def _with_secret(engine: Engine, key: Key, secret: str) -> NewKeyObject:
    return NewKeyObject(**await _key_fields(engine, key, await _last_use(engine, key)), key=secret)


async def _last_use(engine: Engine, key: Key) -> datetime | None:
    return (await engine.key_uses.last([key.id])).get(key.id)


router = Router("/api", route_handlers=[create_key, list_keys, get_key, patch_key, revoke_key, rotate_key, whoami])
