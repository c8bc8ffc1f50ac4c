"""Shares: files that people are sent a link to. Making, listing, changing and ending them; visitors are served by ``shared``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection

from fileferry.db import folders
from fileferry.db import shares as stored
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy, tokens
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import announcements
from fileferry.engine.files.catalogue import find_living
from fileferry.errors import Conflict, FerryError, Forbidden, InvalidParameter, NotFound
from fileferry.model import Clock, Page, Principal, Scope, Share, clean_path, new_id

MOST_FILES = 1000
"""How many files the list of a share may have."""
_MOST_DOWNLOADS = 1_000_000
_MOST = 100_000


class NewShare(msgspec.Struct, frozen=True, kw_only=True):
    """What to make a share of: files by their ids, or all that is below a folder of a workspace, now and later."""

    file_ids: Sequence[str] = ()
    folder: str | None = None
    workspace: str | None = None
    name: str | None = None
    message: str = ""
    passphrase: str | None = None
    expires_in: timedelta | None = None
    expires_at: datetime | None = None
    max_downloads: int | None = None


class ShareChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a share; None lifts a bound."""

    file_ids: Sequence[str] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    passphrase: str | UnsetType | None = UNSET
    expires_in: timedelta | None = None
    expires_at: datetime | UnsetType | None = UNSET
    max_downloads: int | UnsetType | None = UNSET


class Shown(msgspec.Struct, frozen=True):
    """A share as who made it sees it: the path of its folder, or the ids of its list."""

    share: Share
    folder: str | None
    file_ids: list[str]


class Shares:
    """The shares of all organizations."""

    def __init__(self, database: Database, passphrases: Passphrases, clock: Clock) -> None:
        self._database = database
        self._passphrases = passphrases
        self._clock = clock

    async def create(self, principal: Principal, new: NewShare) -> Shown:
        """Share files, or a folder, that the principal may read; what visitors get is what its key may read then.

        Raises Forbidden, NotFound for a file or folder, InvalidParameter, InvalidExpiry and Conflict.
        """
        policy.authorize(principal, Scope.READ)
        _refuse_unusable(new)
        passphrase = None if new.passphrase is None else await self._passphrases.digest(new.passphrase)
        return await self._database.grow(self._create, principal, new, passphrase)

    async def list(self, principal: Principal, before: str | None, limit: int) -> Page[Shown]:
        """Return a page of the shares that the principal sees, newest first."""
        policy.authorize(principal, Scope.READ)
        key_id = None if policy.administers(principal) else principal.key.id
        asked = (principal.organization.id, key_id, principal.end_user, before, limit + 1)

        def read(conn: Connection) -> list[Shown]:
            return [_shown(conn, share) for share in stored.list_shares(conn, *asked)]

        found = await self._database.read(read)
        return Page(found[:limit], found[limit - 1].share.id if len(found) > limit else None)

    async def get(self, principal: Principal, share_id: str) -> Shown:
        """Return a share that the principal sees; raises NotFound."""
        policy.authorize(principal, Scope.READ)
        return await self._database.read(lambda conn: _shown(conn, _find(conn, principal, share_id)))

    async def change(self, principal: Principal, share_id: str, changes: ShareChanges) -> Shown:
        """Change a share: for everyone, from now on. Raises as ``create``."""
        policy.authorize(principal, Scope.READ)
        passphrase = changes.passphrase
        if isinstance(passphrase, str):
            passphrase = await self._passphrases.digest(passphrase)

        def store(conn: Connection) -> Shown:
            share, now = _find(conn, principal, share_id), self._clock()
            values = _changed(changes, now)
            if passphrase is not UNSET:
                values["passphrase"] = passphrase
            if changes.file_ids is not UNSET:
                if share.folder_id is not None:
                    raise Conflict("This share is of a folder, and has no list of files.")
                stored.put_files(conn, share.id, _readable(conn, principal, changes.file_ids, now))
            if values:
                stored.update_share(conn, share.id, **values)
            changed = _find(conn, principal, share_id)
            announcements.announce_link(conn, "share.changed", changed, now)
            return _shown(conn, changed)

        return await self._database.grow(store)

    async def delete(self, principal: Principal, share_id: str) -> None:
        """End a share: its link leads nowhere from now on. Raises NotFound."""
        policy.authorize(principal, Scope.READ)

        def remove(conn: Connection) -> None:
            share = _find(conn, principal, share_id)
            stored.delete_shares(conn, [share.id])
            announcements.announce_link(conn, "share.deleted", share, self._clock())

        await self._database.free(remove)

    def _create(self, conn: Connection, principal: Principal, new: NewShare, passphrase: str | None) -> Shown:
        now = self._clock()
        if stored.count(conn, principal.organization.id) >= _MOST:
            raise Conflict(f"An organization may have at most {_MOST} shares; delete some.")
        workspace_id = folder_id = None
        file_ids: Sequence[str] = ()
        name = new.name
        if new.folder is not None:
            workspace_id = find_workspace(conn, principal.organization.id, new.workspace).id
            path = clean_path(new.folder.rstrip("/"))
            folder = folders.find_by_path(conn, workspace_id, path)
            if folder is None or not policy.reach(principal).has_folder(path):
                raise NotFound("There is no folder at this path, or this key may not see it.")
            folder_id = folder.id
            name = name or path.rpartition("/")[2]
        else:
            file_ids = _readable(conn, principal, new.file_ids, now)
            name = name or _name_of(conn, principal, file_ids, now)
        share = Share(
            id=new_id(now),
            token=tokens.new_token(),
            organization_id=principal.organization.id,
            workspace_id=workspace_id,
            folder_id=folder_id,
            key_id=principal.key.id,
            user_id=principal.user_id,
            end_user=principal.end_user,
            name=tokens.title(name, "name"),
            message=tokens.message(new.message),
            passphrase=passphrase,
            expires_at=limits.asked_end(now, new.expires_in, new.expires_at),
            max_downloads=_bounded(new.max_downloads),
            downloads=0,
            last_downloaded_at=None,
            created_at=now,
        )
        stored.insert_share(conn, share, file_ids)
        announcements.announce_link(conn, "share.created", share, now)
        return _shown(conn, share)


