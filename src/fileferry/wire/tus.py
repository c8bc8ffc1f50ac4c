"""tus 1.0.0 on a signed URL: creation (whose answer names the URL to go on with), HEAD, PATCH, DELETE, joining partial uploads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.errors import AlreadyUploaded, Forbidden, MethodNotAllowed
from fileferry.model import Upload
from fileferry.web import tus
from fileferry.web.requests import AnyRequest
from fileferry.wire import envelope, rufh, stated_types

# With none of the draft's own fields beside them.
_MARKS = ("upload-length", "upload-defer-length", "upload-concat", "upload-offset", "upload-checksum")

discovery = tus.discovery
render_error = tus.render_error


def is_spoken(request: AnyRequest) -> bool:
    """Whether the header came that every request of tus has; one without it that can be of nothing else must be told so."""
    if "tus-resumable" in request.headers:
        return True
    if request.method not in ("POST", "PATCH") or rufh.is_spoken(request) or _is_widget(request):
        return False
    is_marked = any(name in request.headers for name in _MARKS)
    return is_marked or request.headers.get("content-type", "").strip().lower() == tus.MEDIA_TYPE


def _is_widget(request: AnyRequest) -> bool:
    """Whether this is FilePond, which borrows fields of tus: see ``forms``."""
    return "upload-name" in request.headers or envelope.is_form(request)


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Answer one request. Raises PreconditionFailed for another version of tus, MethodNotAllowed."""
    tus.refuse_other_versions(request)
    operation = _OPERATIONS.get(tus.method_of(request))
    if operation is None:
        raise MethodNotAllowed(headers={"Allow": "POST, HEAD, PATCH, DELETE, OPTIONS"})
    return await operation(request, engine, upload)


async def _create(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    asked = tus.creation_of(request, engine)
    if asked.joined is not None:
        return await tus.created(request, engine, await _join(engine, upload, asked, asked.joined))
    if asked.is_partial:
        partial = await engine.tickets.open_partial(upload, asked.length)
        begun = await tus.create(request, engine, partial, asked, asked.wire())
    else:
        stated_types.refuse_other(tus.stated_type(asked.metadata), upload)
        begun = await tus.create(request, engine, upload, asked, asked.wire())
    return await tus.created(request, engine, begun)


async def _join(engine: Engine, upload: Upload, asked: tus.Creation, urls: list[str]) -> Upload:
    stated_types.refuse_other(tus.stated_type(asked.metadata), upload)
    current = await engine.streams.status(upload)
    if tus.is_joined(current, asked):
        return current
    ids = [tus.partial_id(url) for url in urls]
    found = {id: await engine.tickets.partial_of(upload, id) for id in dict.fromkeys(ids)}
    return await tus.join(engine, upload, asked.wire(), [found[id] for id in ids])


async def _show(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    current = await tus.settled(engine, await engine.streams.status(upload))
    return tus.answer(200, await tus.status(request, engine, current, _url_ends(request, engine, current)))


async def append(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Take the bytes of a PATCH, and tell how far the upload is."""
    current = await tus.append(request, engine, upload)
    return tus.answer(204, await tus.progress(request, engine, current, _url_ends(request, engine, current)))


async def _terminate(_request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    await engine.streams.status(upload)
    try:
        await engine.tickets.abort(upload)
    except AlreadyUploaded as error:
        # Clients take a 409 for a passing one, and would try again.
        raise Forbidden(error.detail) from error
    return tus.answer(204, {})


def _url_ends(request: AnyRequest, engine: Engine, upload: Upload) -> datetime:
    return engine.tickets.end_of(upload, request.state.grant)


_OPERATIONS: dict[str, Callable[[AnyRequest, Engine, Upload], Awaitable[Response[Any]]]] = {
    "POST": _create,
    "HEAD": _show,
    "PATCH": append,
    "DELETE": _terminate,
}
