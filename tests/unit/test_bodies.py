"""Bodies on their way to a handler: not copied where they come as one, and each byte a few times at most where they do not."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from fileferry.web.connections import Connection

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
CONTENT = bytes(range(256)) * 16


def kept_as(sent: bytes) -> tuple[bytes, list[tuple[int, type]]]:
    """Send a request; return its body as a handler gets it, and how it was kept after each piece: length so far, and type."""
    body = b""
    kept: list[tuple[int, type]] = []

    class Watched(Connection):
        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            kept.append((len(self.cycle.body), type(self.cycle.body)))

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        nonlocal body
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        config = Config(application, log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(lambda: Watched(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(sent)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()

    asyncio.run(run())
    return body, kept


def test_a_body_that_comes_as_one_is_not_copied() -> None:
    body, kept = kept_as(HEAD + b"Content-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT)
    assert body == CONTENT
    assert {kind for _length, kind in kept} == {bytes}


def test_pieces_are_added_without_copying_those_before() -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in CONTENT)
    body, kept = kept_as(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert body == CONTENT
    assert {kind for length, kind in kept if length > 1} == {bytearray}
