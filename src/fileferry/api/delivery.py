"""Serving bytes: ranges, conditions, disposition and the headers that keep a served file from doing harm."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from urllib.parse import quote

import msgspec
from litestar import HttpMethod, Response, Router, route

from fileferry import telemetry
from fileferry.api import handover, redirection
from fileferry.api.answers import Answer, WholeAnswer
from fileferry.api.handover import HandedOver
from fileferry.blobs.store import FileSlice
from fileferry.engine.access import links
from fileferry.engine.engine import Engine
from fileferry.engine.files.hot import HotFile
from fileferry.engine.inspection.media_types import GENERIC_TYPE, SHOWN_TYPES, TEXT_TYPE, bare, contradicts
from fileferry.errors import BadRequest, PreconditionFailed, RangeNotSatisfiable
from fileferry.model import StoredFile
from fileferry.web import azure, cors, problems, zerocopy
from fileferry.web.dates import last_modified
from fileferry.web.entity_tags import entity_tags
from fileferry.web.express import EXPRESS
from fileferry.web.moments import read_http_date
from fileferry.web.requests import AnyRequest

_SAFETY = {
    # What a browser makes around audio and video to play them may fetch them, from here alone.
    "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
}
_EXPOSED = (
    "ETag, Content-Range, Accept-Ranges, Content-Length, Content-Disposition, Content-MD5, Repr-Digest, X-Request-ID, "
    f"{azure.RESPONSE_HEADERS}"
)
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
"""The headers by which pages of any origin may read what is fetched."""
_VARY = {"Vary": azure.TOLD_BY}
METHODS = "GET, HEAD, OPTIONS"
"""What URLs that give bytes answer."""

# Less is one read, and one write together with its head.
_LEAST_SLICED = 256 * 1024


async def _measured(body: AsyncGenerator[bytes], headers: dict[str, str]) -> AsyncGenerator[bytes]:
    """Yield a body that is short enough to be held (``azure.LONGEST_MEASURED_RANGE``), once ``headers`` say its MD5."""
    content = b"".join([block async for block in body])
    md5 = await asyncio.to_thread(hashlib.md5, content, usedforsecurity=False)
    headers["Content-MD5"] = base64.b64encode(md5.digest()).decode()
    yield content


@route("/f/{token:str}/{name:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=EXPRESS)
async def fetch(request: AnyRequest, engine: Engine, token: str) -> Answer:
    """Fetch a file by its public URL, without a key. ``?download=1`` offers it for saving whatever its type."""
    is_plain = _is_plain(request)
    hot = engine.hot.find(token) if is_plain else None
    if hot is not None:
        if await engine.files.is_as_before(hot):
            _tell(hot.stored, "http", "GET")
            return _whole(engine, hot)
        engine.hot.drop(token)
    stored = await engine.files.open_public(token)
    if not is_plain or not engine.hot.takes(stored):
        headers = {**ANY_ORIGIN, "Cache-Control": _cache_control(engine, stored)}
        return deliver(request, engine, stored, headers, by_link=True)
    fields = deliver(request, engine, stored, ANY_ORIGIN).fields()
    content = b"".join([block async for block in engine.files.read(stored, 0, stored.version.size)])
    hot = HotFile(stored, content, fields)
    engine.hot.keep(token, hot)
    return _whole(engine, hot)


def _tell(stored: StoredFile, protocol: str, method: str) -> None:
    direction = "download" if method == "GET" else None
    telemetry.tell(
        file=stored.file.id, organization=stored.file.organization_id, protocol=protocol, direction=direction
    )


def _whole(engine: Engine, hot: HotFile) -> WholeAnswer:
    fields = [*hot.fields, (b"cache-control", _cache_control(engine, hot.stored).encode())]
    return WholeAnswer(fields, hot.content, partial(engine.fetches.add, hot.stored))


def _is_plain(request: AnyRequest) -> bool:
    """Whether a request is for the whole, without a condition, an option or a dialect."""
    scope = request.scope
    return (
        scope["method"] == "GET"
        and not scope["query_string"]
        and not any(name == b"range" or name.startswith((b"if-", b"x-ms-")) for name, _value in scope["headers"])
    )


@route("/f/{token:str}/{name:path}", http_method=[HttpMethod.OPTIONS])
async def preflight(request: AnyRequest, token: str) -> Response[None]:
    """Tell a browser that a page of any origin may read public URLs, without credentials."""
    return Response(None, status_code=200, headers={**cors.preflight(request, METHODS), **ANY_ORIGIN})


@route("/d/{version_id:str}/{name:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=EXPRESS)
async def fetch_signed(request: AnyRequest, engine: Engine, version_id: str) -> Answer:
    """Fetch a version by a signed URL that its holder got for a while."""
    stored = await engine.files.open_signed(version_id, links.words(request.query_params.multi_items()))
    return deliver(request, engine, stored, {**ANY_ORIGIN, "Cache-Control": "private, no-cache"}, by_link=True)


@route("/d/{version_id:str}/{name:path}", http_method=[HttpMethod.OPTIONS])
async def preflight_signed(request: AnyRequest, version_id: str) -> Response[None]:
    """Tell a browser that a page of any origin may read signed URLs, without credentials."""
    return Response(None, status_code=200, headers={**cors.preflight(request, METHODS), **ANY_ORIGIN})


def render_problem(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with an error as whoever fetches understands it."""
    render = azure.render_error if azure.is_spoken(request) else problems.render
    answer = render(request, error)
    answer.headers.update({**_SAFETY, **_VARY, **ANY_ORIGIN, "Cache-Control": "no-store"})
    return answer


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router(
    "/",
    route_handlers=[preflight, fetch, preflight_signed, fetch_signed],
    exception_handlers={Exception: render_problem},
    include_in_schema=True,
)


