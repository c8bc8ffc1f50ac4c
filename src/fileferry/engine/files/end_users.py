"""End users: what one may upload, which files one has, and how far each is between its ticket and being ready."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, listings, uploads
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files.catalogue import Found, find_living
from fileferry.errors import NotFound
from fileferry.model import Clock, Limits, Principal, Scope, StoredFile, Upload, UploadState
from fileferry.settings import Settings


class Progress(msgspec.Struct, frozen=True):
    """A file on its way: the upload that its ticket was for, and the file itself once its bytes are there.

    One of them is there at least. A file that came without a ticket has no upload.
    """

    upload: Upload | None
    stored: StoredFile | None


class EndUsers:
    """The end users of all organizations; every principal here acts for one."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def allowed(self, principal: Principal) -> Limits:
        """Return the limits in force for the user's next upload."""
        policy.authorize(principal, Scope.UPLOAD)

        def read(conn: Connection) -> Limits:
            workspace = find_workspace(conn, principal.organization.id, None)
            return limits.in_force(self._settings, principal, workspace)

        return await self._database.read(read)

    async def list(self, principal: Principal, offset: int, limit: int) -> Found:
        """Return a page of the user's files, newest first, without those that were rejected, or deleted by the user."""
        policy.authorize(principal, Scope.READ)

        def read(conn: Connection) -> Found:
            asked = (principal.organization.id, self._clock(), policy.reach(principal))
            return Found(listings.list_unrejected(conn, *asked, offset, limit), listings.count_unrejected(conn, *asked))

        return await self._database.read(read)

    async def progress(self, principal: Principal, file_id: str) -> Progress:
        """Return how far a file of the user's is; raises NotFound, or Gone for one that has expired."""
        return await self._database.lookup(find_progress, principal, file_id, Scope.READ, self._clock())

    async def withdraw(self, principal: Principal, file_id: str) -> bool:
        """Give up a file that is still to come, or whose bytes were refused; False where there is one to be deleted.

        Raises NotFound.
        """

        def run(conn: Connection) -> bool:
            found = find_progress(conn, principal, file_id, Scope.DELETE, self._clock())
            if found.stored is not None or found.upload is None:
                return False
            ended = {"state": UploadState.ABORTED, "content": None, "refusal": None}
            uploads.update_upload(conn, found.upload.id, **ended)
            return True

        return await self._database.free(run)


def find_progress(conn: Connection, principal: Principal, file_id: str, scope: Scope, now: datetime) -> Progress:
    """Return how far a file is that the principal may use; raises NotFound, or Gone for one that has expired."""
    policy.authorize(principal, scope)
    found = uploads.find_by_files(conn, principal.organization.id, [file_id], policy.reach(principal))
    upload = found.get(file_id)
    if files.find(conn, file_id) is not None:
        return Progress(upload, find_living(conn, principal, file_id, scope, now))
    if upload is None:
        raise NotFound()
    if upload.state is UploadState.COMPLETED or (upload.state is UploadState.ABORTED and upload.refusal is None):
        raise NotFound()
    return Progress(upload, None)
