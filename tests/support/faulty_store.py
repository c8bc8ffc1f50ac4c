"""A way to a store that fails: what comes between is an HTTP proxy that answers, cuts or keeps silent as it is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_SLOW_DOWN = b"<Error><Code>SlowDown</Code></Error>"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
FAULTS = ("slow_down", "reset", "cut", "unheard", "silent")
"""503; the connection reset within the request; the answer cut short; done, but the answer lost; no answer at all."""


class FaultyWay:
    """Forwards requests to ``endpoint``; ``choose`` names the fault of each, by its first line, or None."""

    def __init__(self, endpoint: str, choose: Callable[[str], str | None]) -> None:
        self._to = urlsplit(endpoint)
        self._choose = choose
        self._silent = asyncio.Event()
        self.requests: list[tuple[str, str | None]] = []
        self.endpoint = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaultyWay]:
        """Listen on a free port of loopback until the end."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._silent.set()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line = head.split(b"\r\n", 1)[0].decode()
                fault = self._choose(line)
                self.requests.append((line, fault))
                length = _length(head)
                if fault == "reset":
                    await reader.readexactly(length // 2)
                    writer.transport.abort()
                    break
                body = await reader.readexactly(length)
                if fault == "silent":
                    await self._silent.wait()
                    break
                if fault == "slow_down":
                    told = f"HTTP/1.1 503 Slow Down\r\nContent-Length: {len(_SLOW_DOWN)}\r\n\r\n".encode() + _SLOW_DOWN
                    writer.write(told)
                    await writer.drain()
                    continue
                answer = await self._forward(head, body)
                if fault == "unheard":
                    break
                writer.write(answer[: len(answer) // 2] if fault == "cut" else answer)
                await writer.drain()
                if fault == "cut":
                    break
        writer.close()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        """Send a request on a connection of its own, and return the whole answer."""
        reader, writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        try:
            writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0
