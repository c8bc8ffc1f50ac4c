"""What ``Client.upload`` does: in one request, with a ticket, in parallel parts that may be continued, or as a stream.

A stream goes on wherever it was cut: for connections too unreliable for anything else, and for bytes that can be read once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx

from fileferry.client import calls
from fileferry.client.calls import NewFile
from fileferry.client.crew import Stopped, in_threads
from fileferry.client.failures import SourceChanged
from fileferry.client.journal import Journal
from fileferry.client.manner import Manner
from fileferry.client.nouns import File, Ticket
from fileferry.client.parts import Parts, Progress
from fileferry.client.proof import check_etag, check_promise, check_size, check_upload
from fileferry.client.slices import Slice, Slices
from fileferry.client.sources import BytesSource, Sending, Source, sliced
from fileferry.client.streaming import OUTDATED, Feed, PipeFeed, SlicesFeed, Unreliable, check_crc32c, check_room
from fileferry.client.transport import Transport
from fileferry.errors import DigestMismatch, FerryError, Gone, LinkRefused, NotFound


def upload(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    """Upload a source and return its file."""
    if source.size is None:
        return _of_unknown_size(transport, source, new, manner)
    if manner.takes_parts(source):
        with sliced(source) as slices, manner.journal(transport.connection, new, slices) as journal:
            return _InParts(transport, slices, new, manner, journal).run()
    if new.needs_ticket:
        return _with_ticket(transport, source, new, manner)
    return _in_one_request(transport, source, new, manner)


def _of_unknown_size(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    feed = PipeFeed(source)
    feed.window(0)
    if feed.held.ended:
        known = BytesSource(b"".join(feed.held.chunks()))
        return upload(transport, known, new, replace(manner, resumed=None))
    ticket = transport.run(calls.open_upload(new, size=None))
    with _aborted_on_failure(transport, ticket, new):
        _stream(transport, ticket, feed, new, manner.progress)
    return _complete(transport, ticket, None, new, feed.held.end)


def _in_one_request(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    call = calls.upload(new)
    attempts = transport.retries.begin()
    was_sent = False
    while True:
        sending = Sending(source)
        try:
            response = transport.send(call, sending, manner.progress)
            break
        except FerryError as error:
            check_promise(sending, new.sha256)
            delay = attempts.delay_after(error, repeatable=call.repeatable)
            was_sent |= sending.ended
            # Sent to its end, it may have become a file; only the same request again does not make a second one.
            if attempts.is_unreliable and not was_sent:
                return _as_stream(transport, source, new, manner)
            time.sleep(delay)
    file = call.read(response)
    try:
        check_upload(file, sending, response)
    except DigestMismatch:
        if response.status_code == httpx.codes.CREATED:
            with contextlib.suppress(FerryError):
                transport.delete(calls.delete_file(file.file_id, permanent=True, organization=new.organization))
        raise
    return file


def _as_stream(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = transport.run(calls.open_upload(new, size=source.size))
    with _aborted_on_failure(transport, ticket, new):
        _stream_whole(transport, ticket, source, new, manner)
    return _complete(transport, ticket, None, new, source.size or 0)


def _with_ticket(transport: Transport, source: Source, new: NewFile, manner: Manner) -> File:
    ticket = transport.run(calls.open_upload(new, size=source.size))
    with _aborted_on_failure(transport, ticket, new):
        try:
            _put_whole(transport, ticket, source, manner)
        except Unreliable:
            _stream_whole(transport, ticket, source, new, manner)
    return _complete(transport, ticket, None, new, source.size or 0)


def _put_whole(transport: Transport, ticket: Ticket, source: Source, manner: Manner) -> None:
    attempts = transport.retries.begin()
    while True:
        sending = Sending(source, "md5")
        try:
            check_etag(transport.put(ticket.url, sending, manner.progress), sending)
            return
        except FerryError as error:
            delay = attempts.delay_after(error, repeatable=True)
            if attempts.is_unreliable:
                raise Unreliable from error
            time.sleep(delay)


def _stream_whole(transport: Transport, ticket: Ticket, source: Source, new: NewFile, manner: Manner) -> None:
    with sliced(source) as slices:
        _stream(transport, ticket, SlicesFeed(slices), new, manner.progress)


def _stream(transport: Transport, ticket: Ticket, feed: Feed, new: NewFile, progress: Progress | None) -> None:
    """Send what the server misses of an upload, window by window, each from where the one before was cut off."""
    size = ticket.size
    asked = calls.stream_upload(ticket.upload_id, new.organization)
    seconds = calls.digesting_seconds(new, size or 0)
    attempts = transport.retries.begin()
    ticket, refused = transport.run(asked, attempts), False
    while ticket.state == "open" and (window := feed.window(ticket.offset)) is not None:
        if progress:
            progress(ticket.offset, size)
        check_room(ticket, window)
        try:
            offset = transport.patch(ticket.url, ticket.offset, Sending(window, "md5"), seconds)
            ticket = replace(ticket, offset=offset)
        except FerryError as error:
            if refused or not isinstance(error, OUTDATED):
                time.sleep(attempts.delay_after(error, repeatable=True, final=(DigestMismatch,)))
            before, refused = ticket.offset, isinstance(error, OUTDATED)
            ticket = transport.run(asked, attempts)
            if ticket.offset <= before:
                continue
        refused = False
        attempts.progressed()
    ticket = transport.run(asked)
    check_crc32c(ticket, feed.crc32c())
    if progress:
        progress(size or ticket.offset, size or ticket.offset)


def _complete(
    transport: Transport, ticket: Ticket, listed: list[tuple[int, str]] | None, new: NewFile, size: int
) -> File:
    file = transport.run(calls.complete_upload(ticket, listed, new, size=size))
    check_size(file, size)
    return file


@contextlib.contextmanager
def _aborted_on_failure(transport: Transport, ticket: Ticket, new: NewFile) -> Iterator[None]:
    try:
        yield
    except Exception:
        _abort(transport, ticket.upload_id, new)
        raise


def _abort(transport: Transport, upload_id: str, new: NewFile) -> None:
    # A courtesy, tried once: the server ends by itself what nobody completes.
    with contextlib.suppress(FerryError):
        transport.send(calls.abort_upload(upload_id, new.organization))


class _InParts:
    """One upload in parts, from its ticket to its file."""

    def __init__(
        self, transport: Transport, slices: Slices, new: NewFile, manner: Manner, journal: Journal | None
    ) -> None:
        self._transport = transport
        self._slices = slices
        self._new = new
        self._manner = manner
        self._journal = journal
        self._renewing = threading.Lock()
        self._part_url = ""

    def run(self) -> File:
        """Continue or begin the upload; begin once more when the server has given it up meanwhile."""
        if (continued := self._continued()) is not None:
            try:
                return self._finish(continued)
            except Gone:
                self._forget()
        try:
            return self._finish(self._begin())
        except Gone:
            self._forget()
        return self._finish(self._begin())

    def _continued(self) -> Ticket | None:
        if self._journal is None:
            return None
        if self._journal.outdated_id is not None:
            _abort(self._transport, self._journal.outdated_id, self._new)
        if self._journal.upload_id is None:
            return None
        try:
            ticket = self._transport.run(calls.get_upload(self._journal.upload_id, self._new.organization))
        except (NotFound, Gone):
            return None
        return ticket if ticket.is_alive else None

    def _begin(self) -> Ticket:
        asked = calls.open_upload(self._new, size=self._slices.size, in_parts=True, part_size=self._manner.part_size)
        ticket = self._transport.run(asked)
        if self._journal is not None:
            self._journal.remember(ticket)
        return ticket

    def _forget(self) -> None:
        if self._journal is not None:
            self._journal.forget()

    def _finish(self, ticket: Ticket) -> File:
        listed = None
        if ticket.state == "open":
            try:
                listed = self._send(ticket)
            except SourceChanged:
                _abort(self._transport, ticket.upload_id, self._new)
                self._forget()
                raise
            except Exception:
                if self._journal is None:
                    _abort(self._transport, ticket.upload_id, self._new)
                raise
        elif self._manner.progress:
            self._manner.progress(self._slices.size, self._slices.size)
        try:
            file = _complete(self._transport, ticket, listed, self._new, self._slices.size)
        except DigestMismatch:
            self._forget()
            raise
        self._forget()
        return file

    def _send(self, ticket: Ticket) -> list[tuple[int, str]] | None:
        """Send what is missing, and return the list of the parts; None where it was sent as a stream."""
        if ticket.offset == 0:
            with contextlib.suppress(Unreliable):
                return self._send_parts(ticket)
        try:
            _stream(self._transport, ticket, SlicesFeed(self._slices), self._new, self._manner.progress)
        except DigestMismatch:
            _abort(self._transport, ticket.upload_id, self._new)
            self._forget()
            raise
        return None

    def _send_parts(self, ticket: Ticket) -> list[tuple[int, str]]:
        parts = Parts(ticket, self._slices.size, self._manner.progress)
        self._part_url = ticket.part_url

        def send_part(number: int, stop: threading.Event) -> tuple[int, str]:
            return number, self._send_part(ticket, number, Slice(self._slices, *parts.extent(number)), stop)

        with contextlib.closing(in_threads(parts.missing(), self._manner.parallel, send_part)) as sent:
            for number, etag in sent:
                parts.acknowledge(number, etag)
        self._slices.check_unchanged()
        return parts.listed()

    def _send_part(self, ticket: Ticket, number: int, part: Slice, stop: threading.Event) -> str:
        attempts = self._transport.retries.begin()
        url, is_fresh = self._part_url, False
        while True:
            sending = Sending(part, "md5")
            try:
                return check_etag(self._transport.put(f"{url}&partNumber={number}", sending, stop=stop), sending)
            except LinkRefused:
                if is_fresh:
                    raise
                url, is_fresh = self._renewed(ticket, url), True
            except FerryError as error:
                delay = attempts.delay_after(error, repeatable=True)
                if attempts.is_unreliable:
                    raise Unreliable from error
                if stop.wait(delay):
                    raise Stopped from error
                url, is_fresh = self._part_url, False

    def _renewed(self, ticket: Ticket, refused: str) -> str:
        with self._renewing:
            # Another thread may have asked already.
            if self._part_url == refused:
                asked = calls.renew_upload(ticket.upload_id, self._new.organization)
                self._part_url = self._transport.run(asked).part_url
            return self._part_url
