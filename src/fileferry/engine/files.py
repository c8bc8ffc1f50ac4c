"""Files that exist: finding, listing, changing and deleting them, and opening their bytes for whoever may read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobMissing, BlobStore
from fileferry.db import files
from fileferry.db.database import Database
from fileferry.engine import policy, versions
from fileferry.engine.links import NOTHING_HERE, Links
from fileferry.engine.organizations import find_workspace
from fileferry.errors import Conflict, Gone, InternalError, NotFound, NotReady
from fileferry.model import Clock, Folder, Page, Principal, Scope, State, StoredFile, clean_path
from fileferry.settings import Settings


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a file; UNSET leaves a thing as it is, None as ``expires_at`` keeps the file for good."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_in: timedelta | None = None
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET


class Files:
    """The files of all organizations."""

    def __init__(self, database: Database, store: BlobStore, links: Links, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._links = links
        self._settings = settings
        self._clock = clock

    async def get(self, principal: Principal, file_id: str, scope: Scope = Scope.READ) -> StoredFile:
        """Return a living file that the principal may use; raises NotFound, or Gone for one that has expired."""
        return await self._database.lookup(self._find, principal, file_id, scope)

    async def list_newest(self, principal: Principal, after_id: str | None, limit: int) -> Page[StoredFile]:
        """Return a page of the organization's files, newest first."""
        policy.authorize(principal, Scope.READ)
        found = await self._database.read(
            files.list_newest, principal.organization.id, self._clock(), after_id, limit + 1
        )
        return Page(found[:limit], found[limit - 1].file.id if len(found) > limit else None)

    async def list_in_folder(self, principal: Principal, folder: Folder, after_id: str, limit: int) -> Page[StoredFile]:
        """Return a page of the folder's files, oldest first."""
        policy.authorize(principal, Scope.READ)
        found = await self._database.read(files.list_in_folder, folder.id, self._clock(), after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].file.id if len(found) > limit else None)

    async def list_by_path(
        self, principal: Principal, workspace: str | None, prefix: str, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[StoredFile], tuple[str, str] | None]:
        """Return files of a workspace by path, and the path and id to go on after where there are more."""
        policy.authorize(principal, Scope.READ)
        now = self._clock()

        def read(conn: Connection) -> list[StoredFile]:
            found = find_workspace(conn, principal.organization.id, workspace)
            return files.list_by_path(conn, found.id, prefix, now, after, limit + 1)

        found = await self._database.read(read)
        last = found[limit - 1].file if len(found) > limit else None
        return found[:limit], (last.path, last.id) if last else None

    async def change(self, principal: Principal, file_id: str, changes: Changes) -> StoredFile:
        """Change name, metadata or expiry of a file; raises NotFound, Gone, InvalidExpiry, or Conflict for a taken name."""
        return await self._database.write(self._change, principal, file_id, changes)

    async def delete(self, principal: Principal, file_id: str) -> None:
        """End public access to a file at once and for good; its bytes are freed by the sweeper. Raises NotFound."""
        await self._database.write(self._delete, principal, file_id)

    async def open_public(self, token: str) -> StoredFile:
        """Return the version that a public link is for; raises NotFound, Gone, or NotReady."""
        stored = await self._database.lookup(files.find_by_version, self._links.version_of(token))
        if stored is None:
            raise NotFound(NOTHING_HERE)
        self._links.verify_public(token, stored)
        return self._servable(stored)

    async def open(self, principal: Principal, file_id: str) -> StoredFile:
        """Return the current version of a file for reading its bytes; raises NotFound, Gone, or NotReady."""
        return self._servable(await self.get(principal, file_id))

    async def read(self, stored: StoredFile, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield ``length`` bytes of a version from offset ``start``."""
        try:
            version = stored.version
            if version.blob_key is None:
                yield await self._read_inline(stored, start, length)
                return
            for extent in versions.extents_within(version.extents, version.size, start, length):
                async with aclosing(self._store.read(version.blob_key, extent.offset, extent.length)) as blocks:
                    async for block in blocks:
                        yield block
        except BlobMissing as error:
            raise await self._lost(stored) from error

    def public_token(self, stored: StoredFile) -> str:
        """Return the token that the version's public URL carries."""
        return self._links.public_token(stored.file.organization_id, stored.file.id, stored.version.id)

    def _find(self, conn: Connection, principal: Principal, file_id: str, scope: Scope) -> StoredFile:
        stored = files.find(conn, file_id)
        if stored is None:
            raise NotFound()
        policy.authorize(principal, scope, stored.file.organization_id)
        if versions.has_expired(stored.file, self._clock()):
            raise Gone("This file has expired.")
        if stored.file.deleted_at is not None:
            raise NotFound("This file was deleted.")
        return stored

    def _change(self, conn: Connection, principal: Principal, file_id: str, changes: Changes) -> StoredFile:
        policy.authorize(principal, Scope.READ)  # the answer shows the file
        stored = self._find(conn, principal, file_id, Scope.UPLOAD)
        now = self._clock()
        values: dict[str, Any] = {"modified_at": now}
        if changes.name is not msgspec.UNSET:
            folder = stored.file.path.rpartition("/")[0]
            values["name"] = changes.name
            values["path"] = clean_path(f"{folder}/{changes.name}")
            self._refuse_taken(conn, stored, values["path"], now)
        if changes.metadata is not msgspec.UNSET:
            policy.check_metadata(self._settings, changes.metadata)
            values["metadata"] = changes.metadata
        if changes.expires_in is not None or changes.expires_at is not msgspec.UNSET:
            asked = None if changes.expires_at is msgspec.UNSET else changes.expires_at
            values["expires_at"] = policy.expiry(self._settings, now, changes.expires_in, asked)
        files.update_file(conn, file_id, **values)
        return msgspec.structs.replace(stored, file=msgspec.structs.replace(stored.file, **values))

    def _refuse_taken(self, conn: Connection, stored: StoredFile, path: str, now: datetime) -> None:
        if not stored.file.owns_path:
            return
        owner = versions.find_at_path(conn, stored.file.workspace_id, path, now)
        if owner is not None and owner.file.id != stored.file.id:
            raise Conflict("There is a file with this name already.")

    def _delete(self, conn: Connection, principal: Principal, file_id: str) -> None:
        stored = self._find(conn, principal, file_id, Scope.DELETE)
        versions.delete(conn, stored.file, self._clock())

    def _servable(self, stored: StoredFile) -> StoredFile:
        if stored.file.deleted_at is not None or versions.has_expired(stored.file, self._clock()):
            raise Gone()
        if stored.version.state is State.REJECTED:
            raise Gone("This file was rejected and is not served.")
        if stored.version.state is not State.READY:
            raise NotReady()
        return stored

    async def _read_inline(self, stored: StoredFile, start: int, length: int) -> bytes:
        content = await self._database.lookup(files.read_inline, stored.version.id)
        if content is None:
            raise await self._lost(stored)
        return content[start : start + length]

    async def _lost(self, stored: StoredFile) -> Exception:
        """Tell a file that ended while it was being opened from one whose bytes are lost."""
        again = await self._database.read(files.find_by_version, stored.version.id)
        if again is None or again.version.state is not State.READY:
            return Gone()
        return InternalError("The bytes of this file are missing from the store; see 'fileferry doctor'.")
