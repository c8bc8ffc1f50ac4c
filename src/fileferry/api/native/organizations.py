"""The native API of organizations, ``/api/organizations``."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Response, Router, get, patch, post

from fileferry.api.bodies import takes_json
from fileferry.api.native.bounds import LimitChanges, LimitsObject, UsageObject, changes_of, limits_object, usage_object
from fileferry.api.native.workspaces import ShortText
from fileferry.engine.engine import Engine
from fileferry.model import Organization, Principal, Scope, format_time
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

Redirect = Literal["auto", "never"]


class OrganizationObject(msgspec.Struct):
    """An organization, with the limits of all that it has, what is kept of that, and the limits of each of its end users.

    ``redirect`` says whether who fetches its files is sent on to the store; null: as the server's setting says.
    """

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: str
    limits: LimitsObject
    end_user_limits: LimitsObject
    redirect: Redirect | None
    usage: UsageObject | None


class OrganizationPage(msgspec.Struct):
    """A page of organizations."""

    organizations: list[OrganizationObject]
    next_cursor: str | None


class NewOrganization(msgspec.Struct, forbid_unknown_fields=True):
    """What to make an organization of; ``id`` fixes its UUID."""

    slug: str
    name: ShortText | None = None
    id: str | None = None
    limits: LimitChanges | None = None
    end_user_limits: LimitChanges | None = None


class OrganizationChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Limits to change: of all that the organization has, which needs the root key, and of each of its end users.

    ``redirect`` says whether who fetches its files is sent on to the store; null leaves it to the server's setting.
    """

    limits: LimitChanges | None = None
    end_user_limits: LimitChanges | None = None
    redirect: Redirect | msgspec.UnsetType | None = msgspec.UNSET


@post("/organizations", operation_class=takes_json(NewOrganization))
async def create_organization(
    request: AnyRequest, engine: Engine, principal: Principal
) -> Response[OrganizationObject]:
    """Make an organization; needs the root key."""
    asked = await json_body(request, engine, Scope.ADMIN, NewOrganization)
    made = await engine.organizations.create(
        principal,
        asked.slug,
        asked.name,
        asked.id,
        changes=changes_of(asked.limits),
        end_user_changes=changes_of(asked.end_user_limits),
    )
    shown = await _organization_object(engine, principal, made)
    return created(request, engine, f"/api/organizations/{made.id}", shown)


@get("/organizations")
async def list_organizations(
    engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None
) -> OrganizationPage:
    """List the organizations that the key may act in."""
    after = decode_cursor(cursor, 1)
    page = await engine.organizations.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [await _organization_object(engine, principal, organization) for organization in page.items]
    return OrganizationPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/organizations/{id_or_slug:str}")
async def get_organization(engine: Engine, principal: Principal, id_or_slug: str) -> OrganizationObject:
    """Inspect an organization."""
    return await _organization_object(engine, principal, await engine.organizations.get(principal, id_or_slug))


@patch("/organizations/{id_or_slug:str}", operation_class=takes_json(OrganizationChanges))
async def patch_organization(
    request: AnyRequest, engine: Engine, principal: Principal, id_or_slug: str
) -> OrganizationObject:
    """Change ``redirect`` and the limits of each end user; with the root key also those of all that the organization has."""
    asked = await json_body(request, engine, Scope.ADMIN, OrganizationChanges)
    changes, of_end_users = changes_of(asked.limits), changes_of(asked.end_user_limits)
    changed = await engine.organizations.change(
        principal, id_or_slug, changes=changes, end_user_changes=of_end_users, redirect=asked.redirect
    )
    return await _organization_object(engine, principal, changed)


async def _organization_object(engine: Engine, principal: Principal, organization: Organization) -> OrganizationObject:
    return OrganizationObject(
        organization.id,
        organization.slug,
        organization.name,
        organization.is_default,
        format_time(organization.created_at),
        limits_object(organization.limits),
        limits_object(organization.end_user_limits),
        msgspec.convert(organization.redirect, Redirect | None),
        usage_object(await engine.organizations.kept(principal, organization)),
    )


router = Router(
    "/api",
    route_handlers=[
        create_organization,
        list_organizations,
        get_organization,
        patch_organization,
    ],
)
