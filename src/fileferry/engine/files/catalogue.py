"""Files that exist: finding and listing them and their versions, and opening their bytes for whoever may read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from io import FileIO

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobMissing, BlobStore, FileSlice
from fileferry.db import files, keys, listings, workspaces
from fileferry.db.database import Database
from fileferry.db.generations import generation
from fileferry.db.reach import EVERYTHING
from fileferry.engine.access import policy
from fileferry.engine.access.links import NOTHING_HERE, Links, Right
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import lives, versions
from fileferry.engine.files.hot import HotFile
from fileferry.errors import Gone, InternalError, LinkRefused, NotFound, NotReady
from fileferry.model import Clock, Folder, Page, Principal, Scope, Search, State, StoredFile, Version
from fileferry.settings import Settings

_MOST_VERSIONS = 1000


class Found(msgspec.Struct, frozen=True):
    """A page of a search; ``total`` is how many files it has on all pages."""

    items: list[StoredFile]
    total: int


class Files:
    """The files of all organizations."""

    def __init__(self, database: Database, store: BlobStore, links: Links, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._links = links
        self._settings = settings
        self._clock = clock

    async def get(
        self,
        principal: Principal,
        file_id: str,
        scope: Scope = Scope.READ,
        *,
        number: int | None = None,
        deleted: bool = False,
        workspace: str | None = None,
    ) -> StoredFile:
        """Return a living file that the principal may use, with its current version or the one of ``number``.

        ``deleted`` finds a file that can be restored, too; with ``workspace`` only one in it is found. Raises NotFound, or Gone
        for one that has expired.
        """
        find = find_restorable if deleted else find_living
        return await self._database.lookup(
            find, principal, file_id, scope, self._clock(), number=number, workspace=workspace
        )

    async def at(
        self, principal: Principal, workspace: str | None, path: str, *, number: int | None = None
    ) -> StoredFile:
        """Return the file at a path: the one that owns it, or else the newest in a folder there. Raises as ``get`` does."""
        return await self._database.lookup(self._find_at, principal, workspace, path, number)

    async def again(self, stored: StoredFile) -> StoredFile:
        """Return a version as it stands now; as it was where nothing of it is left."""
        return await self._database.lookup(files.find_by_version, stored.version.id) or stored

    async def versions(
        self, principal: Principal, file_id: str, *, deleted: bool = False, workspace: str | None = None
    ) -> list[Version]:
        """Return the versions of a file that can be read, the last completed first; raises as ``get`` does."""
        await self.get(principal, file_id, deleted=deleted, workspace=workspace)
        now = self._clock()
        found = await self._database.read(files.list_versions, file_id, _MOST_VERSIONS)
        return [version for version in found if not lives.version_has_expired(version, now)]

    async def search(self, principal: Principal, workspace: str | None, asked: Search) -> Found:
        """Return a page of a workspace's files; raises NotFound for the workspace."""
        policy.authorize(principal, Scope.READ)
        return await self._database.read(self._search, principal, workspace, asked)

    async def list_newest(self, principal: Principal, after_id: str | None, limit: int) -> Page[StoredFile]:
        """Return a page of the organization's files, newest first."""
        policy.authorize(principal, Scope.READ)
        found = await self._database.read(
            listings.list_newest,
            principal.organization.id,
            self._clock(),
            after_id,
            limit + 1,
            policy.reach(principal),
        )
        return Page(found[:limit], found[limit - 1].file.id if len(found) > limit else None)

    async def list_in_folder(self, principal: Principal, folder: Folder, after_id: str, limit: int) -> Page[StoredFile]:
        """Return a page of the folder's files, oldest first."""
        policy.authorize(principal, Scope.READ)
        reach = policy.reach(principal)
        found = await self._database.read(listings.list_in_folder, folder.id, self._clock(), after_id, limit + 1, reach)
        return Page(found[:limit], found[limit - 1].file.id if len(found) > limit else None)

    async def list_by_path(
        self,
        principal: Principal,
        workspace: str | None,
        prefix: str,
        after: tuple[str, str] | None,
        limit: int,
        *,
        deleted: bool = False,
    ) -> tuple[list[StoredFile], tuple[str, str] | None]:
        """Return files of a workspace by path, and the path and id to go on after where there are more."""
        policy.authorize(principal, Scope.READ)
        now, reach = self._clock(), policy.reach(principal)

        def read(conn: Connection) -> list[StoredFile]:
            found = find_workspace(conn, principal.organization.id, workspace)
            return listings.list_by_path(conn, found.id, prefix, now, after, limit + 1, deleted=deleted, reach=reach)

        found = await self._database.read(read)
        last = found[limit - 1].file if len(found) > limit else None
        return found[:limit], (last.path, last.id) if last else None

    async def open_public(self, token: str) -> StoredFile:
        """Return the version that a public link is for; raises NotFound, Gone, or NotReady."""
        stored = await self._database.lookup(files.find_by_version, self._links.version_of(token))
        if stored is None:
            raise NotFound(NOTHING_HERE)
        self._links.verify_public(token, stored)
        return servable(stored, self._clock())

    async def is_as_before(self, hot: HotFile) -> bool:
        """Whether a version that could be served still is as it was then, and can be.

        Its row is read only where anything at all was written since it was last looked at, by this process or another.
        """
        if await self._database.lookup(_looked_at, hot) != hot.stored:
            return False
        now = self._clock()
        return not lives.has_expired(hot.stored.file, now) and not lives.version_has_expired(hot.stored.version, now)

    async def open_signed(self, version_id: str, query: Mapping[str, str]) -> StoredFile:
        """Return the version that a signed download URL is for; raises LinkRefused, the same for every reason, Gone or NotReady."""
        return await self._database.lookup(self._find_signed, version_id, query)

    async def open_granted(self, version_id: str, right: Right) -> StoredFile:
        """Return the version that a short URL is for; raises as ``open_signed``."""

        def find(conn: Connection) -> StoredFile:
            now = self._clock()
            stored = files.find_by_version(conn, version_id)
            if stored is None or (right.secret and right.secret not in keys.living_secrets(conn, right.key_id, now)):
                raise LinkRefused()
            return servable(_permitted(conn, stored, right.key_id, now), now)

        return await self._database.lookup(find)

    async def open(self, principal: Principal, file_id: str, number: int | None = None) -> StoredFile:
        """Return a version of a file, the current one or that of ``number``, to read its bytes; raises NotFound, Gone, NotReady."""
        return servable(await self.get(principal, file_id, number=number), self._clock())

    async def read(self, stored: StoredFile, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield ``length`` bytes of a version from offset ``start``."""
        try:
            version = stored.version
            if version.is_inline:
                yield await self._read_inline(stored, start, length)
                return
            for extent in versions.extents_within(version.extents, version.size, start, length):
                blob_key = extent.blob_key or version.blob_key or ""
                async with aclosing(self._store.read(blob_key, extent.offset, extent.length)) as blocks:
                    async for block in blocks:
                        yield block
        except BlobMissing as error:
            raise await self._lost(stored) from error

    async def slices(self, stored: StoredFile, start: int, length: int) -> AsyncGenerator[bytes | FileSlice]:
        """Yield the same bytes as ``read``, as slices of files wherever the store has such.

        A slice is good until the next is asked for.
        """
        version = stored.version
        if version.is_inline:
            yield await self._read_inline(stored, start, length)
            return
        file: FileIO | None = None
        opened: str | None = None
        try:
            for extent in versions.extents_within(version.extents, version.size, start, length):
                blob_key = extent.blob_key or version.blob_key or ""
                if blob_key != opened:
                    _close(file)
                    file, opened = await self._store.open_file(blob_key), blob_key
                if file is not None:
                    yield FileSlice(file, extent.offset, extent.length)
                    continue
                async with aclosing(self._store.read(blob_key, extent.offset, extent.length)) as blocks:
                    async for block in blocks:
                        yield block
        except BlobMissing as error:
            raise await self._lost(stored) from error
        finally:
            _close(file)

    def public_token(self, stored: StoredFile) -> str:
        """Return the token that the version's public URL carries."""
        return self._links.public_token(stored.file.organization_id, stored.file.id, stored.version.id)

    def download_query(self, principal: Principal, stored: StoredFile, lifetime: timedelta) -> dict[str, str]:
        """Return the query of a signed URL for the version's bytes, good for ``lifetime`` while the principal's key is."""
        return self._links.download_query(stored, Right.of(principal), self._clock() + lifetime)

    def _find_at(
        self, conn: Connection, principal: Principal, workspace: str | None, path: str, number: int | None
    ) -> StoredFile:
        policy.authorize(principal, Scope.READ)
        now = self._clock()
        workspace_id = find_workspace(conn, principal.organization.id, workspace).id
        found = files.find_by_path(conn, workspace_id, path)
        if found is None or not policy.sees(principal, found.file):
            found = files.find_in_folder(conn, workspace_id, path, now, policy.reach(principal))
        if found is None:
            raise NotFound("There is no file at this path.")
        return find_living(conn, principal, found.file.id, Scope.READ, now, number=number)

    def _search(self, conn: Connection, principal: Principal, workspace: str | None, asked: Search) -> Found:
        now, reach = self._clock(), policy.reach(principal)
        workspace_id = find_workspace(conn, principal.organization.id, workspace).id
        items = listings.search(conn, workspace_id, asked, now, reach)
        if asked.is_filtered or reach != EVERYTHING:
            return Found(items, listings.count(conn, workspace_id, asked, now, reach))
        living, deleted = workspaces.counted_files(conn, workspace_id)
        over = listings.count_over(conn, workspace_id, asked, now)
        return Found(items, (deleted if asked.deleted else living) - over)

    def _find_signed(self, conn: Connection, version_id: str, query: Mapping[str, str]) -> StoredFile:
        now = self._clock()
        stored = files.find_by_version(conn, version_id)
        if stored is None:
            raise LinkRefused()
        asker = query.get("skoid", "")
        with_deleted = self._links.verify_download(query, stored, keys.living_secrets(conn, asker, now), now)
        stored = _permitted(conn, stored, asker, now)
        until = stored.file.restorable_until
        if with_deleted and until is not None and until > now and stored.version.state is State.READY:
            return _readable(stored, now, stored.version.number)
        return servable(stored, self._clock())

    async def _read_inline(self, stored: StoredFile, start: int, length: int) -> bytes:
        content = await self._database.lookup(files.read_inline, stored.version.id)
        if content is None:
            raise await self._lost(stored)
        return content[start : start + length]

    async def _lost(self, stored: StoredFile) -> Exception:
        """Tell a file that ended while it was being opened from one whose bytes are lost."""
        again = await self._database.read(files.find_by_version, stored.version.id)
        if again is None or again.version.state not in (State.READY, State.PROCESSING):
            return Gone()
        return InternalError("The bytes of this file are missing from the store; see 'fileferry doctor'.")


def _close(file: FileIO | None) -> None:
    if file is not None:
        file.close()


def _looked_at(conn: Connection, hot: HotFile) -> StoredFile | None:
    # In this order: what is written in between is seen the next time.
    now = generation(conn)
    stored = hot.stored if now == hot.generation else files.find_by_version(conn, hot.stored.version.id)
    if stored == hot.stored:
        hot.generation = now
    return stored


def servable(stored: StoredFile, now: datetime) -> StoredFile:
    """Return a version that may be fetched; raises Gone, and NotReady for one that is still judged."""
    if stored.file.deleted_at is not None or lives.has_expired(stored.file, now):
        raise Gone()
    if lives.version_has_expired(stored.version, now):
        raise Gone("This version has expired.")
    if stored.version.state is State.REJECTED:
        raise Gone("This file was rejected and is not served.")
    if stored.version.state in (State.EXPIRED, State.DELETED):
        raise Gone("This version is no longer kept.")
    if stored.version.state is not State.READY:
        raise NotReady()
    return stored


def find_living(
    conn: Connection,
    principal: Principal,
    file_id: str,
    scope: Scope,
    now: datetime,
    *,
    number: int | None = None,
    workspace: str | None = None,
) -> StoredFile:
    """Return a living file that the principal may use; raises NotFound, or Gone for one that has expired."""
    stored = _find(conn, principal, file_id, scope, number, workspace)
    is_over = stored.file.deleted_at is not None
    if lives.has_expired(stored.file, now) or (is_over and stored.version.state is State.EXPIRED):
        raise Gone("This file has expired.")
    if is_over:
        raise NotFound("This file was deleted.")
    return _readable(stored, now, number)


def find_restorable(
    conn: Connection,
    principal: Principal,
    file_id: str,
    scope: Scope,
    now: datetime,
    *,
    number: int | None = None,
    workspace: str | None = None,
) -> StoredFile:
    """Return a file that is living or can be restored; raises NotFound, or Gone for one that has expired."""
    stored = _find(conn, principal, file_id, scope, number, workspace)
    until = stored.file.restorable_until
    is_gone = stored.file.deleted_at is not None and (until is None or until <= now)
    has_expired = lives.has_expired(stored.file, now) or stored.version.state is State.EXPIRED
    if is_gone and not has_expired:
        raise NotFound("This file was deleted for good, and cannot be restored.")
    if stored.file.deleted_at is None or is_gone:
        return find_living(conn, principal, file_id, scope, now, number=number)
    return _readable(stored, now, number)


def _find(
    conn: Connection,
    principal: Principal,
    file_id: str,
    scope: Scope,
    number: int | None,
    workspace: str | None,
) -> StoredFile:
    stored = files.find(conn, file_id, number)
    if stored is None or not policy.sees(principal, stored.file):
        raise NotFound() if number is None else NotFound("There is no such version here, or this key may not see it.")
    policy.authorize_use(principal, scope, stored.file)
    if workspace is not None:
        refuse_other_workspace(conn, principal, stored.file.workspace_id, workspace)
    return stored


def refuse_other_workspace(conn: Connection, principal: Principal, workspace_id: str, asked: str) -> None:
    """Raise NotFound unless the workspace that a caller names is the one that the thing is in."""
    if find_workspace(conn, principal.organization.id, asked).id != workspace_id:
        raise NotFound()


def _readable(stored: StoredFile, now: datetime, number: int | None) -> StoredFile:
    """Return what was found unless it is an old version, asked for by number, that is no longer kept.

    One that is still judged, or was rejected, is there to be asked about.
    """
    is_told = stored.version.state in (State.READY, State.PROCESSING, State.REJECTED)
    is_kept = is_told and not lives.version_has_expired(stored.version, now)
    if number is not None and not is_kept:
        raise NotFound("There is no version with this id.")
    return stored


def _permitted(conn: Connection, stored: StoredFile, key_id: str, now: datetime) -> StoredFile:
    """Return a version that the key behind a URL may still read; raises LinkRefused."""
    key = keys.find_living(conn, key_id, now)
    if key is None or not policy.may(key, Scope.READ, stored.file):
        raise LinkRefused()
    return stored
