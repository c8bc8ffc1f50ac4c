"""What people without a key do at the link of a request: see what is asked for, send files, and see which of theirs have come."""

from __future__ import annotations

import hashlib

import msgspec
from sqlalchemy import Connection

from fileferry.db import keys, organizations, workspaces
from fileferry.db import requests as stored
from fileferry.db.database import Database
from fileferry.engine.access import limits, policy, tokens
from fileferry.engine.access.links import NOTHING_HERE
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.access.rates import Rates
from fileferry.engine.files import announcements, paths
from fileferry.engine.receiving.promises import Promise, insert_promised
from fileferry.engine.receiving.requests import Arrival, list_arrivals
from fileferry.errors import Conflict, Gone, NotFound, PassphraseRequired
from fileferry.model import Clock, FileRequest, Limits, Principal, Scope, SentFile, Upload, clean_name
from fileferry.settings import Settings

MOST_SHOWN = 1000
"""How many of their files a visitor is shown."""


class OpenRequest(msgspec.Struct, frozen=True):
    """A request whose link leads somewhere, for whom its files are taken, and what of one file is allowed now."""

    request: FileRequest
    principal: Principal
    allowed: Limits


class Visits:
    """The requests of all organizations, for those who have their links."""

    def __init__(
        self, database: Database, passphrases: Passphrases, rates: Rates, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._passphrases = passphrases
        self._rates = rates
        self._settings = settings
        self._clock = clock

    async def find(self, token: str) -> OpenRequest:
        """Return a request by what its link carries, open or locked; raises NotFound, and Gone for one that is over."""
        if not tokens.is_token(token):
            raise NotFound(NOTHING_HERE)
        return await self._database.lookup(self._find, token)

    async def unlock(self, token: str, passphrase: str, address: str) -> str:
        """Return what opens a request for a while; ``address`` is whose guess it is. Raises PassphraseRequired, RateLimited."""
        request = (await self.find(token)).request
        if request.passphrase is None:
            return ""
        return await self._passphrases.unlock(request.id, request.passphrase, passphrase, address)

    async def open(self, token: str, shown: str | None) -> OpenRequest:
        """Return a request for who has shown its passphrase, if it has one; raises as ``find``, and PassphraseRequired."""
        found = await self.find(token)
        if not self._passphrases.is_unlocked(found.request.id, found.request.passphrase, shown):
            raise PassphraseRequired()
        return found

    async def promise(
        self, opened: OpenRequest, name: str, visitor: str | None, *, size: int | None, content_type: str | None
    ) -> Upload:
        """Open the upload of a file that somebody sends, at a path of its own: nothing that is there is touched.

        ``visitor`` is what they are known by, if anything. It is a version once all its bytes are there. Raises as
        ``Tickets.open``, and Conflict where no more files are taken.
        """
        await self._rates.spend_tickets(opened.principal, 1)
        name = clean_name(name)
        return await self._database.grow(self._promise, opened, name, visitor, size, content_type)

    async def arrivals(self, opened: OpenRequest, visitor: str | None) -> list[Arrival]:
        """Return what has come of a visitor, who sees nothing of others."""
        if visitor is None:
            return []
        asked = (opened.request.id, _digest(visitor), "", MOST_SHOWN)
        return await self._database.read(list_arrivals, *asked)

    async def finish(self, opened: OpenRequest, visitor: str | None) -> None:
        """Tell that a visitor has sent everything; who has sent nothing since then tells nothing."""
        if visitor is None:
            return

        def close(conn: Connection) -> None:
            now = self._clock()
            files = stored.close(conn, opened.request.id, _digest(visitor), now)
            if files:
                announcements.announce_link(conn, "request.finished", opened.request, now, files=files)

        await self._database.grow(close)

    def _find(self, conn: Connection, token: str) -> OpenRequest:
        now = self._clock()
        request = stored.find_by_token(conn, token)
        if request is None:
            raise NotFound(NOTHING_HERE)
        if request.expires_at is not None and request.expires_at <= now:
            raise Gone("This request is over: files are no longer taken.")
        key = keys.find_living(conn, request.key_id, now)
        organization = organizations.find_organization(conn, request.organization_id)
        if key is None or organization is None:
            raise Gone("This request is no longer open.")
        if not policy.may_still(key, Scope.UPLOAD, request.organization_id, request.end_user):
            raise Gone("This request is no longer open.")
        principal = Principal(limits.sender(key, request), organization, request.end_user)
        if not policy.reach(principal).has_path(f"{request.folder}/file"):
            raise Gone("This request is no longer open.")
        workspace = workspaces.find_by_id(conn, request.workspace_id)
        return OpenRequest(request, principal, limits.in_force(self._settings, principal, workspace))

    def _promise(
        self,
        conn: Connection,
        opened: OpenRequest,
        name: str,
        visitor: str | None,
        size: int | None,
        content_type: str | None,
    ) -> Upload:
        under_way = stored.count_under_way(conn, opened.request.id)
        # As it stands now, no longer as it was when the request of HTTP began.
        request = self._find(conn, opened.request.token).request
        if request.max_files is not None and request.received + under_way >= request.max_files:
            raise Conflict(f"This request takes {request.max_files} files, and has them or waits for them.")
        now = self._clock()
        path = paths.beside(
            f"{request.folder}/{name}",
            lambda tried: paths.find_owner(conn, request.workspace_id, tried, now) is None,
        )
        promise = Promise(
            path=path,
            at_path=True,
            workspace=request.workspace_id,
            content_type=content_type,
            size=size,
            auto_complete=True,
            request_id=request.id,
        )
        (upload,) = insert_promised(conn, opened.principal, [promise], self._settings, now)
        sent = SentFile(
            request_id=request.id,
            upload_id=upload.id,
            file_id=upload.file_id,
            name=name,
            visitor=None if visitor is None else _digest(visitor),
            arrived_at=None,
            closed_at=None,
        )
        stored.insert_sent(conn, sent)
        return upload


def _digest(visitor: str) -> str:
    return hashlib.sha256(visitor.encode()).hexdigest()
