"""Reading requests: bodies as bounded streams, and the headers and parameters that several flows share."""

from __future__ import annotations

import asyncio
import base64
import codecs
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, unquote_to_bytes, urlencode

import msgspec
from litestar import Request, Response
from litestar.params import Parameter

from fileferry.engine.access import policy
from fileferry.engine.access.links import Grant, Right, public_path
from fileferry.engine.engine import Engine
from fileferry.errors import (
    BadRequest,
    FileTooLarge,
    InvalidExpiry,
    InvalidMetadata,
    InvalidName,
    InvalidParameter,
    RequestTimeout,
    TruncatedBody,
    UnsupportedType,
)
from fileferry.model import Principal, Scope, StoredFile, Upload, parse_duration
from fileferry.web.moments import with_plus
from fileferry.web.parameters import refuse_doubled, unknown_member
from fileferry.web.standing import refuse_lapsed

AnyRequest = Request[Any, Any, Any]

_CODING_FIELDS = ("content-encoding", "x-ms-blob-content-encoding")
_CODING_PARAMETER = "contentEncoding"
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LONGEST_KEY = 255
_LARGEST_JSON = 1024 * 1024
_HIGHEST_NUMBER = 2**63 - 1
_LONG_JSON = 64 * 1024  # 1 MiB of tiny objects takes a tenth of a second to look through
_MOST_FETCHES = 1_000_000

Cursor = Annotated[str | None, Parameter(description="The next_cursor of the page before.")]
Limit = Annotated[str | None, Parameter(description="How many to return, 1 to 1000; 100 by default.")]

T = TypeVar("T")


async def body_of(request: AnyRequest, idle: timedelta) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises TruncatedBody when the client goes away, RequestTimeout when it sends nothing for ``idle``, and what ``refuse_lapsed``
    raises when the right to send it has ended.
    """
    seconds = idle.total_seconds()
    loop = asyncio.get_running_loop()
    more = True
    while more:
        try:
            async with asyncio.timeout_at(loop.time() + seconds):
                message: Any = await request.receive()
        except TimeoutError as error:
            raise RequestTimeout() from error
        if message["type"] == "http.disconnect":
            raise TruncatedBody()
        await refuse_lapsed(request)
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


async def small_body_of(request: AnyRequest, limit: int, idle: timedelta) -> bytes:
    """Return a body of at most ``limit`` bytes; raises FileTooLarge for a larger one."""
    announced = content_length(request)
    if announced is not None and announced > limit:
        raise FileTooLarge(f"This body may have at most {limit} bytes.", limit=limit)
    body = bytearray()
    async for chunk in body_of(request, idle):
        body += chunk
        if len(body) > limit:
            raise FileTooLarge(f"This body may have at most {limit} bytes.", limit=limit)
    return bytes(body)


def content_length(request: AnyRequest) -> int | None:
    """Return the announced size of the body in bytes, None for a chunked one; raises BadRequest for nonsense."""
    value = request.headers.get("content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise BadRequest("Content-Length must be a whole number of bytes.")
    return int(value)


def refuse_encoded(request: AnyRequest) -> None:
    """Raise UnsupportedType for bytes that are content-coded, in the words of HTTP, Azure or Google.

    Bytes are stored as they are, and a coding would be lost.
    """
    for name in _CODING_FIELDS:
        refuse_coding(name, request.headers.get(name))
    refuse_coding(_CODING_PARAMETER, request.query_params.get(_CODING_PARAMETER))


def refuse_coding(said_by: str, coding: str | None) -> None:
    """Raise UnsupportedType for a content coding that is one; ``said_by`` names where it was said."""
    if coding is not None and coding.strip().lower() not in ("", "identity"):
        raise UnsupportedType(
            f"Send the bytes without a coding: {said_by} ({coding[:40]!r}) is not stored with a file."
        )


def idempotency_key(request: AnyRequest) -> str | None:
    """Return the Idempotency-Key, quoted as the draft has it or bare; raises InvalidParameter for an unusable one."""
    value = request.headers.get("idempotency-key")
    if value is None:
        return None
    key = value.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable() or not key.isascii():
        raise InvalidParameter(
            f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable ASCII characters.", parameter="Idempotency-Key"
        )
    return key


def parse_expires_in(value: Any) -> timedelta | None:
    """Read ``expires_in``: ``30m``, ``24h``, ``7d`` or seconds, as text or number; None is none. Raises InvalidExpiry."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidExpiry()
    return parse_duration(str(value))


