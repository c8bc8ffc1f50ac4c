"""Signed requests to an S3 store. It knows no verb of S3."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import httpcore

from fileferry.blobs.objects import requests
from fileferry.blobs.objects.requests import Answer, Pause, Refusals, Sender, Streamed
from fileferry.blobs.s3.location import Location
from fileferry.blobs.s3.signing import EMPTY, UNSIGNED, Credentials, presigned, query_string, signed
from fileferry.errors import FerryError
from fileferry.model import Clock, utc_now

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_MEANINGS = {
    "RequestTimeTooSkewed": "the clocks of this machine and of the store are too far apart",
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not good",
    "AccessDenied": "the access key may not do this",
    "403": "the access key may not do this",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: say which by region=NAME",
    "AuthorizationHeaderMalformed": "the bucket is in another region: say which by region=NAME",
}


class Client:
    """Sends requests for one bucket. ``clock`` is that of signatures; ``pause`` waits between attempts, in seconds."""

    def __init__(
        self, location: Location, credentials: Credentials, clock: Clock = utc_now, pause: Pause = asyncio.sleep
    ) -> None:
        self._location = location
        self._credentials = credentials
        self._clock = clock
        store = f"The bucket {location.bucket} at {location.origin}"
        self._refusals = Refusals(store, _MEANINGS, _FULL, absent="NoSuchBucket")
        self._sender = Sender(location.scheme, self._refusals, pause)

    async def ask(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send a request for ``key`` below the prefix, or for the bucket; return a success, or an answer that is to be accepted.

        A body goes with its MD5, which stores verify. Raises Unavailable with the reason for any other answer, and where none
        came; InsufficientStorage where the store is full.
        """
        sums = await requests.off_the_loop(self._sums, body)

        async def attempt() -> tuple[Answer, Answer]:
            answer = await requests.read(await self._send(method, key, query, {**(headers or {}), **sums}, body))
            return answer, answer

        return await self._sender.repeated(attempt, accept)

    async def once(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request once, with ``headers`` in place of our own, and return whatever is answered; raises one of ``BROKEN``."""
        told = {"content-length": str(len(body))} if method in ("PUT", "POST") else {}
        told |= {**self._sums(body), **(headers or {})}
        return await requests.read(await self._send(method, key, query, told, body))

    async def stream(self, key: str, headers: Mapping[str, str], *, accept: Collection[int] = ()) -> Streamed:
        """Get an object whose body is read later; raises as ``ask`` does."""

        async def attempt() -> tuple[Streamed, Answer]:
            told = {**headers, "x-amz-content-sha256": EMPTY}
            return await requests.streamed(await self._send("GET", key, (), told, b""))

        return await self._sender.repeated(attempt, accept)

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

        It is of the address that clients reach the bucket by, or ``from_here`` of the one that this server does.
        """
        where = self._location
        origin = where.origin if from_here or where.public is None else where.public
        path = f"{where.root}{where.prefix}{key}"
        told = {**headers, "host": urlsplit(origin).netloc}
        written = presigned(self._credentials, where.region, method, path, query, told, lifetime, self._clock())
        return f"{origin}{path}?{written}"

    async def send_as_told(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request of whoever has a presigned URL, once, and return whatever is answered; raises one of ``BROKEN``."""
        return await self._sender.send_as_told(method, url, headers, body)

    @property
    def location(self) -> Location:
        """Where the bucket is."""
        return self._location

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
        key: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        where = self._location
        path = where.root if key is None else f"{where.root}{where.prefix}{key}"
        written = query_string(query)
        named = {"host": where.host, **headers}
        payload = named.pop("x-amz-content-sha256")
        told = signed(self._credentials, where.region, method, path, written, named, payload, self._clock())
        return await self._sender.send(method, f"{where.origin}{path}{written and f'?{written}'}", told, body)

    def _sums(self, body: bytes) -> dict[str, str]:
        """Return the headers that tell of a body: with TLS around it its MD5 is enough, else the signature must cover it."""
        if not body:
            return {"x-amz-content-sha256": EMPTY}
        sha256 = UNSIGNED if self._location.scheme == "https" else hashlib.sha256(body).hexdigest()
        return {"x-amz-content-sha256": sha256, "content-md5": requests.md5_of(body)}
