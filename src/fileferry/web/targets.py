"""How long the address of a request may be, its query included: what is done with it takes time by its length."""

from __future__ import annotations

from typing import Any

from litestar import Request

from fileferry.errors import AddressTooLong
from fileferry.telemetry import Application, Message, Receive, Send
from fileferry.web import problems
from fileferry.web.caching import PRIVATE

LONGEST_TARGET = 64 * 1024
"""Bytes, as they were sent: a path of the longest, and metadata of the largest, fit in percent-encoded."""


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