def _readable(conn: Connection, principal: Principal, file_ids: Sequence[str], now: datetime) -> list[str]:
    """Return the ids of files without those that come again; raises NotFound, which names what the principal may not read."""
    wanted = list(dict.fromkeys(file_ids))
    if not 1 <= len(wanted) <= MOST_FILES:
        raise InvalidParameter(f"A share has 1 to {MOST_FILES} files.", parameter="file_ids")
    missing = []
    for file_id in wanted:
        try:
            find_living(conn, principal, file_id, Scope.READ, now)
        except Forbidden:
            raise
        except FerryError:
            missing.append(file_id)
    if missing:
        raise NotFound("There are no files with some of these ids, or this key may not see them.", ids=missing)
    return wanted


def _name_of(conn: Connection, principal: Principal, file_ids: Sequence[str], now: datetime) -> str:
    if len(file_ids) > 1:
        return f"{len(file_ids)} files"
    return find_living(conn, principal, file_ids[0], Scope.READ, now).file.name


def _refuse_unusable(new: NewShare) -> None:
    if (new.folder is None) == (not new.file_ids):
        raise InvalidParameter("Give either file_ids, or the folder that is to be shared.", parameter="file_ids")
    if new.workspace is not None and new.folder is None:
        raise InvalidParameter("A workspace is named with a folder: files have ids.", parameter="workspace")


def _changed(changes: ShareChanges, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {}
    if changes.name is not UNSET:
        values["name"] = tokens.title(changes.name, "name")
    if changes.message is not UNSET:
        values["message"] = tokens.message(changes.message)
    if changes.max_downloads is not UNSET:
        values["max_downloads"] = _bounded(changes.max_downloads)
    if changes.expires_in is not None or changes.expires_at is not UNSET:
        expires_at = None if changes.expires_at is UNSET else changes.expires_at
        values["expires_at"] = limits.asked_end(now, changes.expires_in, expires_at)
    return values


def _bounded(downloads: int | None) -> int | None:
    if downloads is not None and not 1 <= downloads <= _MOST_DOWNLOADS:
        raise InvalidParameter(f"max_downloads must be 1 to {_MOST_DOWNLOADS}.", parameter="max_downloads")
    return downloads


def _find(conn: Connection, principal: Principal, share_id: str) -> Share:
    share = stored.find(conn, share_id)
    if share is None or not policy.sees_link(principal, share):
        raise NotFound("There is no share with this id, or this key may not see it.")
    return share


def _shown(conn: Connection, share: Share) -> Shown:
    if share.folder_id is None:
        return Shown(share, None, stored.list_file_ids(conn, share.id))
    folder = folders.find(conn, share.organization_id, share.folder_id)
    return Shown(share, "" if folder is None else folder.path, [])
