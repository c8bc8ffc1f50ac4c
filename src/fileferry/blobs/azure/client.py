"""Authorized requests to one container of Azure Blob Storage. It knows no verb of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import httpcore

from fileferry.blobs.azure.location import Location
from fileferry.blobs.azure.signing import Credentials, query_string, shared_access, signed
from fileferry.blobs.objects import requests
from fileferry.blobs.objects.requests import Answer, Pause, Refusals, Sender, Streamed
from fileferry.errors import FerryError
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


class Client:
    """Sends requests for one container. ``clock`` is that of signatures; ``pause`` waits between attempts, in seconds."""

    def __init__(
        self, location: Location, credentials: Credentials, clock: Clock = utc_now, pause: Pause = asyncio.sleep
    ) -> None:
        self._location = location
        self._credentials = credentials
        self._clock = clock
        self.pause = pause
        store = f"The container {location.container} of {location.account} at {location.origin}"
        # No word for a full account is documented: where there is one it is refused for another reason, in so many words.
        self._refusals = Refusals(store, _MEANINGS, frozenset(), absent="ContainerNotFound")
        self._sender = Sender(location.scheme, self._refusals, pause)

    async def ask(
        self,
        method: str,
        name: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send a request for ``name`` below the prefix, or for the container; return a success, or an answer to be accepted.

        A body goes with its MD5, which the store verifies. Raises Unavailable with the reason for any other answer, and where
        none came; InsufficientStorage where the store is full.
        """
        sums = await requests.off_the_loop(self._sums, body)

        async def attempt() -> tuple[Answer, Answer]:
            answer = await requests.read(await self._send(method, name, query, {**(headers or {}), **sums}, body))
            return answer, answer

        return await self._sender.repeated(attempt, accept)

    async def once(
        self,
        method: str,
        name: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request once, with ``headers`` in place of our own, and return whatever is answered; raises one of ``BROKEN``."""
        told = {"content-length": str(len(body))} if method == "PUT" else {}
        told |= {**self._sums(body), **(headers or {})}
        return await requests.read(await self._send(method, name, query, told, body))

    async def properties(self) -> Answer:
        """Ask once for the properties of the account's blob service; raises one of ``BROKEN``."""
        path = self._location.root.removesuffix(f"{self._location.container}/")
        query = (("restype", "service"), ("comp", "properties"))
        return await requests.read(await self._send_to(path, "GET", query, {}, b""))

    async def stream(self, name: str, headers: Mapping[str, str], *, accept: Collection[int] = ()) -> Streamed:
        """Get a blob whose body is read later; raises as ``ask`` does."""

        async def attempt() -> tuple[Streamed, Answer]:
            return await requests.streamed(await self._send("GET", name, (), headers, b""))

        return await self._sender.repeated(attempt, accept)

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
        where = self._location
        here = f"{where.origin}{where.root.removesuffix(f'/{where.container}/')}"
        origin = here if from_here or where.public is None else where.public
        protocol = "https" if origin.startswith("https:") else "https,http"
        blob = f"{where.container}/{where.prefix}{name}"
        ends = self._clock() + lifetime
        written = shared_access(self._credentials, blob, permissions, protocol, ends, presented or {})
        return f"{origin}/{blob}?{'&'.join(filter(None, (query_string(query), written)))}"

    async def send_as_told(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request of whoever has a signed URL, once, and return whatever is answered; raises one of ``BROKEN``."""
        return await self._sender.send_as_told(method, url, headers, body)

    @property
    def location(self) -> Location:
        """Where the container is."""
        return self._location

    @property
    def can_sign(self) -> bool:
        """Whether there is a key, by which URLs can be signed."""
        return self._credentials.key is not None

    @property
    def clock(self) -> Clock:
        """The clock of signatures."""
        return self._clock

    async def close(self) -> None:
        """Close every connection."""
        await self._sender.close()

    def refused(self, answer: Answer) -> FerryError:
        """Return what to tell of an answer that says no, where no other is to be expected."""
        return self._refusals.error_of(answer)

    async def _send(
        self,
        method: str,
        name: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        where = self._location
        path = where.root.rstrip("/") if name is None else f"{where.root}{where.prefix}{name}"
        return await self._send_to(path, method, query, headers, body)

    async def _send_to(
        self, path: str, method: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> httpcore.Response:
        origin = self._location.origin
        told = signed(self._credentials, method, path, query, headers, self._clock())
        written = "&".join(filter(None, (query_string(query), self._credentials.sas)))
        url = f"{origin}{path}{written and f'?{written}'}"
        return await self._sender.send(method, url, {"host": urlsplit(origin).netloc, **told}, body)

    def _sums(self, body: bytes) -> dict[str, str]:
        """Return the header that tells of a body."""
        return {"content-md5": requests.md5_of(body)} if body else {}
