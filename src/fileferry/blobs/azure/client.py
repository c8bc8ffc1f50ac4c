"""Authorized requests to one container of Azure Blob Storage. It knows no verb of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import httpcore

from fileferry.blobs.azure.location import Location
from fileferry.blobs.azure.signing import Credentials, query_string, shared_access, signed
from fileferry.blobs.objects import client as objects
from fileferry.blobs.objects.requests import Answer, Pause, Refusals, md5_of, read
from fileferry.model import Clock, utc_now

_MEANINGS = {
    "AuthenticationFailed": "the account key or SAS token is not good, or the clocks of this machine and of the store differ",
    "AuthorizationFailure": "the account key or SAS token is not good or may not do this, or the account's network rules forbid it",
    "AuthorizationPermissionMismatch": "the SAS token does not permit this",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: give a SAS token",
    "AccountIsDisabled": "the account is disabled",
    "ContainerNotFound": "there is no such container",
    "ContainerBeingDeleted": "the container is being deleted",
    "403": "the account key or SAS token may not do this",
}


class Client(objects.Client):
    """Sends requests for one container."""

    def __init__(
        self, location: Location, credentials: Credentials, clock: Clock = utc_now, pause: Pause = asyncio.sleep
    ) -> None:
        store = f"The container {location.container} of {location.account} at {location.origin}"
        # No word for a full account is documented: where there is one it is refused for another reason, in so many words.
        refusals = Refusals(store, _MEANINGS, frozenset(), absent="ContainerNotFound")
        super().__init__(location.scheme, refusals, clock, pause)
        self.location = location
        self._credentials = credentials

    async def properties(self) -> Answer:
        """Ask once for the properties of the account's blob service; raises one of ``BROKEN``."""
        path = self.location.root.removesuffix(f"{self.location.container}/")
        query = (("restype", "service"), ("comp", "properties"))
        return await read(await self._send_to(path, "GET", query, {}, b""))

    def shared(
        self,
        permissions: str,
        name: str,
        lifetime: timedelta,
        query: Sequence[tuple[str, str]] = (),
        presented: Mapping[str, str] | None = None,
        *,
        from_here: bool = False,
    ) -> str:
        """Return a URL of ``name`` with ``query`` by which anyone may do what ``permissions`` say until ``lifetime`` is over.

        It is of the address that clients reach the account by, or ``from_here`` of the one that this server does. Needs a key.
        """
        where = self.location
        here = f"{where.origin}{where.root.removesuffix(f'/{where.container}/')}"
        origin = here if from_here or where.public is None else where.public
        protocol = "https" if origin.startswith("https:") else "https,http"
        blob = f"{where.container}/{where.prefix}{name}"
        ends = self.clock() + lifetime
        written = shared_access(self._credentials, blob, permissions, protocol, ends, presented or {})
        return f"{origin}/{blob}?{'&'.join(filter(None, (query_string(query), written)))}"

    @property
    def can_sign(self) -> bool:
        """Whether there is a key, by which URLs can be signed."""
        return self._credentials.key is not None

    async def _send(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        where = self.location
        path = where.root.rstrip("/") if key is None else f"{where.root}{where.prefix}{key}"
        return await self._send_to(path, method, query, headers, body)

    async def _send_to(
        self, path: str, method: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> httpcore.Response:
        origin = self.location.origin
        told = signed(self._credentials, method, path, query, headers, self.clock())
        written = "&".join(filter(None, (query_string(query), self._credentials.sas)))
        url = f"{origin}{path}{written and f'?{written}'}"
        return await self._sender.send(method, url, {"host": urlsplit(origin).netloc, **told}, body)

    def _sums(self, body: bytes) -> dict[str, str]:
        return {"content-md5": md5_of(body)} if body else {}
