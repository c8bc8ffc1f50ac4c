"""References: messages and threads that a file is attached to. They hold it when its end user deletes it, until the last one
releases it; nothing else holds it, neither against the end of its life nor against a key that acts for nobody.
"""

from __future__ import annotations

from sqlalchemy import Connection

from fileferry.db import references as stored
from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.db.references import Kind, Reference, Target
from fileferry.engine.files import lives
from fileferry.engine.files.catalogue import find_living
from fileferry.engine.files.end_users import find_progress
from fileferry.errors import Conflict, NotFound, NotReady
from fileferry.model import Clock, File, Principal, Scope, State, StoredFile

__all__ = ["Kind", "Reference", "References", "Target", "withhold"]


class References:
    """What the files of all organizations are attached to."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def attach(self, principal: Principal, file_id: str, target: Target) -> Reference:
        """Attach a file that is ready; again is no error. Raises NotFound, NotReady while it is judged, Conflict if it failed."""
        return await self._database.grow(self._attach, principal, file_id, target)

    async def release(self, principal: Principal, file_id: str, target: Target) -> None:
        """Let a file go; one that its end user has deleted ends with its last reference. Raises NotFound."""
        await self._database.free(self._release, principal, file_id, target)

    async def list(self, principal: Principal, file_id: str, offset: int, limit: int) -> tuple[list[Reference], int]:
        """Return a page of what a file is attached to, the oldest first, and how many there are; raises NotFound."""

        def read(conn: Connection) -> tuple[list[Reference], int]:
            find_living(conn, principal, file_id, Scope.READ, self._clock())
            return stored.list_references(conn, file_id, offset, limit), stored.count(conn, file_id)

        return await self._database.read(read)

    def _attach(self, conn: Connection, principal: Principal, file_id: str, target: Target) -> Reference:
        now = self._clock()
        found = find_progress(conn, principal, file_id, Scope.UPLOAD, now).stored
        known = stored.find(conn, file_id, target)
        if known is not None:
            return known
        if stored.is_marked_deleted(conn, file_id):
            raise NotFound()
        _refuse_unready(found)
        reference = Reference(file_id, target, now)
        stored.insert_reference(conn, reference)
        return reference

    def _release(self, conn: Connection, principal: Principal, file_id: str, target: Target) -> None:
        now = self._clock()
        file = find_living(conn, principal, file_id, Scope.UPLOAD, now).file
        if not stored.delete_reference(conn, file_id, target):
            raise NotFound(f"The file is not attached to this {target.kind}.")
        if stored.is_marked_deleted(conn, file_id) and not stored.count(conn, file_id):
            lives.delete(conn, file, principal.user_id, now)


def withhold(conn: Connection, file: File) -> bool:
    """Keep a file that its end user deletes while something holds it; False where nothing does. Raises NotFound the second time."""
    if not stored.count(conn, file.id):
        return False
    if stored.is_marked_deleted(conn, file.id):
        raise NotFound()
    stored.mark_deleted(conn, file.id)
    uploads.end_for_file(conn, file.id)
    return True


def _refuse_unready(found: StoredFile | None) -> None:
    if found is None:
        raise Conflict("The file has not been uploaded yet, or its upload was refused.")
    if found.version.state in (State.PROCESSING, State.EXPIRED):
        raise NotReady()
    if found.version.state is not State.READY:
        raise Conflict(f"The file was rejected: {found.version.reason}.")
