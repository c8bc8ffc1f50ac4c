"""Answers whose body comes in pieces, of bytes or of files: how they are sent, and that it stops when the client goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator

from fileferry.blobs.store import FileSlice
from fileferry.telemetry import Message, Receive, Send
from fileferry.web import zerocopy
from fileferry.web.waiting import departure


class Answer:
    """An ASGI application: a status, headers, and a body that comes in pieces or not at all.

    Without a ``Content-Length`` it comes in chunks. ``on_sent`` is called once all of it was handed over to a client that had
    not gone.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        body: AsyncGenerator[bytes | FileSlice] | None,
        on_sent: Callable[[], None] = lambda: None,
    ) -> None:
        self._status = status
        self._headers = headers
        self._body = body
        self._on_sent = on_sent

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Send the answer; stop reading the store when the client goes away."""
        # The first piece comes before the status, so that a lost blob is still a proper error.
        first = await anext(self._body, b"") if self._body is not None else b""
        await send({"type": "http.response.start", "status": self._status, "headers": self.fields()})
        if self._body is None:
            await self._send_whole(b"", send)
        elif isinstance(first, bytes) and len(first) == int(self._headers.get("Content-Length", -1)):
            await self._send_whole(first, send)
        else:
            await self._send_rest(self._body, first, receive, send)

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields as they are sent."""
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in self._headers.items()]

    async def _send_whole(self, content: bytes, send: Send) -> None:
        message: Message = {"type": "http.response.body", "body": content, "more_body": False}
        await send(message)
        if len(message["body"]) == len(content):  # the server leaves nothing of what it sends to nobody
            self._on_sent()

    async def _send_rest(
        self, body: AsyncGenerator[bytes | FileSlice], first: bytes | FileSlice, receive: Receive, send: Send
    ) -> None:
        gone = asyncio.ensure_future(departure(receive))
        untaken = int(self._headers.get("Content-Length", -1))  # bytes that the kernel has not taken as slices

        async def has_left(message: Message) -> bool:
            """Send, and tell whether the client has gone: the server knows that a turn of the loop before ``gone`` does.

            Who goes once the kernel has taken all of it has just what was asked for.
            """
            nonlocal untaken
            asked: int = message.get("count", 0)
            await send(message)
            await asyncio.sleep(0)
            taken: int = message.get("count", 0)
            untaken -= taken
            return taken != asked or (gone.done() and untaken != 0)

        try:
            async with contextlib.aclosing(body):
                piece: bytes | FileSlice | None = first
                while piece is not None:
                    for message in _messages(piece):
                        if await has_left(message):
                            return
                    piece = None
                    # Nothing more is read before the client has taken this: a send begins by waiting for what came before it.
                    if await has_left({"type": "http.response.body", "body": b"", "more_body": True}):
                        return
                    piece = await anext(body, None)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self._on_sent()
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


class WholeAnswer(Answer):
    """An answer of 200 that is there already: fields as they are sent, and all bytes."""

    def __init__(self, fields: list[tuple[bytes, bytes]], content: bytes, on_sent: Callable[[], None]) -> None:
        super().__init__(200, {}, None, on_sent)
        self._fields = fields
        self._content = content

    async def __call__(self, _scope: Message, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": 200, "headers": self._fields})
        await self._send_whole(self._content, send)


def _messages(piece: bytes | FileSlice) -> Iterator[Message]:
    if isinstance(piece, bytes):
        yield {"type": "http.response.body", "body": piece, "more_body": True}
        return
    for start in range(0, piece.length, zerocopy.LONGEST):
        count = min(zerocopy.LONGEST, piece.length - start)
        yield {
            "type": zerocopy.TYPE,
            "file": piece.file,
            "offset": piece.offset + start,
            "count": count,
            "more_body": True,
        }
