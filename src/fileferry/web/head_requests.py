"""HEAD wherever GET is: what no route answers by itself is asked as a GET, and its body is kept back (RFC 9110 section 9.3.2)."""

from __future__ import annotations

import asyncio

from fileferry.telemetry import Application, Message, Receive, Send


class HeadRequests:
    """ASGI middleware: answers a HEAD that is refused only because its route has no more than a GET."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on one request; a HEAD perhaps once more, as GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._application(scope, receive, send)
            return
        is_refused = False

        async def watching_send(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = _is_refused(message)
            if not is_refused:
                await send(message)

        again = {**scope, "method": "GET", "state": dict(scope.get("state") or {})}
        await self._application(scope, receive, watching_send)
        if is_refused:
            await self._ask(again, receive, send)
            scope["path_template"] = again.get("path_template")  # what it is counted by

    async def _ask(self, scope: Message, receive: Receive, send: Send) -> None:
        told = asyncio.Event()

        async def head_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif not told.is_set():
                told.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def ending_receive() -> Message:
            """Say that the client has gone once the head was told: an answer without an end, such as events, is over then."""
            departing = asyncio.ensure_future(told.wait())
            coming = asyncio.ensure_future(receive())
            try:
                await asyncio.wait([departing, coming], return_when=asyncio.FIRST_COMPLETED)
                return coming.result() if coming.done() else {"type": "http.disconnect"}
            finally:
                departing.cancel()
                coming.cancel()

        await self._application(scope, ending_receive, head_send)


def _is_refused(message: Message) -> bool:
    allowed = next((value for name, value in message.get("headers", ()) if name.lower() == b"allow"), b"")
    methods = {method.strip() for method in allowed.upper().split(b",")}
    return message["status"] == 405 and b"GET" in methods and b"HEAD" not in methods
