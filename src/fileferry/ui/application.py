"""The pages together, as an application of their own behind the door."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import Provide

from fileferry.errors import FerryError
from fileferry.ui import (
    assets,
    authorize,
    connect,
    exchanges,
    file,
    files,
    keys,
    live,
    openid,
    organizations,
    pages,
    people,
    reports,
    server,
    sign_in,
    uploads,
    visits,
    webhooks,
)
from fileferry.ui.engines import engine_of
from fileferry.web import problems
from fileferry.web.framework import Framework
from fileferry.web.identities import spell
from fileferry.web.requests import AnyRequest


@get("/")
async def go_to_files(request: AnyRequest) -> Response[str]:
    """Lead to the first page."""
    return pages.redirect(request, "/files")


def make() -> Framework:
    """Return the application that answers for every page."""
    return Framework(
        route_handlers=[
            go_to_files,
            assets.get_asset,
            *sign_in.handlers,
            *authorize.handlers,
            *openid.handlers,
            *files.handlers,
            *file.handlers,
            *live.handlers,
            *uploads.handlers,
            *exchanges.handlers,
            *keys.handlers,
            *people.handlers,
            *webhooks.handlers,
            *organizations.handlers,
            *reports.handlers,
            *server.handlers,
            *connect.handlers,
        ],
        dependencies={
            "engine": Provide(engine_of, sync_to_thread=False),
            "visitor": Provide(visits.visitor_of),
        },
        exception_handlers={Exception: render_error},
        before_request=spell,
        logging_config=None,
        openapi_config=None,
    )


def render_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer with a page that says what went wrong; a page without anybody signed in leads to the form."""
    failure: FerryError = problems.known(error)
    is_for_program = "application/json" in request.headers.get("accept", "")
    if is_for_program:
        return problems.answer(failure)
    if failure.status == 401:
        return sign_in.to_sign_in(request)
    answer = pages.render(request, "error.html", status=failure.status, failure=failure)
    if failure.retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, round(failure.retry_after)))
    return answer