class Counted(msgspec.Struct, frozen=True):
    """A link that counts whole downloads: ``record`` does so before the last byte of one. A bounded one gives no parts: who had
    all of them would not be counted.
    """

    record: Callable[[], Awaitable[None]]
    is_bounded: bool


def deliver(
    request: AnyRequest,
    engine: Engine,
    stored: StoredFile,
    headers: dict[str, str],
    link: Counted | None = None,
    *,
    by_link: bool = False,
) -> Answer:
    """Return the ASGI application that answers with the version's bytes, or the part of them that the request asks for.

    Conditions are judged in the order of RFC 9110 section 13.2.2. To Azure's clients it is a blob, and ``x-ms-range`` wins over
    ``Range``. A GET that gets the whole is counted as a fetch. Who comes ``by_link`` may be sent on to the store. Raises
    PreconditionFailed, RangeNotSatisfiable, and BadRequest for what Azure's clients may ask but not here.
    """
    version = stored.version
    _tell(stored, "azure" if azure.is_spoken(request) else "http", request.method)
    if azure.is_spoken(request):
        _refuse_other_views(request)
        headers = {**headers, **azure.common_headers(request), **azure.properties(version.created_at)}
    headers = {
        **headers,
        **_SAFETY,
        **_VARY,
        **_representation(request, stored),
        "ETag": version.etag,
        "Last-Modified": last_modified(version.created_at, engine.clock),
        "Accept-Ranges": "bytes",
    }
    if not _is_modified(request, version.etag, version.created_at):
        kept = {name: value for name, value in headers.items() if name not in ("Content-Type", "Content-Disposition")}
        return Answer(304, kept | ({azure.ERROR_CODE: "ConditionNotMet"} if azure.is_spoken(request) else {}), None)
    start, length, status = 0, version.size, 200
    is_limited = version.fetches_left is not None
    # What a cache serves is not counted; and caches that know Range alone would take a part for the whole.
    if is_limited or "x-ms-range" in request.headers:
        headers["Cache-Control"] = "no-store"
    part = None
    if link is not None and link.is_bounded:
        headers["Accept-Ranges"] = "none"
    else:
        part = _range(request, version.etag, version.created_at, version.size)
    if part is not None:
        start, length = part
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{version.size}"
    elif version.digests.md5 is not None:
        headers["Content-MD5"] = azure.base64_of(version.digests.md5)
    if azure.is_spoken(request) and request.method == "GET" and version.digests.md5 is not None:
        headers["x-ms-blob-content-md5"] = azure.base64_of(version.digests.md5)
    headers["Content-Length"] = str(length)
    if request.method == "HEAD":
        return Answer(status, headers, None)
    if part is not None and _is_to_be_measured(request, length):
        return Answer(status, headers, _measured(engine.files.read(stored, start, length), headers))
    body = partial(_body, request, engine, stored)
    records = [] if link is None else [link.record]
    if part is None and is_limited:
        return Answer(status, headers, _held_back(body, length, [*records, partial(engine.fetches.record, stored)]))
    on_sent = partial(engine.fetches.add, stored) if part is None else _nothing
    if part is None and records:
        return Answer(status, headers, _held_back(body, length, records), on_sent)
    answer = Answer(status, headers, body(start, length) if length else None, on_sent)
    if by_link and redirection.is_possible(request, engine, stored):
        return redirection.Redirected(request, engine, stored, headers, on_sent, answer)
    if part is not None:
        return answer
    if version.is_inline or not handover.is_possible(request, engine.settings):
        return answer
    return HandedOver(headers, engine.files.slices(stored, start, length), engine.settings, on_sent, answer)


def _nothing() -> None:
    """A part is no fetch."""


def _body(
    request: AnyRequest, engine: Engine, stored: StoredFile, start: int, length: int
) -> AsyncGenerator[bytes | FileSlice]:
    """Return what is sent of a version: by the kernel where it is much and the server can."""
    if length < _LEAST_SLICED or not zerocopy.is_offered(request.scope):
        return engine.files.read(stored, start, length)
    return engine.files.slices(stored, start, length)


