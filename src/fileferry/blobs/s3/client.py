"""Signed requests to an S3 store over kept connections, repeated within a bound where that can help. It knows no verb of S3."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import certifi
import httpcore
import msgspec
import structlog

from fileferry.blobs.s3.location import Location
from fileferry.blobs.s3.signing import EMPTY, UNSIGNED, Credentials, presigned, query_string, signed
from fileferry.errors import FerryError, InsufficientStorage, Unavailable
from fileferry.model import Clock, utc_now

BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
"""What sending a request, or reading an answer, raises where the connection does not hold."""

_ATTEMPTS = 6
_PATIENCE = 60.0  # seconds, after which nothing is tried again
_FIRST_PAUSE = 0.1  # seconds; each further one may be twice as long
_LONGEST_PAUSE = 3.0
_TIMEOUTS = {"connect": 5.0, "read": 35.0, "write": 35.0, "pool": 35.0}  # seconds without any progress
_IDLE_SECONDS = 20.0  # stores close a connection that nothing was asked on for some time; none was seen to before this
_LARGEST_ANSWER = 64 * 1024 * 1024  # a listing of a thousand keys has some 400 KiB, a list of a million pieces 16 MiB
_SMALL = 64 * 1024  # bytes, whose digests take less than handing them to a thread
_SLICE = 256 * 1024  # bytes of a body that go to a socket at once
_RETRY_AFTER = 5  # seconds
_IN_PASSING = frozenset({429, 500, 502, 503, 504})
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_MEANINGS = {
    "RequestTimeTooSkewed": "the clocks of this machine and of the store are too far apart",
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not good",
    "AccessDenied": "the access key may not do this",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: say which by region=NAME",
    "AuthorizationHeaderMalformed": "the bucket is in another region: say which by region=NAME",
}
_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Answer(msgspec.Struct, frozen=True):
    """An answer that was read whole; ``headers`` are named in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether what was asked for was done. A completion may be answered 200 and then with an error."""
        return self.status < 300 and not (b"<Error" in self.body[:400] and self.code)

    @property
    def code(self) -> str:
        """The store's word for an error, as ``NoSuchKey``; empty where it said none, as in an answer to HEAD."""
        return text_of(parsed(self.body), "Code")


