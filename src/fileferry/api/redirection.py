"""Sending who fetches a file on to the store that has it, by a URL that is good for minutes (``FILEFERRY_REDIRECT``).

Only by links, which hold their permission themselves: who shows a key would show it to the store too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from fileferry.api.answers import Answer
from fileferry.blobs.direct import Presentation
from fileferry.engine.engine import Engine
from fileferry.errors import Unavailable
from fileferry.model import StoredFile
from fileferry.telemetry import Message, Receive, Send
from fileferry.web import azure
from fileferry.web.requests import AnyRequest

_LIFETIME = timedelta(minutes=5)  # a redirect is followed at once, and what was begun goes on
_LEAST = timedelta(seconds=2)
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
_NO = ("0", "false", "")


def is_possible(request: AnyRequest, engine: Engine, stored: StoredFile) -> bool:
    """Whether a request may be sent on: its link does not refuse, and nothing but the bytes as they are is asked for or counted."""
    version = stored.version
    if engine.store.direct_downloads is None or request.method != "GET" or azure.is_spoken(request):
        return False
    asked = request.query_params.get("redirect")
    if asked in _NO:
        return False
    if version.blob_key is None or version.extents is not None or version.fetches_left is not None:
        return False
    return not any(name in request.headers for name in _CREDENTIALS) and _lifetime(request, engine, stored) >= _LEAST


def _lifetime(request: AnyRequest, engine: Engine, stored: StoredFile) -> timedelta:
    """Return how long the store's URL is to be good: no longer than the file, and than the link."""
    ends = [stored.file.expires_at, stored.version.expires_at]
    if until := request.query_params.get("se"):
        ends.append(datetime.fromisoformat(until))  # of a link that was verified
    now = engine.clock()
    return min([_LIFETIME, *(end - now for end in ends if end is not None)])


class Redirected(Answer):
    """An answer that names the store's URL. ``otherwise`` answers where the file's organization, or else the server, wants nobody
    to be sent there and the link says nothing, and where the store has no object of just these bytes or is away.
    """

    def __init__(
        self,
        request: AnyRequest,
        engine: Engine,
        stored: StoredFile,
        headers: dict[str, str],
        on_sent: Callable[[], None],
        otherwise: Answer,
    ) -> None:
        kept = ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Referrer-Policy", "Vary")
        told = {name: headers[name] for name in kept if name in headers}
        super().__init__(307, {**told, "Cache-Control": "no-store", "Content-Length": "0"}, None, on_sent)
        self._engine = engine
        self._stored = stored
        self._is_asked_for = "redirect" in request.query_params
        self._presented = Presentation(
            headers["Content-Type"], headers["Content-Disposition"], headers.get("Cache-Control", "no-store")
        )
        self._lifetime = _lifetime(request, engine, stored)
        self._otherwise = otherwise

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send the address."""
        url = await self._url()
        if url is None:
            await self._otherwise(scope, receive, send)
            return
        self._headers = {**self._headers, "Location": url}
        await super().__call__(scope, receive, send)

    async def _url(self) -> str | None:
        downloads, version = self._engine.store.direct_downloads, self._stored.version
        if downloads is None or version.blob_key is None:
            return None
        file, by_default = self._stored.file, self._engine.settings.redirect
        if not self._is_asked_for and not await self._engine.organizations.sends_on(file.organization_id, by_default):
            return None
        try:
            return await downloads.url(version.blob_key, version.size, self._presented, self._lifetime)
        except Unavailable:
            return None
