"""Organizations and their workspaces: making and finding the tenants that own everything else."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import organizations as stored
from fileferry.db.database import Database
from fileferry.engine import policy
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import Clock, Organization, Page, Principal, Scope, Workspace, new_id

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
DEFAULT_SLUG = "default"
DEFAULT_WORKSPACE = "default"


class Organizations:
    """All organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, principal: Principal, slug: str, name: str | None, id: str | None) -> Organization:
        """Make an organization and its default workspace. Raises Conflict when its slug or id is taken."""
        policy.authorize_root(principal)
        if not _SLUG.fullmatch(slug) or _is_uuid(slug):
            raise InvalidParameter(
                "A slug is 1 to 64 lower-case letters, digits, '-' or '_', begins and ends with a letter or digit, "
                "and is not a UUID.",
                parameter="slug",
            )
        if id is not None and not _is_uuid(id):
            raise InvalidParameter("id must be a UUID.", parameter="id")
        now = self._clock()
        organization = Organization(str(uuid.UUID(id)) if id else new_id(now), slug, name or slug, False, now)
        try:
            await self._database.write(_store, organization)
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
        found = await self._database.read(stored.find_organization, id_or_slug)
        if found is None or principal.key.organization_id not in (None, found.id):
            raise NotFound("There is no organization with this id or slug, or this key may not see it.")
        return found

    async def workspace(self, principal: Principal, id_or_name: str | None) -> Workspace:
        """Return a workspace of the principal's organization, the default one when not named; raises NotFound."""
        policy.authorize(principal, Scope.READ)
        return await self._database.read(find_workspace, principal.organization.id, id_or_name)


def find_workspace(conn: Connection, organization_id: str, id_or_name: str | None) -> Workspace:
    """Return a workspace of the organization, the default one when not named; raises NotFound."""
    if id_or_name is None:
        return stored.find_default_workspace(conn, organization_id)
    found = stored.find_workspace(conn, organization_id, id_or_name)
    if found is None:
        raise NotFound(f"There is no workspace {id_or_name!r} in the organization.")
    return found


def install_default(conn: Connection, now: datetime) -> None:
    """Make sure that the default organization exists."""
    if stored.find_default_organization(conn) is None:
        _store(conn, Organization(new_id(now), DEFAULT_SLUG, "Default", True, now))


def _store(conn: Connection, organization: Organization) -> None:
    now = organization.created_at
    stored.insert_organization(conn, organization)
    stored.insert_workspace(conn, Workspace(new_id(now), organization.id, DEFAULT_WORKSPACE, True, now))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
