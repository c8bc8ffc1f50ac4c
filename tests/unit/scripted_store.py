"""A store of objects in this process that answers what a test tells it to, for what is to become of odd answers and broken ways."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fileferry.blobs import s3
from fileferry.blobs.objects.requests import Pause
from fileferry.blobs.s3.objects import Objects

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CUT = b""


Opened = Callable[[str, Pause], tuple[Any, Any]]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer as it is sent."""
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{told}\r\n".encode() + body


def refusal(status: int, code: str) -> bytes:
    """Return one that says no."""
    return answer(status, f"<Error><Code>{code}</Code></Error>".encode())


def opened_bucket(endpoint: str, pause: Pause) -> tuple[s3.Client, Objects]:
    """Return what asks for objects of a bucket there."""
    location = s3.parse(f"s3://bucket/prefix?endpoint={endpoint}")
    client = s3.Client(location, s3.Credentials("the-key", "the-secret"), pause=pause)
    return client, Objects(client, location.prefix)


class Script:
    """A store that answers what it was told to, one answer for each request, and keeps the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.pauses: list[float] = []

    def run(self, use: Callable[[Any], Awaitable[Any]], opened: Opened = opened_bucket) -> Any:
        async def run() -> Any:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            client, objects = opened(f"http://127.0.0.1:{port}", self._pause)
            try:
                return await use(objects)
            finally:
                await client.close()
                server.close()

        return asyncio.run(run())

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                self.requests.append(head)
                told = self.answers.pop(0)
                writer.write(told)
                await writer.drain()
                # An answer that is shorter than it says ends with the connection, as no answer does.
                said = re.search(rb"Content-Length: (\d+)\r\n", told)
                if said is None or len(told.partition(b"\r\n\r\n")[2]) < int(said[1]):
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
