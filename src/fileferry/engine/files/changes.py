"""Changes to files that exist: their names, places, metadata and lives, and deleting and restoring them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, jobs, workspaces
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import announcements, lives, paths, references
from fileferry.engine.files.catalogue import find_living, find_restorable
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import (
    Clock,
    File,
    Limits,
    Principal,
    Scope,
    State,
    StoredFile,
    clean_path,
)
from fileferry.settings import Settings


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a file; UNSET leaves a thing as it is, None as ``expires_at`` keeps the file for good.

    ``name`` renames it where it is, ``path`` moves it; both are clean already.
    """

    name: str | msgspec.UnsetType = msgspec.UNSET
    path: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_in: timedelta | None = None
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET


class Restored(msgspec.Struct, frozen=True):
    """A file that is back; ``moved`` where its path was taken meanwhile and it got another."""

    stored: StoredFile
    moved: bool


class Changing:
    """Changes files of all organizations."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def change(self, principal: Principal, file_id: str, changes: Changes) -> StoredFile:
        """Change a file; its id, versions and URLs stay. Raises NotFound, Gone, InvalidExpiry, or Conflict for a taken path."""
        if changes.name is not msgspec.UNSET and changes.path is not msgspec.UNSET:
            raise InvalidParameter("Give a name or a path, not both.", parameter="name")
        policy.authorize(principal, Scope.READ)  # the answer shows the file
        if changes.metadata is not msgspec.UNSET:
            policy.check_metadata(self._settings, changes.metadata)
        # An end may be set on a full disk: what it ends is freed.
        ends_only = changes.metadata is changes.name is changes.path is msgspec.UNSET
        write = self._database.free if ends_only else self._database.grow
        return await write(self._change, principal, file_id, changes)

    async def delete(
        self, principal: Principal, file_id: str, *, permanent: bool = False, workspace: str | None = None
    ) -> None:
        """End access to a file and all its versions at once.

        One that owns a path can be restored for ``restore_window``, unless ``permanent``, which also ends one that was deleted
        before. Bytes that nothing can bring back are freed by the sweeper. With ``workspace`` the file must be in it.
        Raises NotFound.
        """
        await self._database.free(self._delete, principal, file_id, permanent, workspace)

    async def delete_at(self, principal: Principal, workspace: str | None, path: str) -> None:
        """Delete the file that owns a path; raises NotFound."""

        def run(conn: Connection) -> None:
            policy.authorize(principal, Scope.DELETE)
            workspace_id = find_workspace(conn, principal.organization.id, workspace).id
            owner = files.find_by_path(conn, workspace_id, path)
            if owner is None or not policy.sees(principal, owner.file):
                raise NotFound("There is no file at this path.")
            self._delete(conn, principal, owner.file.id, False, None)

        await self._database.free(run)

    async def restore(self, principal: Principal, file_id: str, *, workspace: str | None = None) -> Restored:
        """Bring a deleted file back with all its versions; one that is there stays so.

        Where its path is taken it gets one beside it. Raises NotFound for a file that is unknown or deleted for good.
        """
        return await self._database.grow(self._restore, principal, file_id, workspace)

    async def delete_version(self, principal: Principal, file_id: str, number: int) -> None:
        """Delete one version that is not the current one, for good. Raises NotFound, Conflict for the current one."""

        def run(conn: Connection) -> None:
            now = self._clock()
            current = find_living(conn, principal, file_id, Scope.DELETE, now)
            if current.version.number == number:
                raise Conflict("This is the current version: upload another one, or delete the file.")
            version = find_living(conn, principal, file_id, Scope.DELETE, now, number=number).version
            files.end_some_versions(conn, [version.id], State.DELETED)
            announcements.announce(conn, "version.deleted", current.file, now, version)
            lives.settle_end(conn, file_id, now, now + self._settings.rejected_retention)

        await self._database.free(run)

    def _change(self, conn: Connection, principal: Principal, file_id: str, changes: Changes) -> StoredFile:
        now = self._clock()
        stored = find_living(conn, principal, file_id, Scope.UPLOAD, now)
        file, version = stored.file, stored.version
        values: dict[str, Any] = {"modified_at": now, "modified_by": principal.user_id}
        path = _asked_path(file.path, changes)
        if path != file.path:
            policy.authorize_path(principal, path)
            limits.refuse_type(self._allowed(conn, principal, file), path, version.content_type)
            if file.owns_path and not paths.free_path(conn, file.workspace_id, path, now, principal.end_user):
                raise Conflict("There is a file with this path already.")
            file = paths.move(conn, file, path, now)
        if changes.metadata is not msgspec.UNSET:
            values["metadata"] = changes.metadata
            # A version that is still judged must not bring back what was said before.
            jobs.change_metadata(conn, file_id, changes.metadata)
        if changes.expires_in is not None or changes.expires_at is not msgspec.UNSET:
            asked = None if changes.expires_at is msgspec.UNSET else changes.expires_at
            allowed = self._allowed(conn, principal, file)
            expires_at = limits.new_expiry(allowed, now, changes.expires_in, asked, version)
            files.update_version(conn, version.id, expires_at=expires_at)
            for waiting in files.list_waiting(conn, stored):
                of_waiting = limits.remaining(allowed, now, changes.expires_in, asked, since=waiting.created_at)
                files.update_version(conn, waiting.id, expires_at=of_waiting)
            version = msgspec.structs.replace(version, expires_at=expires_at)
            file = lives.outlast(conn, StoredFile(file, version))
        files.update_file(conn, file_id, **values)
        file = msgspec.structs.replace(file, **values)
        announcements.announce(conn, "file.changed", file, now, version)
        return StoredFile(file, version)

    def _allowed(self, conn: Connection, principal: Principal, file: File) -> Limits:
        return limits.in_force(self._settings, principal, workspaces.find_by_id(conn, file.workspace_id))

    def _delete(
        self, conn: Connection, principal: Principal, file_id: str, permanent: bool, workspace: str | None
    ) -> None:
        now = self._clock()
        find = find_restorable if permanent else find_living
        file = find(conn, principal, file_id, Scope.DELETE, now, workspace=workspace).file
        if file.deleted_at is not None:
            lives.purge(conn, file)
            return
        if principal.end_user is not None and references.withhold(conn, file):
            return
        window = self._settings.restore_window
        is_final = permanent or not file.owns_path or not window
        lives.delete(conn, file, principal.user_id, now, None if is_final else now + window)

    def _restore(self, conn: Connection, principal: Principal, file_id: str, workspace: str | None) -> Restored:
        policy.authorize(principal, Scope.READ)  # the answer shows the file
        now = self._clock()
        stored = find_restorable(conn, principal, file_id, Scope.UPLOAD, now, workspace=workspace)
        if stored.file.deleted_at is None:
            return Restored(stored, moved=False)
        file = stored.file
        path = paths.beside(
            file.path, lambda tried: paths.free_path(conn, file.workspace_id, tried, now, principal.end_user)
        )
        file = paths.restore(conn, file, path, now)
        return Restored(StoredFile(file, stored.version), moved=path != stored.file.path)


def _asked_path(path: str, changes: Changes) -> str:
    if changes.path is not msgspec.UNSET:
        return changes.path
    if changes.name is not msgspec.UNSET:
        return clean_path(f"{path.rpartition('/')[0]}/{changes.name}")
    return path
