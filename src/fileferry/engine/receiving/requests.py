"""Requests for files: links by which people without a key upload into a folder. Making, listing, changing and ending them.

What their visitors do is in ``visits``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection

from fileferry.db import requests as stored
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy, tokens
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import announcements
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import Clock, FileRequest, Page, Principal, Scope, SentFile, State, clean_name, clean_path, new_id

_MOST_FILES = 100_000
_LARGEST = 2**62
_MOST = 100_000


class NewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask people for. Files come into ``folder`` of a workspace, by default one with the title's name.

    ``max_size`` (bytes) and ``types`` (media types) are those of one file, within the limits of the key.
    """

    title: str
    message: str = ""
    folder: str | None = None
    workspace: str | None = None
    max_size: int | None = None
    max_files: int | None = None
    types: Sequence[str] | None = None
    passphrase: str | None = None
    expires_in: timedelta | None = None
    expires_at: datetime | None = None


class RequestChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a request; None lifts a bound."""

    title: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    max_size: int | UnsetType | None = UNSET
    max_files: int | UnsetType | None = UNSET
    types: Sequence[str] | UnsetType | None = UNSET
    passphrase: str | UnsetType | None = UNSET
    expires_in: timedelta | None = None
    expires_at: datetime | UnsetType | None = UNSET


class Arrival(msgspec.Struct, frozen=True):
    """A file that has come for a request. ``state`` is None for one that is no more, ``reason`` is why it was rejected."""

    sent: SentFile
    state: State | None
    reason: str | None
    size: int | None


class Requests:
    """The requests for files of all organizations."""

    def __init__(self, database: Database, passphrases: Passphrases, clock: Clock) -> None:
        self._database = database
        self._passphrases = passphrases
        self._clock = clock

    async def create(self, principal: Principal, new: NewRequest) -> FileRequest:
        """Ask for files; they are taken by the rights of the principal's key, as those are when they come.

        Raises Forbidden, NotFound for a workspace, InvalidName, InvalidParameter, InvalidExpiry and Conflict.
        """
        policy.authorize(principal, Scope.UPLOAD)
        title = tokens.title(new.title, "title")
        folder = clean_path(new.folder.rstrip("/")) if new.folder is not None else _own_folder(principal, title)
        policy.authorize_path(principal, f"{folder}/file")
        passphrase = None if new.passphrase is None else await self._passphrases.digest(new.passphrase)

        def store(conn: Connection) -> FileRequest:
            now = self._clock()
            if stored.count(conn, principal.organization.id) >= _MOST:
                raise Conflict(f"An organization may have at most {_MOST} requests; delete some.")
            request = FileRequest(
                id=new_id(now),
                token=tokens.new_token(),
                organization_id=principal.organization.id,
                workspace_id=find_workspace(conn, principal.organization.id, new.workspace).id,
                key_id=principal.key.id,
                user_id=principal.user_id,
                end_user=principal.end_user,
                title=title,
                message=tokens.message(new.message),
                folder=folder,
                max_size=_bounded("max_size", new.max_size, _LARGEST),
                max_files=_bounded("max_files", new.max_files, _MOST_FILES),
                types=_types(new.types),
                passphrase=passphrase,
                expires_at=limits.asked_end(now, new.expires_in, new.expires_at),
                received=0,
                received_bytes=0,
                last_received_at=None,
                created_at=now,
            )
            stored.insert_request(conn, request)
            announcements.announce_link(conn, "request.created", request, now)
            return request

        return await self._database.grow(store)

    async def list(self, principal: Principal, before: str | None, limit: int) -> Page[FileRequest]:
        """Return a page of the requests that the principal sees, newest first."""
        policy.authorize(principal, Scope.UPLOAD)
        key_id = None if policy.administers(principal) else principal.key.id
        asked = (principal.organization.id, key_id, principal.end_user, before, limit + 1)
        found = await self._database.read(stored.list_requests, *asked)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def get(self, principal: Principal, request_id: str) -> FileRequest:
        """Return a request that the principal sees; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        return await self._database.read(_find, principal, request_id)

    async def arrivals(self, principal: Principal, request_id: str, after: str, limit: int) -> Page[Arrival]:
        """Return a page of what has come for a request, the first sent first; raises NotFound."""
        request = await self.get(principal, request_id)
        found = await self._database.read(list_arrivals, request.id, None, after, limit + 1)
        return Page(found[:limit], found[limit - 1].sent.upload_id if len(found) > limit else None)

    async def change(self, principal: Principal, request_id: str, changes: RequestChanges) -> FileRequest:
        """Change a request: for everyone, from now on. Raises as ``create``."""
        policy.authorize(principal, Scope.UPLOAD)
        passphrase = changes.passphrase
        if isinstance(passphrase, str):
            passphrase = await self._passphrases.digest(passphrase)

        def store(conn: Connection) -> FileRequest:
            request, now = _find(conn, principal, request_id), self._clock()
            values = _changed(changes, now)
            if passphrase is not UNSET:
                values["passphrase"] = passphrase
            if values:
                stored.update_request(conn, request.id, **values)
            changed = _find(conn, principal, request_id)
            announcements.announce_link(conn, "request.changed", changed, now)
            return changed

        return await self._database.grow(store)

    async def delete(self, principal: Principal, request_id: str) -> None:
        """End a request and what is under way for it; what has come stays. Raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)

        def remove(conn: Connection) -> None:
            request = _find(conn, principal, request_id)
            stored.delete_requests(conn, [request.id])
            announcements.announce_link(conn, "request.deleted", request, self._clock())

        await self._database.free(remove)


def list_arrivals(conn: Connection, request_id: str, visitor: str | None, after: str, limit: int) -> list[Arrival]:
    """Return what has come for a request past the upload ``after``: of one visitor, or of all (None)."""
    return [Arrival(*row) for row in stored.list_arrived(conn, request_id, visitor, after, limit)]


def _own_folder(principal: Principal, title: str) -> str:
    """Return the folder of a request that names none: with its title's name, where the key may upload to."""
    name = clean_name(title.replace("/", "-").replace("\\", "-"))
    above = principal.key.path_prefix
    return clean_path(name if above is None else f"{above}/{name}")


def _find(conn: Connection, principal: Principal, request_id: str) -> FileRequest:
    request = stored.find(conn, request_id)
    if request is None or not policy.sees_link(principal, request):
        raise NotFound("There is no request with this id, or this key may not see it.")
    return request


def _changed(changes: RequestChanges, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {}
    if changes.title is not UNSET:
        values["title"] = tokens.title(changes.title, "title")
    if changes.message is not UNSET:
        values["message"] = tokens.message(changes.message)
    if changes.max_size is not UNSET:
        values["max_size"] = _bounded("max_size", changes.max_size, _LARGEST)
    if changes.max_files is not UNSET:
        values["max_files"] = _bounded("max_files", changes.max_files, _MOST_FILES)
    if changes.types is not UNSET:
        values["types"] = _types(changes.types)
    if changes.expires_in is not None or changes.expires_at is not UNSET:
        expires_at = None if changes.expires_at is UNSET else changes.expires_at
        values["expires_at"] = limits.asked_end(now, changes.expires_in, expires_at)
    return values


def _bounded(name: str, value: int | None, largest: int) -> int | None:
    if value is not None and not 1 <= value <= largest:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {largest}.", parameter=name)
    return value


def _types(types: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if types is None else limits.media_types(types, "types")
