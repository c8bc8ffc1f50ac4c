"""Short URLs that take bytes: the same as signed ones, by every protocol; asked for by a browser, one is a page to upload with."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Response, Router, route

from fileferry.engine.access.links import Grant
from fileferry.engine.access.short_urls import Kind
from fileferry.engine.engine import Engine
from fileferry.web import short_urls
from fileferry.web.express import EXPRESS
from fileferry.web.requests import AnyRequest
from fileferry.wire import dispatch, upload_page

_PATH = "/t/{token:path}"


@route(_PATH, http_method=dispatch.METHODS, opt=EXPRESS)
async def upload_short(request: AnyRequest, engine: Engine) -> Response[Any]:
    """Take the bytes of an upload at its short URL, by whichever upload protocol the client speaks."""
    target = await short_urls.found(request, engine, short_urls.UPLOADS, Kind.UPLOAD)
    grant = Grant(target.right, target.ends_at, is_session=False, is_part=False)
    upload = await engine.tickets.granted(target.id, grant)
    if dispatch.is_question(request):
        return upload_page.show(request, upload, target.ends_at)
    answer = await dispatch.take(request, engine, upload, grant)
    return upload_page.thank(upload) if upload_page.is_wanted(request) and request.method == "POST" else answer


@route(_PATH, http_method=[HttpMethod.OPTIONS])
async def preflight_short(request: AnyRequest, engine: Engine) -> Response[bytes]:
    """Tell what a signed URL tells."""
    return dispatch.answer_preflight(request, engine)


def _render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    answer = dispatch.render_error(request, error)
    return upload_page.explain(answer, error) if upload_page.is_wanted(request) else answer


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router("/", route_handlers=[preflight_short, upload_short], exception_handlers={Exception: _render_error})
