"""Sending slices of files from the kernel's cache to the socket, without their passing through Python; and heads with bodies.

The first is the ASGI extension ``http.response.zerocopysend``, which uvicorn does not have. ``connections`` offers it.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

from fileferry.groups import settled
from fileferry.telemetry import Message

TYPE = "http.response.zerocopysend"
EXTENSIONS: dict[str, dict[object, object]] = {TYPE: {}}
LONGEST = 8 * 1024 * 1024
"""Bytes of one message: so often it is looked whether the client is there, and what was sent is counted."""
_COPIED = 256 * 1024
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
# How long a thread waits for a client, once in a message: a fast one needs no turn of the loop for each time its window is full.
_PATIENCE_MS = 5
_threads = ThreadPoolExecutor(8, thread_name_prefix="send")


def is_offered(scope: Any) -> bool:
    """Whether the server of a request takes messages of this type."""
    return TYPE in (scope.get("extensions") or ())


class SendingCycle(RequestResponseCycle):
    """A request and its answer, whose body may come as slices of files. Its head goes in one write with what comes first."""

    _head: Message | None = None

    async def send(self, message: Any) -> None:
        """Take a message of the answer; ``count`` of a slice becomes what the kernel took of it.

        Where the client has gone nothing is left in the message: no bytes of a body, and no ``count``.
        https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send; ``more_body`` is always true here.
        """
        if message["type"] == "http.response.start" and not self.response_started:
            # One that comes instead of another tells of an error in between.
            self._head = message if _has_length(message) else None
            if self._head is not None:
                return
        head, self._head = self._head, None
        # What was written before goes first.
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            message |= {"count": 0} if message["type"] == TYPE else {"body": b""}
            return
        if head is None:
            await self._send(message)
            return
        begun = self._begun(head)
        if message["type"] == TYPE:
            self.transport.write(begun)
            await self._send(message)
        else:
            self._send_with(begun, message)

    def _begun(self, start: Message) -> bytes:
        """Return the head of an answer whose length is told, as it is sent.

        uvicorn's own looks into each field by itself, with two regular expressions.
        """
        fields = [*self.default_headers, *start["headers"]]
        if HEADER_VALUE_RE.search(b"".join([value for _name, value in fields])):
            raise RuntimeError("Invalid HTTP header value.")
        lines = [STATUS_LINE[start["status"]]]
        says_close = False
        for name, value in fields:
            beginning = _beginning(name)
            lines += (beginning, value, b"\r\n")
            if beginning == b"content-length: ":
                self.expected_content_length = int(value)
            elif beginning == b"connection: " and b"close" in value.lower():
                self.keep_alive, says_close = False, True
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = False
        return b"".join(lines)

    def _send_with(self, begun: bytes, message: Message) -> None:
        """Send a head together with the first piece of its body, and end the answer where that is all."""
        if self.scope["method"] == "HEAD":
            piece, self.expected_content_length = b"", 0
        else:
            piece = message.get("body", b"")
            self.expected_content_length -= len(piece)
        if self.expected_content_length < 0:
            raise RuntimeError("The body of an answer is longer than its length.")
        self.transport.write(begun + piece)
        if message.get("more_body", False):
            return
        if self.expected_content_length:
            raise RuntimeError("The body of an answer is shorter than its length.")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def _send(self, message: Any) -> None:
        if message["type"] != TYPE:
            await super().send(message)
            return
        if not self.response_started or self.response_complete or self.chunked_encoding:
            raise RuntimeError("A slice of a file belongs into a body whose length was told.")
        if message["count"] > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        await self._send_slice(message)

    async def _send_slice(self, message: Message) -> None:
        file, offset, count = message["file"], message["offset"], message["count"]
        message["count"] = 0
        loop = asyncio.get_running_loop()
        # The loop's own descriptor would be closed, and given to another connection, while a thread uses it.
        descriptor = os.dup(self.transport.get_extra_info("socket").fileno())
        patience = _PATIENCE_MS
        try:
            while message["count"] < count and not self.disconnected:
                rest = (offset + message["count"], count - message["count"])
                taken = await settled(loop.run_in_executor(_threads, _send, descriptor, file, *rest, patience))
                message["count"] += taken
                self.expected_content_length -= taken
                if message["count"] < count:
                    patience = 0
                    await self._writable(loop, descriptor)
        except ConnectionError:
            self.transport.abort()
        finally:
            os.close(descriptor)

    async def _writable(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        """Return once the kernel takes more, or the client is gone; the connection sees to it that this has an end."""
        connection = cast(asyncio.Protocol, self.transport.get_protocol())
        connection.pause_writing()
        loop.add_writer(descriptor, connection.resume_writing)
        try:
            await self.flow.drain()
        finally:
            loop.remove_writer(descriptor)
            self.flow.resume_writing()


@functools.lru_cache(maxsize=512)
def _beginning(name: bytes) -> bytes:
    """Return what the line of a field begins with; raises RuntimeError for what is no name."""
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower() + b": "


def _has_length(start: Message) -> bool:
    return b"content-length" in [name for name, _value in start["headers"]]


def _send(descriptor: int, file: FileIO, offset: int, count: int, patience: int) -> int:
    """Send until all is sent, or the socket has taken nothing for ``patience`` milliseconds; return how many bytes that were."""
    send: Callable[[int, int, int, int], int] = os.sendfile
    sent = 0
    while sent < count:
        try:
            taken = send(descriptor, file.fileno(), offset + sent, count - sent)
        except BlockingIOError:
            if patience and _takes_more(descriptor, patience):
                continue
            break
        except OSError as error:
            if error.errno not in _NO_SENDFILE or send is _copy:
                raise
            send = _copy  # a filesystem that the kernel cannot send from
            continue
        if not taken:
            raise OSError(errno.EIO, "A blob is shorter than its file", file.name)
        sent += taken
    return sent


def _takes_more(descriptor: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _copy(descriptor: int, file: int, offset: int, count: int) -> int:
    block = os.pread(file, min(count, _COPIED), offset)
    return os.write(descriptor, block) if block else 0