def parse_expires_at(value: Any) -> datetime | None:
    """Read ``expires_at``: an RFC 3339 time; None is none. Raises InvalidExpiry."""
    if value is None:
        return None
    try:
        moment = msgspec.convert(with_plus(value) if isinstance(value, str) else value, datetime)
    except msgspec.ValidationError as error:
        raise InvalidExpiry("expires_at must be an RFC 3339 time such as 2026-12-31T23:59:59Z.") from error
    if moment.tzinfo is None:
        raise InvalidExpiry("expires_at needs a time zone, for example a final Z for UTC.")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidExpiry("expires_at lies outside the years 1 to 9999.") from error


def parse_fetches(count: Any, once: Any) -> int | None:
    """Read ``expires_after_fetches`` and ``delete_after_first_complete_fetch``, as text or JSON; None is any number.

    Raises InvalidParameter for what is not 1 to 1,000,000, and for both where they differ.
    """
    is_once = parse_truth("delete_after_first_complete_fetch", once)
    if count is None or count == "":
        return 1 if is_once else None
    text = str(count)
    is_number = not isinstance(count, bool) and text.isascii() and text.isdigit() and len(text) <= 7
    if not is_number or not 1 <= int(text) <= _MOST_FETCHES or (is_once and int(text) != 1):
        raise InvalidParameter(
            f"expires_after_fetches must be 1 to {_MOST_FETCHES}, and 1 with delete_after_first_complete_fetch.",
            parameter="expires_after_fetches",
        )
    return int(text)


def parse_truth(name: str, value: Any) -> bool:
    """Read the parameter ``name``: true or false, as text or JSON; None and empty text are false. Raises InvalidParameter."""
    if isinstance(value, str):
        value = {"true": True, "1": True, "false": False, "0": False, "": False}.get(value.lower(), value)
    if value is not None and not isinstance(value, bool):
        raise InvalidParameter(f"{name} must be true or false.", parameter=name)
    return bool(value)


def parse_metadata(value: str | None) -> dict[str, Any]:
    """Read ``metadata`` given as JSON text; None and empty text are an empty object."""
    if not value:
        return {}
    value = value.removeprefix("\ufeff")
    try:
        metadata = msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidMetadata('metadata must be a JSON object, for example {"order": 17}.') from error
    refuse_doubled(value)
    return metadata


def parse_limit(value: str | None, default: int = 100, largest: int = 1000) -> int:
    """Read a page size; raises InvalidParameter unless it is 1 to ``largest``."""
    if value is None:
        return default
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or not 1 <= int(value) <= largest:
        raise InvalidParameter(f"limit must be a number from 1 to {largest}.", parameter="limit")
    return int(value)


def sent_path(request: AnyRequest, prefix: re.Pattern[str]) -> str:
    """Return what follows ``prefix`` in the URL's path as it was sent: routing drops empty segments, and bytes that are not UTF-8.

    Raises InvalidName for a path that is not UTF-8.
    """
    try:
        path = unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError as error:
        raise InvalidName("The path in the URL must be UTF-8, percent-encoded.") from error
    return prefix.sub("", path, count=1)


def encode_cursor(*parts: str) -> str:
    """Return an opaque cursor that holds ``parts``."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def decode_cursor(value: str | None, parts: int) -> list[str] | None:
    """Return the parts of a cursor; None where there is none. Raises InvalidParameter for one that was not handed out."""
    if not value:
        return None
    try:
        raw = base64.b64decode(value.encode() + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=list[str])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidParameter("cursor must be one that an earlier page returned.", parameter="cursor") from error
    if len(found) != parts:
        raise InvalidParameter("cursor must be one that an earlier page returned.", parameter="cursor")
    return found


def decode_number(value: str | None) -> int | None:
    """Return the number that a cursor is; None where there is none. Raises InvalidParameter as ``decode_cursor`` does."""
    found = decode_cursor(value, 1)
    number = None if found is None else whole_number(found[0])
    if found is not None and number is None:
        raise InvalidParameter("cursor must be one that an earlier page returned.", parameter="cursor")
    return number


def whole_number(text: str) -> int | None:
    """Return the decimal number that a text is, as large as a database keeps one; None for any other text."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _HIGHEST_NUMBER:
        return None
    return int(text)


async def json_body(request: AnyRequest, engine: Engine, scope: Scope, kind: type[T]) -> T:
    """Return the JSON body as ``kind``; an empty one is an empty object. Nothing of it is read for a key without ``scope``.

    Raises as ``decode_json``, Forbidden, FileTooLarge over 1 MiB, and Unauthorized where the key has changed meanwhile.
    """
    principal: Principal = request.state.principal
    policy.authorize(principal, scope)
    body = await small_body_of(request, _LARGEST_JSON, engine.settings.body_idle_timeout)
    await engine.keys.refuse_changed(principal)
    return await read_json(body or b"{}", kind)


