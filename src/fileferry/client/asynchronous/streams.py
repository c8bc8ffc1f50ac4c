"""Sending an upload as one stream, window by window, each from where the one before was cut off; and what it is fed from."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from fileferry.client.asynchronous.runtime import AnySource, fill, run_blocking, sleep
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import uploads
from fileferry.client.calls.uploads import NewFile
from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.slices import Slice, Slices
from fileferry.client.transfers.sources import Sending, Source
from fileferry.client.transfers.streaming import OUTDATED, WINDOW, Held, check_crc32c, check_room, crc32c_of
from fileferry.errors import DigestMismatch, FerryError


class Feed(Protocol):
    """Bytes that are sent one window after the other."""

    async def window(self, offset: int) -> Source | None:
        """Return what to send from ``offset`` on, up to which the server holds everything; None at the end."""

    async def crc32c(self) -> str:
        """Return the CRC32C of everything, as eight hexadecimal digits; only at the end."""


class SlicesFeed:
    """Bytes that can be read anywhere."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices

    async def window(self, offset: int) -> Source | None:
        """Return a stretch of the slices."""
        length = min(WINDOW, self._slices.size - offset)
        return Slice(self._slices, offset, length) if length > 0 else None

    async def crc32c(self) -> str:
        """Read everything once more; raise SourceChanged where it is not what it was."""
        return await run_blocking(crc32c_of, self._slices)


class PipeFeed:
    """A source of unknown length, read as its bytes are needed."""

    def __init__(self, source: AnySource) -> None:
        self.held = Held()
        self._chunks = source.chunks()

    async def window(self, offset: int) -> Source | None:
        """Read on until there is a window of bytes, or no more."""
        self.held.drop(offset)
        await fill(self.held, self._chunks)
        return self.held if self.held.size else None

    async def crc32c(self) -> str:
        """Return what was computed on the way."""
        return self.held.crc32c()


async def send(transport: Transport, ticket: Ticket, feed: Feed, new: NewFile, progress: Progress | None) -> None:
    """Send what the server misses of an upload."""
    size = ticket.size
    asked = uploads.stream(ticket.upload_id, new.organization)
    seconds = uploads.digesting_seconds(new, size or 0)
    attempts = transport.retries.begin()
    ticket, refused = await transport.run(asked, attempts), False
    while ticket.state == "open" and (window := await feed.window(ticket.offset)) is not None:
        if progress:
            progress(ticket.offset, size)
        check_room(ticket, window)
        try:
            offset = await transport.patch(ticket.url, ticket.offset, Sending(window, "md5"), seconds)
            ticket = replace(ticket, offset=offset)
        except FerryError as error:
            if refused or not isinstance(error, OUTDATED):
                await sleep(attempts.delay_after(error, repeatable=True, final=(DigestMismatch,)))
            before, refused = ticket.offset, isinstance(error, OUTDATED)
            ticket = await transport.run(asked, attempts)
            if ticket.offset <= before:
                continue
        refused = False
        attempts.progressed()
    ticket = await transport.run(asked)
    check_crc32c(ticket, await feed.crc32c())
    if progress:
        progress(size or ticket.offset, size or ticket.offset)
