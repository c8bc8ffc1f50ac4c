"""Long bodies whose length was announced: they pass the parser by, and are read from the socket as they are asked for.

What ``connections`` builds on. Bodies in chunks, short ones and those under TLS are uvicorn's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from fileferry.web.trailers import TrailersDropped
from fileferry.web.zerocopy import SendingCycle

_LONG = 256 * 1024
"""Bytes from which on a body is long: what the loop reads at once."""
_MOST_READ = 512 * 1024
"""Bytes that are read at once where a client sends as fast as that: as much as is then written at once."""


class LongBodies(TrailersDropped):
    """Gives the parser the head of a request with a long body, and what came with it; the rest is counted, not parsed."""

    left = 0
    """Bytes of a long body that have not come yet; 0 for any other."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.left = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the headers, which say how long the body is."""
        length = _announced(self.headers)
        if length >= _LONG and self.scheme == "http" and not self.parser.should_upgrade():
            self.left = length
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body."""
        self.left = max(self.left - len(body), 0)
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """Take what the loop has read."""
        if self.left:
            piece, data = data[: self.left], data[self.left :]
            self.on_body(piece)
            self._end_if_whole()
            if not data:
                return
        super().data_received(data)

    def read_on(self) -> bytes:
        """Return the next bytes of a long body that the kernel has, none where it has none; all before them went to ``on_body``."""
        try:
            piece = os.read(self.transport.get_extra_info("socket").fileno(), min(self.left, _MOST_READ))
        except BlockingIOError:
            return b""
        except OSError:
            self.transport.abort()
            return b""
        self.left -= len(piece)
        if len(piece) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()  # as there is more to be read here, soon
        self._end_if_whole()
        return piece

    def _end_if_whole(self) -> None:
        if self.left:
            return
        self.on_message_complete()
        # The one that there was still waits for this body.
        self.parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(AttributeError):  # httptools 0.6.3; uvicorn sets it, with the same reservation
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)


class ReadingCycle(SendingCycle):
    """A request and its answer, whose body is read by the one who asks for it, if it is long and comes fast."""

    async def receive(self) -> Any:
        """Return the next message of the request."""
        # The loop goes on reading for whoever waits, and for nobody else: it would read less at once.
        if self._is_arriving() and (piece := bytes(self.body) or await self._read_on()):
            self.body = cast(bytearray, b"")
            self.message_event.clear()
            return {"type": "http.request", "body": piece, "more_body": self.more_body}
        return await super().receive()

    async def _read_on(self) -> bytes:
        await asyncio.sleep(0)  # a client that is faster than we are must not keep the loop from all others
        return self._protocol().read_on() if self._is_arriving() and not self.body else b""

    def _is_arriving(self) -> bool:
        """Whether more is to come of a long body, which is that of this request."""
        if self.disconnected or self.response_complete or self.waiting_for_100_continue or self.transport.is_closing():
            return False
        protocol = self._protocol()
        return protocol.cycle is self and protocol.left > 0

    def _protocol(self) -> LongBodies:
        return cast(LongBodies, self.transport.get_protocol())


def _announced(fields: list[tuple[bytes, bytes]]) -> int:
    """Return the length that a head announces in the one plain way; 0 for any other head."""
    lengths = [value for name, value in fields if name == b"content-length"]
    if len(lengths) != 1 or not lengths[0].isdigit() or any(name == b"transfer-encoding" for name, _ in fields):
        return 0
    return int(lengths[0])
