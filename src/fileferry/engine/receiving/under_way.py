"""What is on its way, for people who look at it; and what somebody may upload, said before it begins."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from fileferry.db import uploads, usage
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy, quotas
from fileferry.engine.access.workspaces import find_workspace
from fileferry.model import Limits, Page, Principal, Scope, Upload
from fileferry.settings import Settings


class Progress(msgspec.Struct, frozen=True):
    """An upload and how many bytes of it have come."""

    upload: Upload
    received: int


class Allowance(msgspec.Struct, frozen=True):
    """What somebody may upload: the limits in force, the largest file in bytes, and the bytes and files left of each quota."""

    limits: Limits
    largest: int
    bytes_left: int | None
    files_left: int | None


class UnderWay:
    """The uploads that are not complete, of all organizations."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def list(self, principal: Principal, before_id: str | None, limit: int) -> Page[Progress]:
        """Return a page of the organization's uploads that are not complete, the last begun first."""
        policy.authorize(principal, Scope.UPLOAD)
        reach = policy.reach(principal)
        found = await self._database.read(uploads.list_living, principal.organization.id, before_id, limit + 1, reach)
        items = [Progress(upload, received) for upload, received in found[:limit]]
        return Page(items, items[-1].upload.id if len(found) > limit else None)

    async def allowance(self, principal: Principal, workspace: str | None) -> Allowance:
        """Return what the principal may upload to a workspace; raises Forbidden, NotFound."""
        policy.authorize(principal, Scope.UPLOAD)

        def read(conn: Connection) -> Allowance:
            found = find_workspace(conn, principal.organization.id, workspace)
            allowed = limits.in_force(self._settings, principal, found)
            bytes_left: list[int] = []
            files_left: list[int] = []
            for quota in quotas.quotas_of(principal, found):
                kept = usage.find(conn, quota.subject) or usage.count(conn, quota.subject)
                if quota.max_bytes is not None:
                    bytes_left.append(max(0, quota.max_bytes - kept.bytes))
                if quota.max_files is not None:
                    files_left.append(max(0, quota.max_files - kept.files))
            largest = limits.largest(allowed)
            return Allowance(allowed, largest, min(bytes_left, default=None), min(files_left, default=None))

        return await self._database.read(read)
