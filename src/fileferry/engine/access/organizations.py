"""Organizations: making and finding the tenants that own everything else, and naming their users."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import organizations as stored
from fileferry.db import usage, workspaces
from fileferry.db.database import Database
from fileferry.db.usage import Usage
from fileferry.engine.access import audit, limits, policy, quotas
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import NO_LIMITS, Clock, Organization, Page, Principal, Scope, User, Workspace, is_uuid, new_id

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
DEFAULT_SLUG = "default"
DEFAULT_WORKSPACE = "default"


class Organizations:
    """All organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        principal: Principal,
        slug: str,
        name: str | None,
        id: str | None,
        *,
        changes: Mapping[str, Any] | None = None,
        end_user_changes: Mapping[str, Any] | None = None,
    ) -> Organization:
        """Make an organization and its default workspace, with limits of its own and of each end user.

        Raises InvalidParameter, and Conflict when its slug or id is taken.
        """
        policy.authorize_root(principal)
        if not _SLUG.fullmatch(slug) or is_uuid(slug):
            raise InvalidParameter(
                "A slug is 1 to 64 lower-case letters, digits, '-' or '_', begins and ends with a letter or digit, "
                "and is not a UUID.",
                parameter="slug",
            )
        if id is not None and not is_uuid(id):
            raise InvalidParameter("id must be a UUID.", parameter="id")
        now = self._clock()
        organization = Organization(str(uuid.UUID(id)) if id else new_id(now), slug, name or slug, False, now)
        organization = _with_limits(organization, changes or {}, end_user_changes or {})

        def store(conn: Connection) -> None:
            _store(conn, organization)
            quotas.renew(conn, usage.of_organization(organization.id), NO_LIMITS, organization.limits)
            self._record(conn, "organization.created", organization)

        try:
            await self._database.grow(store)
        except IntegrityError as error:
            raise Conflict("An organization with this slug or id exists already.") from error
        return organization

    async def list(self, principal: Principal, after_id: str, limit: int) -> Page[Organization]:
        """Return a page of the organizations that the principal may act in: all for a root key, else its own."""
        if principal.key.organization_id is not None:
            return Page([principal.organization], None)
        found = await self._database.read(stored.list_organizations, after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def get(self, principal: Principal, id_or_slug: str) -> Organization:
        """Return one organization; raises NotFound for those that the principal may not act in."""
        return await self._database.read(self._find, principal, id_or_slug)

    def _find(self, conn: Connection, principal: Principal, id_or_slug: str) -> Organization:
        found = stored.find_organization(conn, id_or_slug)
        if found is None or principal.key.organization_id not in (None, found.id):
            raise NotFound("There is no organization with this id or slug, or this key may not see it.")
        return found

    async def change(
        self,
        principal: Principal,
        id_or_slug: str,
        *,
        changes: Mapping[str, Any] | None = None,
        end_user_changes: Mapping[str, Any] | None = None,
        redirect: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> Organization:
        """Set limits, or lift those that are None. What holds for all that an organization has is for the root key to say.

        What holds for each of its end users, and ``redirect`` (``auto``, ``never``, or None for as the server does), is for its
        administrators too. Raises NotFound, Forbidden, InvalidParameter.
        """
        policy.authorize(principal, Scope.ADMIN)
        if changes:
            policy.authorize_root(principal)

        def store(conn: Connection) -> Organization:
            before = self._find(conn, principal, id_or_slug)
            after = _with_limits(before, changes or {}, end_user_changes or {})
            of_end_users = after.end_user_limits
            after = after if redirect is msgspec.UNSET else msgspec.structs.replace(after, redirect=redirect)
            limited = {"limits": after.limits, "end_user_limits": of_end_users}
            stored.update_organization(conn, before.id, **limited, redirect=after.redirect)
            quotas.renew(conn, usage.of_organization(before.id), before.limits, after.limits)
            if quotas.has_quota(before.end_user_limits) and not quotas.has_quota(of_end_users):
                usage.forget_end_users(conn, before.id)
            self._record(conn, "organization.changed", after)
            return after

        return await self._database.free(store)

    def _record(self, conn: Connection, type: str, organization: Organization) -> None:
        of_each = msgspec.to_builtins(organization.end_user_limits)
        said = {
            "slug": organization.slug,
            "limits": msgspec.to_builtins(organization.limits),
            "end_user_limits": of_each,
            "redirect": organization.redirect,
        }
        audit.record(conn, type, organization.id, organization.id, self._clock(), **said)

    async def sends_on(self, organization_id: str, by_default: str) -> bool:
        """Whether who fetches a file of an organization is sent on to the store, where its link says nothing of that."""
        found = await self._database.lookup(stored.find_organization, organization_id)
        return ((found and found.redirect) or by_default) != "never"

    async def kept(self, principal: Principal, organization: Organization) -> Usage | None:
        """Return what an organization keeps, where its limits say anything of that and the principal sees all of it."""
        if policy.is_confined(principal) or not quotas.has_quota(organization.limits):
            return None
        return await self._database.read(quotas.kept, usage.of_organization(organization.id), organization.limits)

    async def users(self, principal: Principal, ids: Iterable[str | None]) -> dict[str, User]:
        """Return by id the users of the principal's organization that these ids name; what names nobody there is left out.

        How keys are called is for administrators: who is confined is told of no other key's name, where nobody was named for it.
        """
        wanted = {id for id in ids if id is not None}
        if not wanted:
            return {}
        only_key = principal.key.id if policy.is_confined(principal) else None
        found = await self._database.read(stored.list_users, principal.organization.id, wanted, only_key)
        return {user.id: user for user in found}


def _with_limits(before: Organization, changes: Mapping[str, Any], end_user_changes: Mapping[str, Any]) -> Organization:
    return msgspec.structs.replace(
        before,
        limits=limits.changed(before.limits, changes, parameter="limits"),
        end_user_limits=limits.changed(before.end_user_limits, end_user_changes, parameter="end_user_limits"),
    )


def install_default(conn: Connection, now: datetime) -> None:
    """Make sure that the default organization exists."""
    if stored.find_default_organization(conn) is None:
        _store(conn, Organization(new_id(now), DEFAULT_SLUG, "Default", True, now))


def _store(conn: Connection, organization: Organization) -> None:
    now = organization.created_at
    stored.insert_organization(conn, organization)
    workspaces.insert_workspace(conn, Workspace(new_id(now), organization.id, DEFAULT_WORKSPACE, True, now))
