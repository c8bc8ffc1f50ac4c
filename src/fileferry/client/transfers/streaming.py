"""Sending an upload as one stream that goes on wherever it was cut: what to send next, how that is said, when it is worth it.

Sends nothing itself. The requests are PATCHes of tus 1.0 to the upload's signed address.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import google_crc32c
import httpx

from fileferry.client.failures import UnexpectedAnswer, unreadable
from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.slices import Slice, Slices
from fileferry.client.transfers.sources import Source
from fileferry.errors import AlreadyUploaded, DigestMismatch, FileTooLarge, LinkRefused, Retry

WINDOW = 8 * 1024 * 1024
"""Bytes of one request; a source that can be read only once is kept in memory for so long."""
OUTDATED = (AlreadyUploaded, LinkRefused)
"""Refusals that say no more than that an upload has gone on: by a request given up as lost, or past the end of its address."""


class Unreliable(Exception):
    """Raised where the connection was cut again and again before a request was through; nobody outside sees it."""


class Held:
    """What a source that can be read once gave and the server may not hold yet: a source itself, to be sent any number of times."""

    name: str | None = None

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

    def fill(self, chunks: Iterator[bytes]) -> None:
        """Take chunks as long as there is room for them, and some are left."""
        while self.has_room:
            self.take(next(chunks, None))

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


def crc32c_of(slices: Slices) -> str:
    """Read everything once more and return its CRC32C; raise SourceChanged where it is not what it was.

    Parts from before a stream were digested each by itself, so nobody knows it yet.
    """
    value = 0
    for piece in Slice(slices, 0, slices.size).chunks():
        value = google_crc32c.extend(value, piece)
    # Before anybody compares: a file that changed is no fault of the server's.
    slices.check_unchanged()
    return f"{value:08x}"


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