async def read_json(body: bytes, kind: type[T]) -> T:
    """Return JSON as ``kind``; see ``decode_json``. Long JSON is read beside the event loop, so that no other request waits."""
    if len(body) <= _LONG_JSON:
        return decode_json(body, kind)
    return await asyncio.to_thread(decode_json, body, kind)


def decode_json(body: bytes, kind: type[T]) -> T:
    """Return JSON as ``kind``; raises InvalidParameter for a member that cannot be used, BadRequest for what is not JSON.

    A byte order mark before it means nothing (RFC 8259 section 8.1).
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        decoded = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise unknown_member(error, kind) or InvalidParameter(f"{error}.") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest("The body is not valid JSON.") from error
    refuse_doubled(body)
    return decoded


def base_url(request: AnyRequest, engine: Engine) -> str:
    """Return the address of this service without a final slash: as set, or as the request's Host header says.

    Raises BadRequest for a Host header that is no host.
    """
    if engine.settings.base_url is not None:
        return engine.settings.base_url.rstrip("/")
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise BadRequest("The Host header names no host.")
    return f"{request.scope['scheme']}://{host}"


def created(request: AnyRequest, engine: Engine, address: str, made: T) -> Response[T]:
    """Return the answer 201 that shows what was made at an address of this service."""
    return Response(made, status_code=201, headers={"Location": f"{base_url(request, engine)}{address}"})


def public_url(request: AnyRequest, engine: Engine, stored: StoredFile) -> str:
    """Return the URL that anyone can fetch the version from."""
    return f"{base_url(request, engine)}{public_path(engine.files.public_token(stored), stored.file.name)}"


def download_url(
    request: AnyRequest, engine: Engine, principal: Principal, stored: StoredFile, lifetime: timedelta
) -> str:
    """Return a signed URL that the version can be fetched from without a key for ``lifetime``."""
    query = engine.files.download_query(principal, stored, lifetime)
    return (
        f"{base_url(request, engine)}/d/{stored.version.id}/{quote(stored.file.name, safe='')}?{_signed_query(query)}"
    )


def upload_url(request: AnyRequest, engine: Engine, upload: Upload, lifetime: timedelta | None = None) -> str:
    """Return the upload's signed URL, which is for the key that the request shows."""
    return _signed_address(request, engine, upload, engine.tickets.url_query(upload, _right(request), lifetime))


def upload_urls(request: AnyRequest, engine: Engine, upload: Upload) -> tuple[str, str]:
    """Return the upload's signed URL, and the same with the id that parts are sent with, which needs no signature."""
    address = _address(request, engine, upload)
    query = _signed_query(engine.tickets.url_query(upload, _right(request)))
    return f"{address}?{query}", f"{address}?{_signed_query({'uploadId': upload.multipart_name})}&{query}"


def part_urls(request: AnyRequest, engine: Engine, upload: Upload, numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield each part's number with a signed URL that takes this part only; see ``upload_url``."""
    address = _address(request, engine, upload)
    for number, query in engine.tickets.part_queries(upload, _right(request), numbers):
        yield number, f"{address}?{query}"


def session_url(request: AnyRequest, engine: Engine, upload: Upload) -> str:
    """Return the signed URL that an upload which was begun goes on with.

    It is for the key that the request shows, or whose signed URL it came by.
    """
    return _signed_address(request, engine, upload, engine.tickets.session_query(upload, _right(request)))


def is_by_ticket(request: AnyRequest) -> bool:
    """Whether a request came by a key, or by the URL of a ticket, and not by that of a session that was begun before."""
    grant: Grant | None = request.state.get("grant")
    return grant is None or not grant.is_session


def _signed_address(request: AnyRequest, engine: Engine, upload: Upload, query: dict[str, str]) -> str:
    return f"{_address(request, engine, upload)}?{_signed_query(query)}"


def _address(request: AnyRequest, engine: Engine, upload: Upload) -> str:
    return f"{base_url(request, engine)}/u/{upload.id}/{quote(upload.name, safe='')}"


def _signed_query(query: dict[str, str]) -> str:
    # The colons of a time may stay as they are (RFC 3986 section 3.4); what is escaped, some libraries of pages escape again.
    return urlencode(query, safe=":")


def _right(request: AnyRequest) -> Right:
    principal: Principal | None = request.state.get("principal")
    right: Right = request.state.grant.right if principal is None else Right.of(principal)
    return right
