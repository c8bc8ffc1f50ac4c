"""Workspaces: making and finding the trees of paths inside an organization, and how many versions each keeps."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import upkeep, uploads, usage
from fileferry.db import workspaces as stored
from fileferry.db.database import Database
from fileferry.db.usage import Usage
from fileferry.engine.access import audit, limits, policy, quotas
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import (
    NO_LIMITS,
    Clock,
    Limits,
    Page,
    Principal,
    Scope,
    Workspace,
    canonical_id,
    is_uuid,
    new_id,
    normalized,
)

_NAME = re.compile(r"[^\s/:\x00-\x1f][^/:\x00-\x1f]{0,253}[^\s/:\x00-\x1f]|[^\s/:\x00-\x1f]")
_LONGEST_KEEP = 100 * 365 * 86400
_PAGE = 500  # rows that one transaction forgets


class Workspaces:
    """The workspaces of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        principal: Principal,
        name: str,
        id: str | None = None,
        keep_versions: int | None = None,
        keep_versions_for: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Workspace:
        """Make a workspace of the principal's organization; ``changes`` are its limits.

        Only a root key fixes its ``id``: others would be told whether another organization has it. Raises InvalidParameter,
        Forbidden, and Conflict when its name or id is taken.
        """
        policy.authorize(principal, Scope.ADMIN)
        if id is not None:
            policy.authorize_root(principal)
        name = normalized(name, "name")
        if not _NAME.fullmatch(name) or is_uuid(name):
            raise InvalidParameter(
                "A workspace's name has 1 to 255 characters, none of them '/' or ':', no blank at either end, "
                "and is not a UUID.",
                parameter="name",
            )
        if id is not None and not is_uuid(id):
            raise InvalidParameter("id must be a UUID.", parameter="id")
        _refuse_retention(keep_versions, keep_versions_for)
        now = self._clock()
        workspace = Workspace(
            id=str(uuid.UUID(id)) if id else new_id(now),
            organization_id=principal.organization.id,
            name=name,
            is_default=False,
            created_at=now,
            keep_versions=keep_versions,
            keep_versions_for=keep_versions_for,
            limits=_limits(NO_LIMITS, changes or {}),
        )

        def store(conn: Connection) -> None:
            stored.insert_workspace(conn, workspace)
            quotas.renew(conn, usage.of_workspace(workspace.id), NO_LIMITS, workspace.limits)
            self._record(conn, "workspace.created", workspace)

        try:
            await self._database.grow(store)
        except IntegrityError as error:
            raise Conflict("A workspace with this name or id exists already.") from error
        return workspace

    async def list(self, principal: Principal, after_id: str, limit: int) -> Page[Workspace]:
        """Return a page of the organization's workspaces."""
        policy.authorize(principal, Scope.READ)
        found = await self._database.read(stored.list_workspaces, principal.organization.id, after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def get(self, principal: Principal, id_or_name: str | None) -> Workspace:
        """Return a workspace of the organization, the default one when not named; raises NotFound."""
        policy.authorize(principal, Scope.READ)
        return await self._database.read(find_workspace, principal.organization.id, id_or_name)

    async def change(
        self,
        principal: Principal,
        id_or_name: str,
        *,
        keep_versions: int | msgspec.UnsetType | None = msgspec.UNSET,
        keep_versions_for: int | msgspec.UnsetType | None = msgspec.UNSET,
        changes: Mapping[str, Any] | None = None,
    ) -> Workspace:
        """Change how many versions are kept; UNSET leaves a thing as it is. ``changes`` are limits to be set, or lifted by None.

        It holds for a file from its next version on, and for all files at the store's next scan.
        """
        policy.authorize(principal, Scope.ADMIN)
        _refuse_retention(keep_versions, keep_versions_for)
        asked = {"keep_versions": keep_versions, "keep_versions_for": keep_versions_for}
        values: dict[str, Any] = {name: value for name, value in asked.items() if value is not msgspec.UNSET}

        def store(conn: Connection) -> Workspace:
            workspace = find_workspace(conn, principal.organization.id, id_or_name)
            after = _limits(workspace.limits, changes or {})
            stored.update_workspace(conn, workspace.id, **values, limits=msgspec.to_builtins(after))
            quotas.renew(conn, usage.of_workspace(workspace.id), workspace.limits, after)
            changed = msgspec.structs.replace(workspace, **values, limits=after)
            self._record(conn, "workspace.changed", changed)
            return changed

        return await self._database.free(store)

    async def delete(self, principal: Principal, id_or_name: str, free: Callable[[], Awaitable[None]]) -> None:
        """Delete a workspace with its folders, and forget what had ended in it; ``free`` gives back the bytes of that.

        Raises NotFound, and Conflict for the default one and while uploads or files are in it, restorable ones too.
        """
        policy.authorize(principal, Scope.ADMIN)
        workspace = await self._database.read(find_workspace, principal.organization.id, id_or_name)
        if workspace.is_default:
            raise Conflict("Every organization keeps its default workspace.")

        def refuse_files(conn: Connection) -> None:
            living, restorable = stored.counted_files(conn, workspace.id)
            if living or restorable:
                raise Conflict(
                    f"The workspace holds {living} files, and {restorable} deleted ones that can be restored: "
                    "delete them for good first."
                )

        def forget_some(conn: Connection) -> int:
            ended = (conn, self._clock() + timedelta(seconds=1), _PAGE, workspace.id)
            return uploads.delete_ended(*ended) + upkeep.delete_tombstones(*ended)

        def remove(conn: Connection) -> None:
            if stored.is_used(conn, workspace.id):
                raise Conflict("An upload to this workspace is under way: end it, or wait for it.")
            stored.delete_workspace(conn, workspace.id)
            usage.forget(conn, usage.of_workspace(workspace.id))
            self._record(conn, "workspace.deleted", workspace)

        await self._database.read(refuse_files)
        await free()
        while await self._database.free(forget_some):
            pass
        await self._database.free(remove)

    def _record(self, conn: Connection, type: str, workspace: Workspace) -> None:
        kept = {"keep_versions": workspace.keep_versions, "keep_versions_for": workspace.keep_versions_for}
        said = {"name": workspace.name, **kept, "limits": msgspec.to_builtins(workspace.limits)}
        audit.record(conn, type, workspace.organization_id, workspace.id, self._clock(), **said)

    async def kept(self, principal: Principal, workspace: Workspace) -> Usage | None:
        """Return what a workspace keeps, where its limits say anything of that and the principal sees all of it."""
        if policy.is_confined(principal) or not quotas.has_quota(workspace.limits):
            return None
        return await self._database.read(quotas.kept, usage.of_workspace(workspace.id), workspace.limits)


def find_workspace(conn: Connection, organization_id: str, id_or_name: str | None) -> Workspace:
    """Return a workspace of the organization, the default one when not named; raises NotFound."""
    if id_or_name is None:
        return stored.find_default(conn, organization_id)
    found = stored.find(conn, organization_id, canonical_id(normalized(id_or_name, "workspace")))
    if found is None:
        raise NotFound(
            f"There is no workspace {id_or_name!r} in the organization; 'fileferry workspaces ls' lists them."
        )
    return found


def _limits(before: Limits, changes: Mapping[str, Any]) -> Limits:
    for name in limits.RATES:
        if changes.get(name) is not None:
            # A request is counted before it is known which workspace it is about.
            raise InvalidParameter("A workspace has no rates: limit its keys.", parameter=f"limits.{name}")
    return limits.changed(before, changes, parameter="limits")


def _refuse_retention(keep: object, seconds: object) -> None:
    if isinstance(keep, int) and not 1 <= keep <= 1_000_000:
        raise InvalidParameter("keep_versions is how many versions to keep, from 1.", parameter="keep_versions")
    if isinstance(seconds, int) and not 1 <= seconds <= _LONGEST_KEEP:
        raise InvalidParameter("keep_versions_for is a time from 1s to 100 years.", parameter="keep_versions_for")
