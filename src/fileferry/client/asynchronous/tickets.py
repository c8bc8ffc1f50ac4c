"""``AsyncTickets``: upload tickets for others, such as a browser, that send the bytes themselves and hold no key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import files, uploads
from fileferry.client.calls.call import Lifetime
from fileferry.client.calls.uploads import NewFile
from fileferry.client.nouns.files import File
from fileferry.client.nouns.folders import Folder
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.links import UrlStyle
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.uploads import Ticket, UnfinishedUpload
from fileferry.client.nouns.workspaces import Workspace
from fileferry.errors import InvalidParameter


class AsyncTickets:
    """Presigned upload URLs for others; ``AsyncClient.tickets`` gives it. Its methods raise as the client's do.

    Whoever has ``Ticket.url`` can send the bytes of this one upload, by PUT, a form, tus and the other protocols, and can do
    nothing else. ``get`` tells how far it is, and ``complete`` makes the file, unless ``auto_complete`` let the last byte do that.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        *,
        name: str | None = None,
        path: str | None = None,
        file: File | str | None = None,
        folder: Folder | str | None = None,
        size: int | None = None,
        max_size: int | None = None,
        content_type: str | None = None,
        sha256: str | None = None,
        metadata: Mapping[str, object] | None = None,
        expires_in: Lifetime | None = None,
        expires_at: datetime | None = None,
        expires_after_fetches: int | None = None,
        parts: bool = False,
        part_size: int | None = None,
        auto_complete: bool = False,
        url_style: UrlStyle | None = None,
        workspace: Workspace | str | None = None,
        organization: Organization | str | None = None,
    ) -> Ticket:
        """Make a ticket for a new file called ``name``, or for a version of the file at ``path``, or of ``file``.

        ``size`` is the exact size in bytes; without it anything up to ``max_size`` may come. ``content_type`` is guessed from the
        name by default, and ``sha256`` (hex) must match in the end. ``expires_in``, ``expires_at`` and ``expires_after_fetches``
        are for the file. With ``parts`` part N goes to ``Ticket.url_of_part(N)``. With ``auto_complete`` the last byte makes the
        file; otherwise ``complete`` does. With ``url_style="short"`` the URL is a path of 33 characters behind the server's
        address, without a query, and good for 7 days: for whoever would harm a long one, as language models do.

        >>> ticket = await client.tickets.create(name="photo.jpg", max_size=5_000_000, auto_complete=True)
        >>> ticket.state
        'open'
        """
        if sum(target is not None for target in (name, path, file)) != 1:
            raise InvalidParameter("Give one of name=, path= and file=.")
        new = NewFile(
            name=name,
            path=path,
            file_id=None if file is None else id_of(file),
            folder_id=None if folder is None else id_of(folder),
            expires_in=expires_in,
            expires_at=expires_at,
            expires_after_fetches=expires_after_fetches,
            content_type=content_type,
            metadata=metadata,
            organization=organization,
            workspace=workspace,
            sha256=sha256,
        )
        asked = uploads.open_ticket(
            new,
            size=size,
            max_size=max_size,
            in_parts=parts,
            part_size=part_size,
            auto_complete=auto_complete,
            url_style=url_style,
        )
        return await self._transport.run(asked)

    def list(self, *, organization: Organization | str | None = None) -> AsyncIterator[UnfinishedUpload]:
        """Yield the uploads of the organization that are not complete, whoever began them, the last begun first.

        >>> [upload.name async for upload in client.tickets.list()]
        ['photo.jpg']
        """
        return self._transport.pages(lambda cursor: uploads.list_all(organization=organization, cursor=cursor))

    async def get(
        self, ticket: Ticket | str, *, wait: float | None = None, organization: Organization | str | None = None
    ) -> Ticket:
        """Return a ticket, or the one with this id, as it is now, with fresh URLs.

        With ``wait`` the answer comes once the upload has ended, or after so many seconds, at most 60. ``client.wait`` with
        ``file_id`` and ``version_id`` of the ticket returns its file once it is ready.

        >>> (await client.tickets.get(ticket.upload_id)).max_size
        5000000
        """
        return await self._transport.run(files.waiting(uploads.get(ticket, organization), wait))

    async def renew(
        self,
        ticket: Ticket | str,
        *,
        url_style: UrlStyle | None = None,
        organization: Organization | str | None = None,
    ) -> Ticket:
        """Return a ticket with fresh URLs, signed or short; raise Gone where it has ended.

        >>> len(urlsplit((await client.tickets.renew(ticket.upload_id, url_style="short")).url).path)
        33
        """
        return await self._transport.run(uploads.renew(ticket, organization, url_style=url_style))

    async def complete(
        self,
        ticket: Ticket | str,
        *,
        parts: Iterable[tuple[int, str]] | None = None,
        wait: float | None = None,
        organization: Organization | str | None = None,
    ) -> File:
        """Make the file of what was sent; completing again is no error. Raise NotUploaded where nothing was.

        ``parts`` are number and ETag of those that make the file, in order; without it all that have arrived. ``wait`` is as in
        ``AsyncClient.upload``.

        >>> httpx.put(ticket.url, content=b"Hello").status_code
        200
        >>> (await client.tickets.complete(ticket)).size
        5
        """
        listed = None if parts is None else [*parts]
        new = NewFile(organization=organization, wait=wait)
        return await self._transport.run(uploads.complete(ticket, listed, new, size=0))

    async def abort(
        self, ticket: Ticket | UnfinishedUpload | str, *, organization: Organization | str | None = None
    ) -> None:
        """End an upload that is not complete, and free its bytes: its URLs stop working at once.

        >>> await client.tickets.abort(ticket)
        """
        await self._transport.delete(uploads.abort(ticket, organization))
