"""How the address of a request may be spelt: no longer than a bound, as what is done with it takes time by its length, and in one
way, as what sits in front denies and caches addresses by their spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from fileferry.errors import AddressTooLong, NotFound
from fileferry.telemetry import Application, Message, Receive, Send
from fileferry.web import problems
from fileferry.web.caching import PRIVATE

LONGEST_TARGET = 64 * 1024
"""Bytes, as they were sent: a path of the longest, and metadata of the largest, fit in percent-encoded."""

_WITH_A_SLASH = ("/tus", "/ui")
"""Clients of tus are told of an endpoint, and many write it with a slash; so do people."""


class BoundedTarget:
    """ASGI middleware: refuses a request whose address is too long, before anything looks into it."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on one request, or answer it."""
        if scope["type"] != "http" or len(scope["raw_path"]) + len(scope["query_string"]) <= LONGEST_TARGET:
            await self._application(scope, receive, send)
            return
        error = AddressTooLong(f"An address may have at most {LONGEST_TARGET} bytes.", limit=LONGEST_TARGET)
        request: Request[Any, Any, Any] = Request(scope)  # type: ignore[arg-type]
        answer = problems.render(request, error)
        answer.headers.update(PRIVATE)
        await answer.to_asgi_response(app=None, request=request)(scope, receive, send)  # type: ignore[arg-type]


async def refuse_other_spellings(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Raise NotFound, as a guard, unless the address is sent as its route is written, of which routing sees less.

    What stands for a parameter may be encoded as its client likes, and a path of a user may be any.
    """
    scope = connection.scope
    if not is_spelt_as_routed(
        scope["raw_path"], scope["path_template"], scope["path_params"], connection.route_handler
    ):
        raise NotFound("There is nothing at this address.")


def is_spelt_as_routed(sent: bytes, template: str, parameters: Mapping[str, Any], handler: BaseRouteHandler) -> bool:
    """Whether an address is ``sent`` as the route that was found for it is written."""
    if b"%" not in sent and b"//" not in sent and not sent.endswith(b"/"):
        return True
    # A path that is none is told by whoever takes paths.
    takes_path = sent.rstrip(b"/").endswith(b"/path") or any(path.endswith(":path}") for path in handler.paths)
    ends_in_path = any(str(value).startswith("/") for value in parameters.values())
    return _is_spelt(sent.decode("latin-1").rstrip("/" if takes_path else ""), template, ends_in_path)


def _is_spelt(sent: str, template: str, ends_in_path: bool) -> bool:
    if sent.removesuffix("/") in _WITH_A_SLASH:
        return True
    segments, wanted = sent.split("/"), template.split("/")
    if ends_in_path:
        wanted = wanted[:-1]
        segments = segments[: len(wanted)]
    return len(segments) == len(wanted) and all(
        segment != "" if name.startswith("{") else segment == name
        for segment, name in zip(segments, wanted, strict=True)
    )
