"""Answering before the body was read: the client gets to see the answer, and does not get to send gigabytes to nobody.

Closing a connection on a client that still sends makes it lose the answer, and some proxies look at an answer only once they
have sent everything. So what still comes is read and dropped as long as the client gets on, and no longer: reading costs little,
but a client that hardly sends would hold its connection for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib

from fileferry.telemetry import Application, Message, Receive, Send

_STRETCH = 5.0
"""Seconds in which ``_LEAST_BYTES`` must come: 50 KiB a second, which any line has that large files come by."""
_LEAST_BYTES = 256 * 1024
_MOST_SECONDS = 600.0


class Lingering:
    """ASGI middleware: lets an answer arrive whose request was not read to its end; reads on for ``most_seconds`` at most."""

    def __init__(self, application: Application, most_seconds: float = _MOST_SECONDS) -> None:
        self._application = application
        self._most_seconds = most_seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; anything that is not HTTP, or that has no body, passes through."""
        has_body, awaits_continue = _announced(scope) if scope["type"] == "http" else (False, False)
        if not has_body:
            await self._application(scope, receive, send)
            return
        unread = True
        # A client that asked first sends its body once it was asked for, which is when the server says 100 (RFC 9110, 10.1.1).
        sends = not awaits_continue

        async def watched_receive() -> Message:
            nonlocal unread, sends
            sends = True
            message = await receive()
            unread = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def lingering_send(message: Message) -> None:
            if not unread:
                await send(message)
            elif message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                if sends:
                    await _drain(watched_receive, self._most_seconds)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._application(scope, watched_receive, lingering_send)


async def _drain(receive: Receive, most_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    last = loop.time() + most_seconds
    with contextlib.suppress(TimeoutError):
        while loop.time() < last:
            async with asyncio.timeout(_STRETCH):
                came = 0
                while came < _LEAST_BYTES:
                    message = await receive()
                    if not message.get("more_body", False):
                        return
                    came += len(message.get("body", b""))


def _announced(scope: Message) -> tuple[bool, bool]:
    """Return whether a request has a body, and whether its client waits to be asked for that."""
    has_body = awaits_continue = False
    for name, value in scope["headers"]:
        if (name == b"content-length" and value != b"0") or name == b"transfer-encoding":
            has_body = True
        elif name == b"expect":
            awaits_continue = True
    return has_body, awaits_continue