class Streamed:
    """An answer whose body is still to be read; close it in the end."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = _fields(response)

    def body(self) -> AsyncIterator[bytes]:
        """Yield the body; raises one of ``BROKEN``."""
        return aiter(self._response.aiter_stream())

    async def close(self) -> None:
        """Let go of the connection."""
        await self._response.aclose()


class Client:
    """Sends requests for one bucket. ``clock`` is that of signatures; ``pause`` waits between attempts, in seconds."""

    def __init__(
        self,
        location: Location,
        credentials: Credentials,
        clock: Clock = utc_now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._location = location
        self._credentials = credentials
        self._clock = clock
        self._pause = pause
        self._pool: httpcore.AsyncConnectionPool | None = None

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
        sums = self._sums(body) if len(body) < _SMALL else await asyncio.to_thread(self._sums, body)

        async def attempt() -> tuple[Answer, Answer]:
            response = await self._send(method, key, query, {**(headers or {}), **sums}, body)
            answer = await _read(response)
            return answer, answer

        return await self._repeated(attempt, accept)

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
        return await _read(await self._send(method, key, query, {**told, **self._sums(body), **(headers or {})}, body))

    async def stream(self, key: str, headers: Mapping[str, str], *, accept: Collection[int] = ()) -> Streamed:
        """Get an object whose body is read later; raises as ``ask`` does."""

        async def attempt() -> tuple[Streamed, Answer]:
            response = await self._send("GET", key, (), {**headers, "x-amz-content-sha256": EMPTY}, b"")
            if response.status < 300:
                return Streamed(response), Answer(response.status, {}, b"")
            answer = await _read(response)
            return Streamed(response), answer

        return await self._repeated(attempt, accept)

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
        parts = urlsplit(url)
        length = {"content-length": str(len(body))} if method in ("PUT", "POST") else {}
        told = list({"host": parts.netloc, **length, **headers}.items())
        request = httpcore.Request(method, url, headers=told, content=body, extensions={"timeout": _TIMEOUTS})
        return await _read(await self._connections().handle_async_request(request))

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
        if self._pool is not None:
            await self._pool.aclose()

    def refused(self, answer: Answer) -> FerryError:
        """Return what to tell of an answer that says no, where no other is to be expected."""
        code = answer.code
        if code in _FULL or answer.status == 507:
            return InsufficientStorage()
        meaning = _MEANINGS.get(code) or _MEANINGS.get({403: "AccessDenied"}.get(answer.status, ""))
        said = f"{answer.status} {code}".rstrip()
        return self._unavailable(f"{meaning} ({said})" if meaning else f"it answers {said}")

    async def _repeated(self, attempt: Callable[[], Awaitable[tuple[_T, Answer]]], accept: Collection[int]) -> _T:
        """Return what is to be returned of the first attempt that is a success or to be accepted."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        failure: FerryError
        cause: Exception | None = None
        for number in range(1, _ATTEMPTS + 1):
            try:
                result, answer = await attempt()
            except BROKEN as error:
                failure, cause = self._unavailable(f"no answer, {str(error) or type(error).__name__}"), error
            else:
                if answer.is_success or (answer.status in accept and answer.code != "NoSuchBucket"):
                    return result
                failure, cause = self.refused(answer), None
                if not (answer.is_success or answer.status in _IN_PASSING) or isinstance(failure, InsufficientStorage):
                    break
            if number == _ATTEMPTS or loop.time() > deadline:
                break
            _log.info("store_asked_again", reason=failure.detail, attempt=number)
            # Not all who were refused at once come again at once.
            await self._pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number) * random.uniform(0.5, 1))  # noqa: S311
        raise failure from cause

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
        signed_headers = signed(self._credentials, where.region, method, path, written, named, payload, self._clock())
        parts = urlsplit(where.origin)
        url = httpcore.URL(
            scheme=where.scheme,
            host=parts.hostname or "",
            port=parts.port,
            target=f"{path}?{written}" if written else path,
        )
        told = list(signed_headers.items())
        content = body if len(body) <= _SLICE else _sliced(body)
        request = httpcore.Request(method, url, headers=told, content=content, extensions={"timeout": _TIMEOUTS})
        return await self._connections().handle_async_request(request)

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            self._pool = _pool(self._location.scheme)
        return self._pool

    def _sums(self, body: bytes) -> dict[str, str]:
        """Return the headers that tell of a body: with TLS around it its MD5 is enough, else the signature must cover it."""
        if not body:
            return {"x-amz-content-sha256": EMPTY}
        sha256 = UNSIGNED if self._location.scheme == "https" else hashlib.sha256(body).hexdigest()
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        return {"x-amz-content-sha256": sha256, "content-md5": md5}

    def _unavailable(self, reason: str) -> Unavailable:
        where = self._location
        detail = f"The bucket {where.bucket} at {where.origin} cannot be used: {reason.rstrip('.')}."
        return Unavailable(detail, retry_after=_RETRY_AFTER)


def parsed(body: bytes) -> Element | None:
    """Return the root of an answer's XML; None where it is none. A document type is not read: no store sends one."""
    if not body.lstrip().startswith(b"<") or b"<!" in body:
        return None
    try:
        return fromstring(body)  # noqa: S314
    except ParseError:
        return None


def text_of(element: Element | None, name: str) -> str:
    """Return the text of the first child of this name, in whatever namespace; empty where there is none."""
    found = None if element is None else element.find(f"{{*}}{name}")
    return "" if found is None else found.text or ""


async def _sliced(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in slices: each is copied more than once on its way to the socket."""
    for start in range(0, len(body), _SLICE):
        yield body[start : start + _SLICE]


async def _read(response: httpcore.Response) -> Answer:
    """Read an answer whole; one that is too long is no answer."""
    try:
        blocks: list[bytes] = []
        size = 0
        async for block in response.aiter_stream():
            blocks.append(block)
            size += len(block)
            if size > _LARGEST_ANSWER:
                raise httpcore.RemoteProtocolError("the answer is too long")
        return Answer(response.status, _fields(response), b"".join(blocks))
    finally:
        await response.aclose()


def _fields(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _pool(scheme: str) -> httpcore.AsyncConnectionPool:
    context = None
    if scheme == "https":
        # What the system trusts (``SSL_CERT_FILE`` included), and the public authorities where it knows none.
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    return httpcore.AsyncConnectionPool(
        ssl_context=context, max_connections=None, max_keepalive_connections=32, keepalive_expiry=_IDLE_SECONDS
    )
