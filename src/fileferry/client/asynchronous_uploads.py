"""What ``AsyncClient.upload`` does: in one request, with a ticket, in parallel parts that may be continued, or as a stream.

A stream goes on wherever it was cut: for connections too unreliable for anything else, and for bytes that can be read once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx

from fileferry.client import calls
from fileferry.client.calls import NewFile
from fileferry.client.crew import in_tasks
from fileferry.client.failures import SourceChanged
from fileferry.client.journal import Journal
from fileferry.client.manner import Manner
from fileferry.client.nouns import File, Ticket
from fileferry.client.parts import Parts, Progress
from fileferry.client.proof import check_etag, check_promise, check_size, check_upload
from fileferry.client.slices import Slice, Slices
from fileferry.client.sources import AsyncIterableSource, BytesSource, Sending, Source, sliced
from fileferry.client.streaming import (
    OUTDATED,
    AsyncFeed,
    AsyncPipeFeed,
    PipeFeed,
    SlicesFeed,
    ThreadedFeed,
    Unreliable,
    check_crc32c,
    check_room,
)
from fileferry.client.transport import AsyncTransport
from fileferry.errors import DigestMismatch, FerryError, Gone, LinkRefused, NotFound


async def upload(transport: AsyncTransport, source: Source | AsyncIterableSource, new: NewFile, manner: Manner) -> File:
    """Upload a source and return its file."""
    if isinstance(source, AsyncIterableSource) or source.size is None:
        return await _of_unknown_size(transport, source, new, manner)
    if manner.takes_parts(source):
        with sliced(source) as slices, manner.journal(transport.connection, new, slices) as journal:
            return await _InParts(transport, slices, new, manner, journal).run()
    if new.needs_ticket:
        return await _with_ticket(transport, source, new, manner)
    return await _in_one_request(transport, source, new, manner)


async def _of_unknown_size(
    transport: AsyncTransport, source: Source | AsyncIterableSource, new: NewFile, manner: Manner
) -> File:
    pipe = AsyncPipeFeed(source) if isinstance(source, AsyncIterableSource) else PipeFeed(source)
    feed: AsyncFeed = ThreadedFeed(pipe) if isinstance(pipe, PipeFeed) else pipe
    await feed.window(0)
    if pipe.held.ended:
        known = BytesSource(b"".join(pipe.held.chunks()))
        return await upload(transport, known, new, replace(manner, resumed=None))
    ticket = await transport.run(calls.open_upload(new, size=None))
    async with _aborted_on_failure(transport, ticket, new):
        await _stream(transport, ticket, feed, new, manner.progress)
    return await _complete(transport, ticket, None, new, pipe.held.end)


async def _in_one_request(transport: AsyncTransport, source: Source, new: NewFile, manner: Manner) -> File:
    call = calls.upload(new)
    attempts = transport.retries.begin()
    was_sent = False
    while True:
        sending = Sending(source)
        try:
            response = await transport.send(call, sending, manner.progress)
            break
        except FerryError as error:
            check_promise(sending, new.sha256)
            delay = attempts.delay_after(error, repeatable=call.repeatable)
            was_sent |= sending.ended
            # Sent to its end, it may have become a file; only the same request again does not make a second one.
            if attempts.is_unreliable and not was_sent:
                return await _as_stream(transport, source, new, manner)
            await asyncio.sleep(delay)
    file = call.read(response)
    try:
        check_upload(file, sending, response)
    except DigestMismatch:
        if response.status_code == httpx.codes.CREATED:
            with contextlib.suppress(FerryError):
                await transport.delete(calls.delete_file(file.file_id, permanent=True, organization=new.organization))
        raise
    return file


async def _as_stream(transport: AsyncTransport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = await transport.run(calls.open_upload(new, size=source.size))
    async with _aborted_on_failure(transport, ticket, new):
        await _stream_whole(transport, ticket, source, new, manner)
    return await _complete(transport, ticket, None, new, source.size or 0)


async def _with_ticket(transport: AsyncTransport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = await transport.run(calls.open_upload(new, size=source.size))
    async with _aborted_on_failure(transport, ticket, new):
        try:
            await _put_whole(transport, ticket, source, manner)
        except Unreliable:
            await _stream_whole(transport, ticket, source, new, manner)
    return await _complete(transport, ticket, None, new, source.size or 0)


async def _put_whole(transport: AsyncTransport, ticket: Ticket, source: Source, manner: Manner) -> None:
    attempts = transport.retries.begin()
    while True:
        sending = Sending(source, "md5")
        try:
            check_etag(await transport.put(ticket.url, sending, manner.progress), sending)
            return
        except FerryError as error:
            delay = attempts.delay_after(error, repeatable=True)
            if attempts.is_unreliable:
                raise Unreliable from error
            await asyncio.sleep(delay)


async def _stream_whole(
    transport: AsyncTransport, ticket: Ticket, source: Source, new: NewFile, manner: Manner
) -> None:
    with sliced(source) as slices:
        await _stream(transport, ticket, ThreadedFeed(SlicesFeed(slices)), new, manner.progress)


async def _stream(
    transport: AsyncTransport, ticket: Ticket, feed: AsyncFeed, new: NewFile, progress: Progress | None
) -> None:
    """Send what the server misses of an upload, window by window, each from where the one before was cut off."""
    size = ticket.size
    asked = calls.stream_upload(ticket.upload_id, new.organization)
    seconds = calls.digesting_seconds(new, size or 0)
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
                await asyncio.sleep(attempts.delay_after(error, repeatable=True, final=(DigestMismatch,)))
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


async def _complete(
    transport: AsyncTransport, ticket: Ticket, listed: list[tuple[int, str]] | None, new: NewFile, size: int
) -> File:
    file = await transport.run(calls.complete_upload(ticket, listed, new, size=size))
    check_size(file, size)
    return file


@contextlib.asynccontextmanager
async def _aborted_on_failure(transport: AsyncTransport, ticket: Ticket, new: NewFile) -> AsyncIterator[None]:
    try:
        yield
    except Exception:
        await _abort(transport, ticket.upload_id, new)
        raise


async def _abort(transport: AsyncTransport, upload_id: str, new: NewFile) -> None:
    # A courtesy, tried once: the server ends by itself what nobody completes.
    with contextlib.suppress(FerryError):
        await transport.send(calls.abort_upload(upload_id, new.organization))


class _InParts:
    """One upload in parts, from its ticket to its file."""

    def __init__(
        self, transport: AsyncTransport, slices: Slices, new: NewFile, manner: Manner, journal: Journal | None
    ) -> None:
        self._transport = transport
        self._slices = slices
        self._new = new
        self._manner = manner
        self._journal = journal
        self._renewing = asyncio.Lock()
        self._part_url = ""

    async def run(self) -> File:
        """Continue or begin the upload; begin once more when the server has given it up meanwhile."""
        if (continued := await self._continued()) is not None:
            try:
                return await self._finish(continued)
            except Gone:
                self._forget()
        try:
            return await self._finish(await self._begin())
        except Gone:
            self._forget()
        return await self._finish(await self._begin())

    async def _continued(self) -> Ticket | None:
        if self._journal is None:
            return None
        if self._journal.outdated_id is not None:
            await _abort(self._transport, self._journal.outdated_id, self._new)
        if self._journal.upload_id is None:
            return None
        try:
            ticket = await self._transport.run(calls.get_upload(self._journal.upload_id, self._new.organization))
        except (NotFound, Gone):
            return None
        return ticket if ticket.is_alive else None

    async def _begin(self) -> Ticket:
        asked = calls.open_upload(self._new, size=self._slices.size, in_parts=True, part_size=self._manner.part_size)
        ticket = await self._transport.run(asked)
        if self._journal is not None:
            self._journal.remember(ticket)
        return ticket

    def _forget(self) -> None:
        if self._journal is not None:
            self._journal.forget()

    async def _finish(self, ticket: Ticket) -> File:
        listed = None
        if ticket.state == "open":
            try:
                listed = await self._send(ticket)
            except SourceChanged:
                await _abort(self._transport, ticket.upload_id, self._new)
                self._forget()
                raise
            except Exception:
                if self._journal is None:
                    await _abort(self._transport, ticket.upload_id, self._new)
                raise
        elif self._manner.progress:
            self._manner.progress(self._slices.size, self._slices.size)
        try:
            file = await _complete(self._transport, ticket, listed, self._new, self._slices.size)
        except DigestMismatch:
            self._forget()
            raise
        self._forget()
        return file

    async def _send(self, ticket: Ticket) -> list[tuple[int, str]] | None:
        """Send what is missing, and return the list of the parts; None where it was sent as a stream."""
        if ticket.offset == 0:
            with contextlib.suppress(Unreliable):
                return await self._send_parts(ticket)
        feed = ThreadedFeed(SlicesFeed(self._slices))
        try:
            await _stream(self._transport, ticket, feed, self._new, self._manner.progress)
        except DigestMismatch:
            await _abort(self._transport, ticket.upload_id, self._new)
            self._forget()
            raise
        return None

    async def _send_parts(self, ticket: Ticket) -> list[tuple[int, str]]:
        parts = Parts(ticket, self._slices.size, self._manner.progress)
        self._part_url = ticket.part_url

        async def send_part(number: int) -> None:
            etag = await self._send_part(ticket, number, Slice(self._slices, *parts.extent(number)))
            parts.acknowledge(number, etag)

        await in_tasks(parts.missing(), self._manner.parallel, send_part)
        self._slices.check_unchanged()
        return parts.listed()

    async def _send_part(self, ticket: Ticket, number: int, part: Slice) -> str:
        attempts = self._transport.retries.begin()
        url, is_fresh = self._part_url, False
        while True:
            sending = Sending(part, "md5")
            try:
                return check_etag(await self._transport.put(f"{url}&partNumber={number}", sending), sending)
            except LinkRefused:
                if is_fresh:
                    raise
                url, is_fresh = await self._renewed(ticket, url), True
            except FerryError as error:
                delay = attempts.delay_after(error, repeatable=True)
                if attempts.is_unreliable:
                    raise Unreliable from error
                await asyncio.sleep(delay)
                url, is_fresh = self._part_url, False

    async def _renewed(self, ticket: Ticket, refused: str) -> str:
        async with self._renewing:
            # Another task may have asked already.
            if self._part_url == refused:
                asked = calls.renew_upload(ticket.upload_id, self._new.organization)
                self._part_url = (await self._transport.run(asked)).part_url
            return self._part_url
