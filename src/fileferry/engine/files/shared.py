"""What the visitors of a share get: whether its link still leads anywhere, which files it has now, and the count of downloads.

Nothing is copied when a share is made: at each request it gives what the key that made it may read then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, folders, keys, listings
from fileferry.db import shares as stored
from fileferry.db.database import Database
from fileferry.db.reach import Reach
from fileferry.engine.access import policy, tokens
from fileferry.engine.access.links import NOTHING_HERE
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.files import announcements
from fileferry.engine.files.catalogue import servable
from fileferry.errors import Conflict, Gone, NotFound, NotReady, PassphraseRequired
from fileferry.model import Clock, Folder, Key, Scope, Share, State, StoredFile

PAGE = 500
"""How many files of a folder are read at a time."""
MOST_ARCHIVED = 10_000
"""How many files one archive may have: each is remembered until its end."""
_SHOWN = (State.READY, State.PROCESSING)


class OpenShare(msgspec.Struct, frozen=True):
    """A share whose link leads somewhere, the living key that made it, and its folder if it is of one."""

    share: Share
    key: Key
    folder: Folder | None

    def name_of(self, stored: StoredFile) -> str:
        """Return what a file is called here: its path below the folder, or its name."""
        if self.folder is None:
            return stored.file.name
        return stored.file.path.removeprefix(self.folder.path + "/")


class Shared:
    """The shares of all organizations, for those who have their links."""

    def __init__(self, database: Database, passphrases: Passphrases, clock: Clock) -> None:
        self._database = database
        self._passphrases = passphrases
        self._clock = clock

    async def find(self, token: str) -> OpenShare:
        """Return a share by what its link carries, open or locked; raises NotFound, and Gone for one that is over."""
        if not tokens.is_token(token):
            raise NotFound(NOTHING_HERE)
        return await self._database.lookup(self._find, token)

    async def unlock(self, token: str, passphrase: str, address: str) -> str:
        """Return what opens a share for a while; ``address`` is whose guess it is. Raises PassphraseRequired, RateLimited."""
        share = (await self.find(token)).share
        if share.passphrase is None:
            return ""
        return await self._passphrases.unlock(share.id, share.passphrase, passphrase, address)

    async def open(self, token: str, shown: str | None) -> OpenShare:
        """Return a share for who has shown its passphrase, if it has one; raises as ``find``, and PassphraseRequired."""
        found = await self.find(token)
        if not self._passphrases.is_unlocked(found.share.id, found.share.passphrase, shown):
            raise PassphraseRequired()
        return found

    async def page(
        self, opened: OpenShare, after: tuple[str, str] | None
    ) -> tuple[list[StoredFile], tuple[str, str] | None]:
        """Return files of a share that are ready or on their way to it, and the path and id to go on after where there are more.

        A share with a list has one page.
        """
        return await self._database.read(self._page, opened, after)

    async def every(self, opened: OpenShare) -> AsyncGenerator[StoredFile]:
        """Yield every file of a share that may be fetched, each as it is when its turn comes; raises Gone when the share ends."""
        after: tuple[str, str] | None = None
        while True:
            found, after = await self.page(opened, after)
            for listed in found:
                again = await self._database.lookup(self._again, opened, listed.file.id)
                if again is not None:
                    yield again
            if after is None:
                return

    async def refuse_many(self, opened: OpenShare) -> None:
        """Raise Conflict for a share of more files than an archive takes, and NotReady for one of which no file is ready."""
        if opened.folder is not None and await self._database.read(self._has_many, opened):
            raise Conflict(f"An archive takes {MOST_ARCHIVED} files, and here are more: download them one by one.")
        found, after = await self.page(opened, None)
        if after is None and not any(one.version.state is State.READY for one in found):
            raise NotReady("None of these files is ready; ask again.")

    async def file(self, opened: OpenShare, file_id: str) -> StoredFile:
        """Return a file of a share to be fetched; raises NotFound for one that it does not have, Gone and NotReady."""
        found = await self._database.lookup(self._file, opened, file_id)
        if found is None:
            raise NotFound("There is no such file in this share.")
        return servable(found, self._clock())

    async def downloaded(self, opened: OpenShare, file: StoredFile | None) -> None:
        """Count a whole download, of a file or of all of them (None); raises Gone where there may be no more."""

        def count(conn: Connection) -> None:
            now = self._clock()
            if not stored.count_download(conn, opened.share.id, now):
                raise Gone("This share has been downloaded as often as it may be.")
            of = {} if file is None else {"file_id": file.file.id, "version_id": str(file.version.number)}
            announcements.announce_link(conn, "share.downloaded", opened.share, now, **of)

        # Shielded: who goes away at the last byte has had all the others.
        await asyncio.shield(self._database.free(count))

    def _find(self, conn: Connection, token: str) -> OpenShare:
        now = self._clock()
        share = stored.find_by_token(conn, token)
        if share is None:
            raise NotFound(NOTHING_HERE)
        if share.expires_at is not None and share.expires_at <= now:
            raise Gone("This share has expired.")
        if share.max_downloads is not None and share.downloads >= share.max_downloads:
            raise Gone("This share has been downloaded as often as it may be.")
        key = keys.find_living(conn, share.key_id, now)
        if key is None or not policy.may_still(key, Scope.READ, share.organization_id, share.end_user):
            raise Gone("This share is no longer open.")
        if share.folder_id is None:
            return OpenShare(share, key, None)
        folder = folders.find(conn, share.organization_id, share.folder_id)
        if folder is None or not Reach(folder=key.path_prefix).has_folder(folder.path):
            raise Gone("This share is no longer open.")
        return OpenShare(share, key, folder)

    def _page(
        self, conn: Connection, opened: OpenShare, after: tuple[str, str] | None
    ) -> tuple[list[StoredFile], tuple[str, str] | None]:
        now = self._clock()
        if opened.folder is None:
            listed = stored.list_files(conn, opened.share.id, now)
            return [one for one in listed if self._is_shown(opened, one, now)], None
        prefix, reach = opened.folder.path + "/", self._reach(opened)
        found = listings.list_by_path(conn, opened.folder.workspace_id, prefix, now, after, PAGE + 1, reach=reach)
        last = found[PAGE - 1].file if len(found) > PAGE else None
        shown = [one for one in found[:PAGE] if self._is_shown(opened, one, now)]
        return shown, (last.path, last.id) if last else None

    def _has_many(self, conn: Connection, opened: OpenShare) -> bool:
        assert opened.folder is not None
        prefix, reach = opened.folder.path + "/", self._reach(opened)
        return listings.has_more(conn, opened.folder.workspace_id, prefix, self._clock(), MOST_ARCHIVED, reach)

    def _file(self, conn: Connection, opened: OpenShare, file_id: str) -> StoredFile | None:
        found = files.find(conn, file_id)
        if found is None or found.file.organization_id != opened.share.organization_id:
            return None
        if opened.folder is None and not stored.lists(conn, opened.share.id, file_id):
            return None
        if opened.folder is not None and found.file.workspace_id != opened.folder.workspace_id:
            return None
        return found if self._may(opened, found) else None

    def _again(self, conn: Connection, opened: OpenShare, file_id: str) -> StoredFile | None:
        # That of the moment: the share, its key or the file may have ended while others were sent.
        current = stored.find(conn, opened.share.id)
        if current is None or keys.find_living(conn, current.key_id, self._clock()) is None:
            raise Gone("This share is no longer open.")
        found = self._file(conn, opened, file_id)
        if found is None or not self._is_shown(opened, found, self._clock()):
            return None
        return found if found.version.state is State.READY else None

    def _is_shown(self, opened: OpenShare, found: StoredFile, now: datetime) -> bool:
        ends = (found.file.expires_at, found.version.expires_at)
        is_over = found.file.deleted_at is not None or any(end is not None and end <= now for end in ends)
        return not is_over and found.version.state in _SHOWN and self._may(opened, found)

    def _may(self, opened: OpenShare, found: StoredFile) -> bool:
        return self._reach(opened).has(found.file) and policy.may(opened.key, Scope.READ, found.file)

    def _reach(self, opened: OpenShare) -> Reach:
        share, folder = opened.share, opened.folder
        organization_id = None if share.end_user is None else share.organization_id
        return Reach(share.end_user, None if folder is None else folder.path, organization_id)
