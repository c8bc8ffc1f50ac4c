"""Requests to stores of objects over kept connections, repeated within a bound where that can help. It knows no store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import certifi
import httpcore
import msgspec
import structlog

from fileferry.errors import FerryError, InsufficientStorage, Unavailable

BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
"""What sending a request, or reading an answer, raises where the connection does not hold."""
Pause = Callable[[float], Awaitable[None]]
"""Waits so many seconds between attempts."""

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
_IN_PASSING = frozenset({408, 429, 500, 502, 503, 504})
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
        """The store's word for an error, as ``NoSuchKey``; empty where it said none. To HEAD Azure says it in a header."""
        return text_of(parsed(self.body), "Code") or self.headers.get("x-ms-error-code", "") or _reason_of(self.body)


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


class Refusals(msgspec.Struct, frozen=True):
    """What a store's words for errors mean: what is wrong with the setting, which say that it is full, and that it is not there.

    ``absent`` is a word, or a sentence of what is answered.
    """

    store: str
    meanings: Mapping[str, str]
    full: frozenset[str]
    absent: str

    def error_of(self, answer: Answer) -> FerryError:
        """Return what to tell of an answer that says no, where no other is to be expected."""
        code = answer.code
        if code in self.full or answer.status == 507:
            return InsufficientStorage()
        meaning = self.meanings.get(code) or self.meanings.get(str(answer.status))
        said = f"{answer.status} {code}".rstrip()
        return self.unavailable(f"{meaning} ({said})" if meaning else f"it answers {said}")

    def is_absence(self, answer: Answer) -> bool:
        """Whether an answer says that the store is not there, and not just an object in it."""
        return answer.code == self.absent or self.absent.encode() in answer.body

    def unavailable(self, reason: str) -> Unavailable:
        """Return the error that says why the store cannot be used."""
        return Unavailable(f"{self.store} cannot be used: {reason.rstrip('.')}.", retry_after=_RETRY_AFTER)


class Sender:
    """Sends requests to one store. ``pause`` waits between attempts."""

    def __init__(self, scheme: str, refusals: Refusals, pause: Pause = asyncio.sleep) -> None:
        self._scheme = scheme
        self._refusals = refusals
        self._pause = pause
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> httpcore.Response:
        """Send a request with just these headers, once; raises one of ``BROKEN``. ``url`` is escaped as it is signed."""
        parts = urlsplit(url)
        target = httpcore.URL(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port,
            target=f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
        )
        content = body if len(body) <= _SLICE else _sliced(body)
        told = list(headers.items())
        request = httpcore.Request(method, target, headers=told, content=content, extensions={"timeout": _TIMEOUTS})
        if self._pool is None:
            self._pool = _opened_pool(self._scheme)
        return await self._pool.handle_async_request(request)

    async def send_as_told(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request of whoever has a signed URL, once, and return whatever is answered; raises one of ``BROKEN``."""
        told = {"host": urlsplit(url).netloc, **length_of(method, body), **headers}
        return await read(await self.send(method, url, told, body))

    async def repeated(self, attempt: Callable[[], Awaitable[tuple[_T, Answer]]], accept: Collection[int] = ()) -> _T:
        """Return what is to be returned of the first attempt that is a success or to be accepted.

        Raises Unavailable with the reason for any other answer, and where none came; InsufficientStorage where the store is full.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        failure: FerryError
        cause: Exception | None = None
        for number in range(1, _ATTEMPTS + 1):
            try:
                result, answer = await attempt()
            except BROKEN as error:
                failure = self._refusals.unavailable(f"no answer, {str(error) or type(error).__name__}")
                cause = error
            else:
                if answer.is_success or (answer.status in accept and not self._refusals.is_absence(answer)):
                    return result
                failure, cause = self._refusals.error_of(answer), None
                if not (answer.is_success or answer.status in _IN_PASSING) or isinstance(failure, InsufficientStorage):
                    break
            if number == _ATTEMPTS or loop.time() > deadline:
                break
            _log.info("store_asked_again", reason=failure.detail, attempt=number)
            # Not all who were refused at once come again at once.
            await self._pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number) * random.uniform(0.5, 1))  # noqa: S311
        raise failure from cause

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.aclose()


async def read(response: httpcore.Response) -> Answer:
    """Read an answer whole; one that is too long is no answer. Raises one of ``BROKEN``."""
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


async def streamed(response: httpcore.Response) -> tuple[Streamed, Answer]:
    """Return an answer to be read later and what is known of it by now; one that is no success is read at once."""
    if response.status < 300:
        return Streamed(response), Answer(response.status, {}, b"")
    answer = await read(response)
    return Streamed(response), answer


async def off_the_loop(compute: Callable[[bytes], _T], body: bytes) -> _T:
    """Return what is computed of a body, in a thread where that takes long."""
    return compute(body) if len(body) < _SMALL else await asyncio.to_thread(compute, body)


def length_of(method: str, body: bytes) -> dict[str, str]:
    """Return the header that tells of a body's length, where a method has one."""
    return {"content-length": str(len(body))} if method in ("PUT", "POST") else {}


def md5_of(body: bytes) -> str:
    """Return the value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def parsed(body: bytes) -> Element | None:
    """Return the root of an answer's XML; None where it is none. A document type is not read: no store sends one."""
    # Azure's begin with a byte order mark.
    body = body.removeprefix(b"\xef\xbb\xbf")
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


def _reason_of(body: bytes) -> str:
    """Return the reason that an answer's JSON tells, as Google's; empty where it is none."""
    if not body.startswith(b"{"):
        return ""
    try:
        errors = msgspec.json.decode(body, type=_Refusal).error.errors
    except msgspec.DecodeError:
        return ""
    return errors[0].reason if errors else ""


class _Reason(msgspec.Struct, frozen=True):
    reason: str = ""


class _Reasons(msgspec.Struct, frozen=True):
    errors: list[_Reason] = []


class _Refusal(msgspec.Struct, frozen=True):
    error: _Reasons


async def _sliced(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in slices: each is copied more than once on its way to the socket."""
    for start in range(0, len(body), _SLICE):
        yield body[start : start + _SLICE]


def _fields(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _opened_pool(scheme: str) -> httpcore.AsyncConnectionPool:
    context = None
    if scheme == "https":
        # What the system trusts (``SSL_CERT_FILE`` included), and the public authorities where it knows none.
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    return httpcore.AsyncConnectionPool(
        ssl_context=context, max_connections=None, max_keepalive_connections=32, keepalive_expiry=_IDLE_SECONDS
    )
