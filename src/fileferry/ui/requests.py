"""The page of a request for files, ``/r/TOKEN``, for whoever has its link. It takes files as a form, by tus, or by PUT; what a
sender is shown is what they have sent themselves, and programs get it as JSON.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
from litestar import HttpMethod, Response, Router, get, post, put, route
from multipart import MultipartSegment, parse_options_header

from fileferry import telemetry
from fileferry.engine.access.limits import largest
from fileferry.engine.access.links import Right
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.engine.receiving.requests import Arrival
from fileferry.engine.receiving.visits import OpenRequest
from fileferry.errors import BadRequest, MethodNotAllowed, MissingFile, UnsupportedType
from fileferry.model import Upload, clean_name, format_optional_time
from fileferry.ui import links, visits
from fileferry.web import tus
from fileferry.web.form_parts import file_name_of
from fileferry.web.forms import Form
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    body_of,
    content_length,
    refuse_encoded,
    sent_path,
)
from fileferry.web.standing import begin_standing

_VISITOR = "visitor"
_VISITOR_BYTES = 16
_REMEMBERED = 30 * 86400  # seconds
_VISITOR_FORM = re.compile(r"[A-Za-z0-9_-]{22}")
_NAME = re.compile(r"\A/+r/+[^/]+/")
_UNNAMED = "file"


class ArrivedFile(msgspec.Struct):
    """A file that its sender is shown as arrived; ``status`` is ready, processing, rejected with a ``reason``, or gone."""

    name: str
    size: int | None
    status: str
    reason: str | None
    arrived_at: str | None


class AskedFor(msgspec.Struct, kw_only=True):
    """What a request asks for: ``max_size`` (bytes) and ``types`` are those of one file, ``files_left`` null is any number.

    ``tus_url`` takes files by tus 1.0. ``files`` are those that this sender has sent.
    """

    title: str
    message: str
    expires_at: str | None
    max_size: int
    types: list[str] | None
    files_left: int | None
    tus_url: str
    files: list[ArrivedFile]


@get("/r/{token:str}")
async def show_request(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Show what is asked for, and what has come of this sender."""
    opened = await _open(request, engine, token)
    visitor = _visitor_of(request)
    arrived = [_arrived(arrival) for arrival in await engine.visits.arrivals(opened, visitor)]
    if not links.is_for_people(request):
        return Response(_asked_for(request, engine, opened, arrived), headers=links.PRIVATE)
    from fileferry.ui import pages

    asked = opened.request
    answer = pages.render(
        request,
        "request.html",
        asked=asked,
        address=links.path_of(engine, f"/r/{token}"),
        largest=largest(opened.allowed),
        types=opened.allowed.types,
        files_left=_left(opened),
        arrived=arrived,
        is_done="done" in request.query_params,
    )
    answer.headers.update(links.PRIVATE)
    if visitor is None:
        value = secrets.token_urlsafe(_VISITOR_BYTES)
        answer.set_cookie(links.cookie_of(request, engine, _VISITOR, value, f"/r/{token}", _REMEMBERED))
    return answer


