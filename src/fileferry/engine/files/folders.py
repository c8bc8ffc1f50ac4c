"""Folders: addressable prefixes of a workspace."""

from __future__ import annotations

from sqlalchemy import Connection

from fileferry.db import folders as stored
from fileferry.db.database import Database
from fileferry.engine.access import audit, policy
from fileferry.engine.access.workspaces import find_workspace
from fileferry.errors import Conflict, Forbidden, NotFound
from fileferry.model import Clock, Folder, Principal, Scope, clean_path


class Folders:
    """The folders of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, principal: Principal, path: str, workspace: str | None = None) -> Folder:
        """Return the folder at ``path``, made where it was not there yet. Raises InvalidName, Forbidden."""
        policy.authorize(principal, Scope.UPLOAD)
        path = clean_path(path)
        if not policy.reach(principal).has_folder(path):
            raise Forbidden("This API key is confined to another folder.")
        return await self._database.grow(self._create, principal, path, workspace)

    async def list(
        self, principal: Principal, workspace: str | None, after_path: str, limit: int
    ) -> tuple[list[Folder], str | None]:
        """Return folders by path, and the path to go on after where there are more."""
        policy.authorize(principal, Scope.READ)

        def read(conn: Connection) -> list[Folder]:
            found = find_workspace(conn, principal.organization.id, workspace)
            return stored.list_folders(conn, found.id, after_path, limit + 1, policy.reach(principal))

        found = await self._database.read(read)
        return found[:limit], found[limit - 1].path if len(found) > limit else None

    async def get(self, principal: Principal, folder_id: str, scope: Scope = Scope.READ) -> Folder:
        """Return a folder of the organization by its id; raises NotFound."""
        policy.authorize(principal, scope)
        return await self._database.read(find_folder, principal, folder_id)

    async def exists(self, principal: Principal, id: str) -> bool:
        """Whether ``id`` is that of a folder that the principal sees: how flows that share a path tell their nouns apart."""
        found = await self._database.lookup(stored.find, principal.organization.id, id)
        return found is not None and policy.reach(principal).has_folder(found.path)

    async def delete(self, principal: Principal, folder_id: str) -> None:
        """Remove an empty folder; raises NotFound, and Conflict for one with files, uploads or folders inside.

        Raises Forbidden for an end user: folders are for all, and what is in them for others is not told.
        """
        policy.authorize(principal, Scope.DELETE)
        if principal.end_user is not None:
            raise Forbidden("Folders are shared: they are not deleted on behalf of an end user.")

        def remove(conn: Connection) -> None:
            folder = find_folder(conn, principal, folder_id)
            if stored.is_used(conn, folder):
                raise Conflict("The folder is not empty: delete what is in it first.")
            stored.delete_folder(conn, folder.id)
            self._record(conn, "folder.deleted", principal, folder)

        await self._database.free(remove)

    def _create(self, conn: Connection, principal: Principal, path: str, workspace: str | None) -> Folder:
        found = find_workspace(conn, principal.organization.id, workspace)
        there = stored.find_by_path(conn, found.id, path)
        if there is not None:
            return there
        stored.ensure(conn, found.id, path, self._clock())
        folder = stored.find_by_path(conn, found.id, path)
        assert folder is not None  # it was made just now
        self._record(conn, "folder.created", principal, folder)
        return folder

    def _record(self, conn: Connection, type: str, principal: Principal, folder: Folder) -> None:
        said = {"path": folder.path, "workspace_id": folder.workspace_id}
        audit.record(conn, type, principal.organization.id, folder.id, self._clock(), **said)


def find_folder(conn: Connection, principal: Principal, folder_id: str) -> Folder:
    """Return a folder that the principal sees by its id; raises NotFound."""
    folder = stored.find(conn, principal.organization.id, folder_id)
    if folder is None or not policy.reach(principal).has_folder(folder.path):
        raise NotFound("There is no folder with this id, or this key may not see it.")
    return folder
