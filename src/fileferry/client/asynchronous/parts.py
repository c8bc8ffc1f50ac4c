"""An upload in parts that are sent side by side, and that a later process may continue."""

from __future__ import annotations

import contextlib

from fileferry.client.asynchronous import endings, streams
from fileferry.client.asynchronous.runtime import Lock, in_parallel, sleep
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import uploads
from fileferry.client.calls.uploads import NewFile
from fileferry.client.failures import SourceChanged
from fileferry.client.nouns.files import File
from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.journal import Journal
from fileferry.client.transfers.manner import Manner
from fileferry.client.transfers.parts import Parts
from fileferry.client.transfers.proof import check_etag
from fileferry.client.transfers.slices import Slice, Slices
from fileferry.client.transfers.sources import Sending
from fileferry.client.transfers.streaming import Unreliable
from fileferry.errors import DigestMismatch, FerryError, Gone, LinkRefused, NotFound


class InParts:
    """One upload in parts, from its ticket to its file."""

    def __init__(
        self, transport: Transport, slices: Slices, new: NewFile, manner: Manner, journal: Journal | None
    ) -> None:
        self._transport = transport
        self._slices = slices
        self._new = new
        self._manner = manner
        self._journal = journal
        self._renewing = Lock()
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
            await endings.abort(self._transport, self._journal.outdated_id, self._new)
        if self._journal.upload_id is None:
            return None
        try:
            ticket = await self._transport.run(uploads.get(self._journal.upload_id, self._new.organization))
        except (NotFound, Gone):
            return None
        return ticket if ticket.is_alive else None

    async def _begin(self) -> Ticket:
        asked = uploads.open_ticket(self._new, size=self._slices.size, in_parts=True, part_size=self._manner.part_size)
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
                await endings.abort(self._transport, ticket.upload_id, self._new)
                self._forget()
                raise
            except Exception:
                if self._journal is None:
                    await endings.abort(self._transport, ticket.upload_id, self._new)
                raise
        elif self._manner.progress:
            self._manner.progress(self._slices.size, self._slices.size)
        try:
            file = await endings.complete(self._transport, ticket, listed, self._new, self._slices.size)
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
        feed = streams.SlicesFeed(self._slices)
        try:
            await streams.send(self._transport, ticket, feed, self._new, self._manner.progress)
        except DigestMismatch:
            await endings.abort(self._transport, ticket.upload_id, self._new)
            self._forget()
            raise
        return None

    async def _send_parts(self, ticket: Ticket) -> list[tuple[int, str]]:
        parts = Parts(ticket, self._slices.size, self._manner.progress)
        self._part_url = ticket.part_url

        async def send_part(number: int) -> str:
            return await self._send_part(ticket, number, Slice(self._slices, *parts.extent(number)))

        await in_parallel(parts.missing(), self._manner.parallel, send_part, parts.acknowledge)
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
                await sleep(delay)
                url, is_fresh = self._part_url, False

    async def _renewed(self, ticket: Ticket, refused: str) -> str:
        async with self._renewing:
            # Another task may have asked already.
            if self._part_url == refused:
                renewed = await self._transport.run(uploads.renew(ticket.upload_id, self._new.organization))
                self._part_url = renewed.part_url
            return self._part_url