@post("/r/{token:str}", status_code=303)
async def send_form(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Take files from a form, or the passphrase from its own."""
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type == "application/x-www-form-urlencoded":
        return await links.unlocked(request, engine, token, f"/r/{token}", engine.visits.unlock)
    visits.refuse_other_origins(request, engine)
    opened = await _open(request, engine, token)
    if media_type != "multipart/form-data":
        raise UnsupportedType("Send files as multipart/form-data, with PUT, or by tus.")
    form = Form(parameters.get("boundary", ""), ())
    count = 0
    async for _received in _take_form(request, engine, opened, form):
        count += 1
    if not count:
        raise MissingFile("No file was chosen: choose one or more, then send them.")
    if links.is_for_people(request):
        return links.redirect(links.path_of(engine, f"/r/{token}") + "#arrived")
    return Response({"received": count}, status_code=201, headers=links.PRIVATE)


@post("/r/{token:str}/done", status_code=303)
async def finish(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Take the word of a sender that this was all, and tell whoever asked."""
    visits.refuse_other_origins(request, engine)
    opened = await _open(request, engine, token)
    await engine.visits.finish(opened, _visitor_of(request))
    return links.redirect(links.path_of(engine, f"/r/{token}") + "?done=1")


@put("/r/{token:str}/{name:path}", status_code=201)
async def send_file(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Take one file as a body, by the name that the address ends with: ``curl -T report.pdf URL/``."""
    refuse_encoded(request)
    visits.refuse_other_origins(request, engine)
    opened = await _open(request, engine, token)
    name = clean_name(sent_path(request, _NAME))
    size = content_length(request)
    stated = request.headers.get("content-type")
    upload = await _promise(request, engine, opened, name, size, stated)
    received = await _take(engine, upload, body_of(request, engine.settings.body_idle_timeout), size, stated)
    told = {"name": name, "size": received.size, "sha256": received.digests.sha256, "crc32c": received.digests.crc32c}
    return Response(told, status_code=201, headers=links.PRIVATE)


@post("/r/{token:str}/tus", status_code=201)
async def create_upload(request: AnyRequest, engine: Engine, token: str) -> Response[Any]:
    """Create an upload by tus 1.0.0; ``Location`` is the signed URL that takes its bytes."""
    tus.refuse_other_versions(request)
    if tus.method_of(request) != "POST":
        raise MethodNotAllowed(headers={"Allow": "POST, OPTIONS"})
    visits.refuse_other_origins(request, engine)
    opened = await _open(request, engine, token)
    asked = tus.creation_of(request, engine)
    if asked.concat is not None:
        raise BadRequest("A request takes files whole: send each as one upload, without Upload-Concat.")
    said = tus.metadata_of(asked.metadata)
    name = clean_name(tus.text_of(said, "filename") or tus.text_of(said, "name") or _UNNAMED)
    upload = await _promise(request, engine, opened, name, asked.length, tus.text_of(said, "filetype"))
    made = await tus.create(request, engine, upload, asked, asked.wire())
    answer = await tus.created(request, engine, made)
    answer.headers.update(links.PRIVATE)
    return answer


@route("/r/{token:str}/tus", http_method=[HttpMethod.OPTIONS])
async def discover(engine: Engine, token: str) -> Response[bytes]:
    """Tell what of tus is spoken."""
    return Response(b"", status_code=200, headers=tus.discovery(engine))


def render_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer as the page does, or as tus does where that is spoken."""
    if "tus-resumable" not in request.headers:
        return links.render_error(request, error)
    answer = tus.render_error(request, error)
    answer.headers.update(links.PRIVATE)
    return answer


router = Router(
    "/",
    route_handlers=[show_request, send_form, finish, discover, create_upload, send_file],
    exception_handlers={Exception: render_error},
    include_in_schema=False,
)


async def _open(request: AnyRequest, engine: Engine, token: str) -> OpenRequest:
    return await engine.visits.open(token, await links.shown(request, token, engine.visits.unlock))


async def _take_form(
    request: AnyRequest, engine: Engine, opened: OpenRequest, form: Form
) -> AsyncIterator[ReceivedBytes]:
    """Take every file of a form, and yield what each turned out to be. One that fails leaves those before it where they are."""
    events = form.events(body_of(request, engine.settings.body_idle_timeout))
    event = await anext(events, None)
    while event is not None:
        assert isinstance(event, MultipartSegment), "the first event, and whatever a file ends before, begins one"
        segment, following = event, None

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal following
            async for found in events:
                if isinstance(found, MultipartSegment):
                    following = found
                    return
                yield found

        name = file_name_of(segment)
        if name:
            stated = segment.header("content-type")
            upload = await _promise(request, engine, opened, name, None, stated)
            yield await _take(engine, upload, chunks(), None, stated)
        else:
            # How browsers send a form in which nothing was chosen (HTML, "constructing the entry list").
            async for _chunk in chunks():
                pass
        event = following


async def _promise(
    request: AnyRequest, engine: Engine, opened: OpenRequest, name: str, size: int | None, content_type: str | None
) -> Upload:
    """Open the upload of one file; from here on what counts is who may send to it."""
    upload = await engine.visits.promise(opened, name, _visitor_of(request), size=size, content_type=content_type)
    request.state.principal = opened.principal
    right = Right.of(opened.principal)
    begin_standing(request, partial(engine.tickets.refuse_lapsed, upload.id, right), engine.clock)
    return upload


async def _take(
    engine: Engine, upload: Upload, chunks: AsyncIterator[bytes], size: int | None, content_type: str | None
) -> ReceivedBytes:
    """Take all bytes of an upload; one that fails is ended, as nobody has its URL."""
    try:
        arrival = await engine.arrivals.whole(upload, {}, size, content_type)
        async with arrival:
            async for chunk in chunks:
                await arrival.write(chunk)
            telemetry.tell(file=upload.file_id, organization=upload.organization_id, direction="upload")
            return await arrival.finish()
    except BaseException:
        with contextlib.suppress(Exception):
            await engine.tickets.abort(upload)
        raise


def _visitor_of(request: AnyRequest) -> str | None:
    value = request.cookies.get(_VISITOR, "")
    return value if _VISITOR_FORM.fullmatch(value) else None


def _asked_for(request: AnyRequest, engine: Engine, opened: OpenRequest, arrived: list[ArrivedFile]) -> AskedFor:
    asked, allowed = opened.request, opened.allowed
    return AskedFor(
        title=asked.title,
        message=asked.message,
        expires_at=format_optional_time(asked.expires_at),
        max_size=largest(allowed),
        types=None if allowed.types is None else list(allowed.types),
        files_left=_left(opened),
        tus_url=f"{base_url(request, engine)}/r/{asked.token}/tus",
        files=arrived,
    )


def _arrived(arrival: Arrival) -> ArrivedFile:
    status = "gone" if arrival.state is None else arrival.state.value
    arrived_at = format_optional_time(arrival.sent.arrived_at)
    return ArrivedFile(arrival.sent.name, arrival.size, status, arrival.reason, arrived_at)


def _left(opened: OpenRequest) -> int | None:
    most = opened.request.max_files
    return None if most is None else max(0, most - opened.request.received)