async def _held_back(
    body: Callable[[int, int], AsyncGenerator[bytes | FileSlice]],
    size: int,
    records: Sequence[Callable[[], Awaitable[None]]],
) -> AsyncGenerator[bytes | FileSlice]:
    """Yield a body whose last byte comes only once all ``records`` have been: whoever has it all cannot be earlier than that.

    It is read before, as after the last fetch of a version nothing is.
    """
    last = [piece async for piece in body(size - 1, 1)] if size else []
    if size > 1:
        async with contextlib.aclosing(body(0, size - 1)) as rest:
            async for piece in rest:
                yield piece
    for record in records:
        await record()
    for piece in last:
        yield piece


def _refuse_other_views(request: AnyRequest) -> None:
    """Raise BadRequest for what would be answered with something else than the blob's bytes as they are."""
    azure.refuse_unsupported(request)
    for name in ("comp", "snapshot", "versionid"):
        if name in request.query_params:
            raise BadRequest(f"{name} is not supported here.", headers={azure.ERROR_CODE: "InvalidQueryParameterValue"})


def _is_to_be_measured(request: AnyRequest, length: int) -> bool:
    """Whether the MD5 of a range is asked for; raises BadRequest for too long a one."""
    if request.headers.get("x-ms-range-get-content-md5", "").lower() != "true":
        return False
    if length > azure.LONGEST_MEASURED_RANGE:
        raise BadRequest(
            f"The MD5 can be had of ranges of at most {azure.LONGEST_MEASURED_RANGE} bytes.",
            headers={azure.ERROR_CODE: "OutOfRangeInput"},
        )
    return True


def _representation(request: AnyRequest, stored: StoredFile) -> dict[str, str]:
    version = stored.version
    trusted = not contradicts(bare(version.content_type), version.detected_type)
    said = version.content_type if trusted else GENERIC_TYPE
    media_type = bare(said)
    inline = media_type in SHOWN_TYPES and version.detected_type == media_type
    if request.query_params.get("download", "0") not in ("0", "", "false"):
        inline = False
    digests = [f"crc32c=:{base64.b64encode(bytes.fromhex(version.digests.crc32c)).decode()}:"]
    if version.digests.sha256 is not None:
        digests.insert(0, f"sha-256=:{base64.b64encode(bytes.fromhex(version.digests.sha256)).decode()}:")
    return {
        "Content-Type": "text/plain; charset=utf-8" if said == TEXT_TYPE else said,
        "Content-Disposition": content_disposition("inline" if inline else "attachment", stored.file.name),
        "Repr-Digest": ", ".join(digests),
    }


def content_disposition(kind: str, name: str) -> str:
    """Return the field value of RFC 6266: a quoted ASCII name, and ``filename*`` (RFC 8187) where that loses something."""
    plain = "".join(character if " " <= character <= "~" and character not in '"\\%' else "_" for character in name)
    if plain == name:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _cache_control(engine: Engine, stored: StoredFile) -> str:
    seconds = engine.settings.public_cache.total_seconds()
    for end in (stored.file.expires_at, stored.version.expires_at):
        if end is not None:
            seconds = min(seconds, (end - engine.clock()).total_seconds())
    return f"public, max-age={max(0, int(seconds))}"


def _is_modified(request: AnyRequest, etag: str, modified: datetime) -> bool:
    """Judge the conditions of a read; raises PreconditionFailed, and False stands for 304."""
    headers = request.headers
    if (value := headers.get("if-match")) is not None:
        if entity_tags(value) != ("*",) and etag not in entity_tags(value):
            raise PreconditionFailed("The file is not, or no longer, the one named by If-Match.")
    elif (since := read_http_date(headers.get("if-unmodified-since"))) and modified.replace(microsecond=0) > since:
        raise PreconditionFailed("The file is newer than If-Unmodified-Since.")
    if (value := headers.get("if-none-match")) is not None:
        weak = [tag.removeprefix("W/") for tag in entity_tags(value)]
        return weak != ["*"] and etag not in weak
    since = read_http_date(headers.get("if-modified-since"))
    return since is None or modified.replace(microsecond=0) > since


def _range(request: AnyRequest, etag: str, modified: datetime, size: int) -> tuple[int, int] | None:
    """Return start and length of the one range to serve, None for the whole; raises RangeNotSatisfiable.

    What is not a byte range, and several ranges in one request, are ignored as RFC 9110 section 14.2 allows.
    """
    value = request.headers.get("x-ms-range", request.headers.get("range"))
    if value is None or request.method != "GET" or not _if_range_holds(request, etag, modified):
        return None
    unit, _, spec = value.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not all(part.isdigit() or not part for part in (first, last)):
        return None
    if not spec.isascii() or len(spec) > 40 or (not first and not last):
        return None
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    if start >= size or (not first and int(last) == 0):
        raise RangeNotSatisfiable(
            f"The file has {size} bytes.", size=size, headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end - start + 1


def _if_range_holds(request: AnyRequest, etag: str, modified: datetime) -> bool:
    value = request.headers.get("if-range")
    if value is None:
        return True
    since = None if '"' in value else read_http_date(value)
    if since is None:
        return value.strip() in (etag, etag.strip('"'))
    # A date is only as good as an exact match (RFC 9110 section 13.1.5).
    return since == modified.replace(microsecond=0)
