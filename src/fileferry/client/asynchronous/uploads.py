"""What ``AsyncClient.upload`` does: in one request, with a ticket, in parallel parts that may be continued, or as a stream.

A stream goes on wherever it was cut: for connections too unreliable for anything else, and for bytes that can be read once.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import httpx

from fileferry.client.asynchronous import endings, streams
from fileferry.client.asynchronous.parts import InParts
from fileferry.client.asynchronous.runtime import AnySource, sleep
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import files, uploads
from fileferry.client.calls.uploads import NewFile
from fileferry.client.nouns.files import File
from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.manner import Manner
from fileferry.client.transfers.proof import check_etag, check_promise, check_upload
from fileferry.client.transfers.sources import BytesSource, Sending, Source, sliced
from fileferry.client.transfers.streaming import Unreliable
from fileferry.errors import DigestMismatch, FerryError


async def upload(transport: Transport, source: AnySource, new: NewFile, manner: Manner) -> File:
    """Upload a source and return its file."""
    if source.size is None:
        return await _of_unknown_size(transport, source, new, manner)
    if manner.takes_parts(source):
        with sliced(source) as slices, manner.journal(transport.connection, new, slices) as journal:
            return await InParts(transport, slices, new, manner, journal).run()
    if new.needs_ticket:
        return await _with_ticket(transport, source, new, manner)
    return await _in_one_request(transport, source, new, manner)


async def _of_unknown_size(transport: Transport, source: AnySource, new: NewFile, manner: Manner) -> File:
    feed = streams.PipeFeed(source)
    await feed.window(0)
    if feed.held.ended:
        known = BytesSource(b"".join(feed.held.chunks()))
        return await upload(transport, known, new, replace(manner, resumed=None))
    ticket = await transport.run(uploads.open_ticket(new, size=None))
    async with endings.aborted_on_failure(transport, ticket, new):
        await streams.send(transport, ticket, feed, new, manner.progress)
    return await endings.complete(transport, ticket, None, new, feed.held.end)


async def _in_one_request(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    call = uploads.in_one_request(new)
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
            await sleep(delay)
    file = call.read(response)
    try:
        check_upload(file, sending, response)
    except DigestMismatch:
        if response.status_code == httpx.codes.CREATED:
            with contextlib.suppress(FerryError):
                await transport.delete(files.delete(file.file_id, permanent=True, organization=new.organization))
        raise
    return file


async def _as_stream(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = await transport.run(uploads.open_ticket(new, size=source.size))
    async with endings.aborted_on_failure(transport, ticket, new):
        await _stream_whole(transport, ticket, source, new, manner)
    return await endings.complete(transport, ticket, None, new, source.size or 0)


async def _with_ticket(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = await transport.run(uploads.open_ticket(new, size=source.size))
    async with endings.aborted_on_failure(transport, ticket, new):
        await send_whole(transport, ticket, source, new, manner)
    return await endings.complete(transport, ticket, None, new, source.size or 0)


async def send_whole(transport: Transport, ticket: Ticket, source: Source, new: NewFile, manner: Manner) -> None:
    """Send all bytes to a ticket: in one request, or as a stream where the connection breaks again and again."""
    try:
        await _put_whole(transport, ticket, source, manner)
    except Unreliable:
        await _stream_whole(transport, ticket, source, new, manner)


async def _put_whole(transport: Transport, ticket: Ticket, source: Source, manner: Manner) -> None:
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
            await sleep(delay)


async def _stream_whole(transport: Transport, ticket: Ticket, source: Source, new: NewFile, manner: Manner) -> None:
    with sliced(source) as slices:
        await streams.send(transport, ticket, streams.SlicesFeed(slices), new, manner.progress)
