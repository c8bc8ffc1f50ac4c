"""Authorized requests to one bucket of Google Cloud Storage by its JSON API, and signed URLs. It knows no verb of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit

import httpcore
import msgspec

from fileferry.blobs.google.credentials import Credentials, TokenRefused
from fileferry.blobs.google.location import Location
from fileferry.blobs.google.signing import presigned
from fileferry.blobs.objects import client as objects
from fileferry.blobs.objects.requests import Answer, Pause, Refusals, read
from fileferry.model import Clock, utc_now

_MEANINGS = {
    "401": "its credentials are not good, or the clock of this machine is wrong",
    "403": "the account may not do this: it needs the role Storage Object Admin on the bucket",
    "404": "there is no such bucket",
    "accountDisabled": "the billing account of the bucket's project is disabled",
    "userProjectMissing": "the bucket wants whoever asks to pay",
}


class Client(objects.Client):
    """Sends requests for one bucket."""

    def __init__(
        self, location: Location, credentials: Credentials, clock: Clock = utc_now, pause: Pause = asyncio.sleep
    ) -> None:
        store = f"The bucket {location.bucket} at {location.origin}"
        # No word for a full bucket is documented: there is no end to one.
        refusals = Refusals(store, _MEANINGS, frozenset(), absent="The specified bucket does not exist")
        super().__init__(location.scheme, refusals, clock, pause)
        self.location = location
        self._credentials = credentials

    async def about(self, fields: str) -> Answer:
        """Ask once for what the bucket is set to; raises one of ``BROKEN``."""
        url = f"{self._place}?{urlencode({'fields': fields})}"
        return await read(await self._authorized("GET", url, {}, b""))

    @property
    def can_sign(self) -> bool:
        """Whether there is a key, by which URLs can be signed."""
        return self._credentials.account is not None

    def presigned(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        lifetime: timedelta,
        *,
        from_here: bool = False,
    ) -> str:
        """Return a URL by which anyone may send one request about ``key`` with these headers, until ``lifetime`` is over.

        It is of the XML API, at the address that clients reach the bucket by, or ``from_here`` at the one that this server does.
        Needs a key.
        """
        where = self.location
        origin = where.origin if from_here or where.public is None else where.public
        path = f"/{where.bucket}/{where.prefix}{key}"
        told = {**headers, "host": urlsplit(origin).netloc}
        return f"{origin}{path}?{presigned(self._credentials, method, path, query, told, lifetime, self.clock())}"

    def for_clients(self, url: str) -> str:
        """Return an address that the store has told, as clients reach it."""
        parts, where = urlsplit(url), self.location
        return f"{where.public or where.origin}{parts.path}?{parts.query}"

    @property
    def _place(self) -> str:
        return f"{self.location.origin}/storage/v1/b/{self.location.bucket}"

    async def _send(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        told = {**headers}
        if method == "GET" and key is not None and not query:
            query = [("alt", "media")]
            # As they are stored, should anybody have said that they are coded.
            told["accept-encoding"] = "gzip"
        return await self._authorized(method, self._url(method, key, query), told, body)

    def _url(self, method: str, key: str | None, query: Sequence[tuple[str, str]]) -> str:
        """Return where a request goes; a POST uploads or composes."""
        if method == "POST" and "uploadType" in dict(query):
            return f"{self.location.origin}/upload{self._place.removeprefix(self.location.origin)}/o?{urlencode(query)}"
        name = "" if key is None else f"/{quote(self.location.prefix + key, safe='-_.~')}"
        if method == "POST":
            name += "/compose"
        written = urlencode(query)
        return f"{self._place}/o{name}{written and f'?{written}'}"

    async def _authorized(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> httpcore.Response:
        told = {"host": urlsplit(url).netloc, **headers}
        try:
            permit = await self._credentials.authorization()
            response = await self._sender.send(method, url, {**told, **permit}, body)
            if response.status != 401 or not permit:
                return response
            # A token may end before its time: one that is new decides.
            await response.aclose()
            permit = await self._credentials.authorization(refused=permit["authorization"])
            return await self._sender.send(method, url, {**told, **permit}, body)
        except TokenRefused as error:
            said = {"error": {"code": 401, "errors": [{"reason": str(error)}]}}
            return httpcore.Response(401, content=msgspec.json.encode(said))

    def _sums(self, body: bytes) -> dict[str, str]:
        return {}  # the digest of what is stored is in the description that goes with it
