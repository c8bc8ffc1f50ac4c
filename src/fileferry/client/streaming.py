"""Sending an upload as one stream that goes on wherever it was cut: what to send next, how that is said, when it is worth it.

Sends nothing itself. The requests are PATCHes of tus 1.0 to the upload's signed address.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import google_crc32c
import httpx

from fileferry.client.failures import UnexpectedAnswer, unreadable
from fileferry.client.nouns import Ticket
from fileferry.client.slices import Slice, Slices
from fileferry.client.sources import AsyncIterableSource, Source
from fileferry.errors import AlreadyUploaded, DigestMismatch, FileTooLarge, LinkRefused, Retry

WINDOW = 8 * 1024 * 1024
"""Bytes of one request; a source that can be read only once is kept in memory for so long."""
OUTDATED = (AlreadyUploaded, LinkRefused)
"""Refusals that say no more than that an upload has gone on: by a request given up as lost, or past the end of its address."""


class Unreliable(Exception):
    """Raised where the connection was cut again and again before a request was through; nobody outside sees it."""


class Feed(Protocol):
    """Bytes that are sent one window after the other."""

    def window(self, offset: int) -> Source | None:
        """Return what to send from ``offset`` on, up to which the server holds everything; None at the end."""

    def crc32c(self) -> str:
        """Return the CRC32C of everything, as eight hexadecimal digits; only at the end."""


class AsyncFeed(Protocol):
    """Bytes that are sent one window after the other, for an event loop."""

    async def window(self, offset: int) -> Source | None:
        """Return as ``Feed.window``."""

    async def crc32c(self) -> str:
        """Return as ``Feed.crc32c``."""


class SlicesFeed:
    """Bytes that can be read anywhere."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices

    def window(self, offset: int) -> Source | None:
        """Return a stretch of the slices."""
        length = min(WINDOW, self._slices.size - offset)
        return Slice(self._slices, offset, length) if length > 0 else None

    def crc32c(self) -> str:
        """Read everything once more, as parts from before the stream were digested each by itself; raise SourceChanged."""
        value = 0
        for piece in Slice(self._slices, 0, self._slices.size).chunks():
            value = google_crc32c.extend(value, piece)
        # Before anybody compares: a file that changed is no fault of the server's.
        self._slices.check_unchanged()
        return f"{value:08x}"


class Held:
    """What a source that can be read once gave and the server may not hold yet: a source itself, to be sent any number of times."""

    name: str | None = None
    restartable = True

    def __init__(self) -> None:
        self._start = 0
        self._held: deque[bytes] = deque()
        self._crc32c = 0
        self.size: int | None = 0
        self.end = 0
        """How many bytes were taken in all."""
        self.ended = False
        """Whether that is all there is."""

    @property
    def has_room(self) -> bool:
        """Whether more is to be taken: it has not ended, and what is kept is less than a window."""
        return not self.ended and self.end - self._start < WINDOW

    def take(self, chunk: bytes | None) -> None:
        """Keep what the source gave; None is its end."""
        if chunk is None:
            self.ended = True
            return
        self._crc32c = google_crc32c.extend(self._crc32c, chunk)
        self._held.append(chunk)
        self.end += len(chunk)
        self.size = self.end - self._start

    def drop(self, offset: int) -> None:
        """Let go of what comes before ``offset``; raise UnexpectedAnswer for a place that cannot be sent from any more."""
        if not self._start <= offset <= self.end:
            raise UnexpectedAnswer(
                "The server has lost bytes that it had acknowledged, and the source cannot be read again.",
                code=UnexpectedAnswer.code,
                status=0,
                retry=Retry.NEVER,
            )
        surplus = offset - self._start
        while surplus > 0:
            first = self._held.popleft()
            if len(first) > surplus:
                self._held.appendleft(first[surplus:])
            surplus -= len(first)
        self._start = offset
        self.size = self.end - offset

    def chunks(self) -> Iterator[bytes]:
        """Yield what is kept."""
        return iter(tuple(self._held))

    def crc32c(self) -> str:
        """Return the CRC32C of all that was taken."""
        return f"{self._crc32c:08x}"


class PipeFeed:
    """A source of unknown length, read as its bytes are needed."""

    def __init__(self, source: Source) -> None:
        self.held = Held()
        self._chunks: Iterator[bytes] = source.chunks()

    def window(self, offset: int) -> Source | None:
        """Read on until there is a window of bytes, or no more."""
        self.held.drop(offset)
        while self.held.has_room:
            self.held.take(next(self._chunks, None))
        return self.held if self.held.size else None

    def crc32c(self) -> str:
        """Return what was computed on the way."""
        return self.held.crc32c()


class AsyncPipeFeed:
    """An asynchronous source, read as its bytes are needed."""

    def __init__(self, source: AsyncIterableSource) -> None:
        self.held = Held()
        self._chunks: AsyncIterator[bytes] = source.chunks()

    async def window(self, offset: int) -> Source | None:
        """Read on until there is a window of bytes, or no more."""
        self.held.drop(offset)
        while self.held.has_room:
            self.held.take(await anext(self._chunks, None))
        return self.held if self.held.size else None

    async def crc32c(self) -> str:
        """Return what was computed on the way."""
        return self.held.crc32c()


class ThreadedFeed:
    """A feed whose reading blocks, for an event loop."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def window(self, offset: int) -> Source | None:
        """Read in a thread."""
        return await asyncio.to_thread(self._feed.window, offset)

    async def crc32c(self) -> str:
        """Compute in a thread."""
        return await asyncio.to_thread(self._feed.crc32c)


def headers_at(offset: int) -> dict[str, str]:
    """Return what says that a request's bytes go on from ``offset``."""
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
    }


def offset_beyond(offset: int, response: httpx.Response) -> int:
    """Return how many bytes the server holds by its answer; raise UnexpectedAnswer unless these are more than ``offset``."""
    said = response.headers.get("Upload-Offset", "")
    if not said.isdecimal() or int(said) <= offset:
        raise unreadable(response, "the next offset of an upload")
    return int(said)


def check_room(ticket: Ticket, window: Source) -> None:
    """Raise FileTooLarge where the bytes go beyond what may come: asyncio would lose the server's own answer."""
    if ticket.offset + (window.size or 0) > ticket.max_size:
        raise FileTooLarge(f"At most {ticket.max_size} bytes may come.", limit=ticket.max_size)


def check_crc32c(ticket: Ticket, sent: str) -> None:
    """Raise DigestMismatch when the server holds other bytes than were sent."""
    if ticket.crc32c is not None and ticket.crc32c != sent:
        raise DigestMismatch(
            "The server holds other bytes than were sent.", sent_crc32c=sent, held_crc32c=ticket.crc32c
        )
