"""The native API of users, ``/api/users``: people who sign in to the dashboard. What programs have is a key."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post, put

from fileferry.api.bodies import takes_json
from fileferry.api.native.bounds import LimitChanges, LimitsObject, UsageObject, changes_of, limits_object, usage_object
from fileferry.api.native.keys import Folder
from fileferry.api.native.workspaces import ShortText
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.engine import Engine
from fileferry.model import Account, Principal, Scope, format_optional_time, format_time
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

Secret = Annotated[str, msgspec.Meta(max_length=1024)]


class AccountObject(msgspec.Struct, kw_only=True):
    """Somebody who signs in, and what they may do; of a password nothing is ever told.

    ``issuer`` is null for who has a password, ``proxy``, or the address of an OpenID provider that calls them ``subject``. In
    the audit log ``key`` is their id.
    """

    id: str
    name: str
    scopes: list[str]
    organization_id: str
    issuer: str | None
    subject: str
    created_at: str
    expires_at: str | None
    signed_in_at: str | None
    path_prefix: str | None
    limits: LimitsObject
    usage: UsageObject | None


class UserPage(msgspec.Struct):
    """A page of users."""

    users: list[AccountObject]
    next_cursor: str | None


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to make: the name and the password to sign in with, and what they may do. ``path_prefix`` confines them to a folder."""

    name: ShortText
    password: Secret
    scopes: list[Scope]
    limits: LimitChanges | None = None
    path_prefix: Folder | None = None


class AccountChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a user; null lifts ``path_prefix``."""

    scopes: list[Scope] | None = None
    limits: LimitChanges | None = None
    path_prefix: Folder | msgspec.UnsetType | None = msgspec.UNSET


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """What a user is to sign in with from now on."""

    password: Secret


@post("/users", operation_class=takes_json(NewAccount))
async def create_user(request: AnyRequest, engine: Engine, principal: Principal) -> Response[AccountObject]:
    """Make a user of the organization, who signs in to the dashboard with a name and a password."""
    asked = await json_body(request, engine, Scope.ADMIN, NewAccount)
    bounds = KeyBounds(limits=changes_of(asked.limits), path_prefix=asked.path_prefix)
    made = await engine.accounts.create(principal, asked.name, asked.password, tuple(asked.scopes), bounds)
    return created(request, engine, f"/api/users/{made.key.id}", await _user_object(engine, made))


@get("/users")
async def list_users(engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None) -> UserPage:
    """List the organization's users, also those whom a proxy or a provider vouches for."""
    after = decode_cursor(cursor, 1)
    page = await engine.accounts.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [await _user_object(engine, account) for account in page.items]
    return UserPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/users/{user_id:str}")
async def get_user(engine: Engine, principal: Principal, user_id: str) -> AccountObject:
    """Inspect a user."""
    return await _user_object(engine, await engine.accounts.get(principal, user_id))


@patch("/users/{user_id:str}", operation_class=takes_json(AccountChanges))
async def patch_user(request: AnyRequest, engine: Engine, principal: Principal, user_id: str) -> AccountObject:
    """Change what a user may do, from their next request on."""
    asked = await json_body(request, engine, Scope.ADMIN, AccountChanges)
    bounds = KeyBounds(limits=changes_of(asked.limits), path_prefix=asked.path_prefix)
    scopes = None if asked.scopes is None else tuple(asked.scopes)
    return await _user_object(engine, await engine.accounts.change(principal, user_id, bounds, scopes=scopes))


@put("/users/{user_id:str}/password", operation_class=takes_json(NewPassword), status_code=204)
async def put_password(request: AnyRequest, engine: Engine, principal: Principal, user_id: str) -> None:
    """Give a user another password; all their sessions end."""
    asked = await json_body(request, engine, Scope.ADMIN, NewPassword)
    await engine.accounts.set_password(principal, user_id, asked.password)


@delete("/users/{user_id:str}")
async def delete_user(engine: Engine, principal: Principal, user_id: str) -> None:
    """Remove a user: their sessions end at once, and their links and shares are served no more. Their files stay."""
    await engine.accounts.remove(principal, user_id)


async def _user_object(engine: Engine, account: Account) -> AccountObject:
    key = account.key
    return AccountObject(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        organization_id=key.organization_id or "",
        issuer=account.issuer or None,
        subject=account.subject,
        created_at=format_time(key.created_at),
        expires_at=format_optional_time(key.expires_at),
        signed_in_at=format_optional_time(account.signed_in_at),
        path_prefix=key.path_prefix,
        limits=limits_object(key.limits),
        usage=usage_object(await engine.keys.kept(key)),
    )


router = Router("/api", route_handlers=[create_user, list_users, get_user, patch_user, put_password, delete_user])
