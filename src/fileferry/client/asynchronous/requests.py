"""``AsyncFileRequests``: links by which people without a key upload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import requests
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.requests import FileRequest, SentFile
from fileferry.client.nouns.workspaces import Workspace


class AsyncFileRequests:
    """The requests for files that a key has made; ``AsyncClient.requests`` gives it. Its methods raise as the client's do."""

    def __init__(self, transport: Transport, organization: Organization | str | None) -> None:
        self._transport = transport
        self._organization = organization

    async def create(
        self,
        title: str,
        *,
        message: str = "",
        folder: str | None = None,
        workspace: Workspace | str | None = None,
        max_size: int | str | None = None,
        max_files: int | None = None,
        types: Sequence[str] | None = None,
        passphrase: str | None = None,
        expires_in: Lifetime | None = None,
        expires_at: datetime | None = None,
    ) -> FileRequest:
        """Ask for files; send people the ``url``. What they send comes into ``folder``, by default one named as the title.

        ``max_size`` (bytes, or text such as ``10MiB``) and ``types`` (media types) are those of one file. A passphrase has 6 to 256
        characters.

        >>> request = await requests.create("Photos of the site", max_size="50MiB", expires_in="14d")
        >>> request.folder, request.max_size
        ('Photos of the site', 52428800)
        """
        call = requests.create(
            title,
            message=message,
            folder=folder,
            workspace=workspace,
            max_size=max_size,
            max_files=max_files,
            types=types,
            passphrase=passphrase,
            expires_in=expires_in,
            expires_at=expires_at,
            organization=self._organization,
        )
        return await self._transport.run(call)

    def list(self) -> AsyncIterator[FileRequest]:
        """Yield the requests that the key has made, newest first; with the scope admin, all of the organization.

        >>> [found.title async for found in requests.list()]
        ['Photos of the site']
        """
        return self._transport.pages(lambda cursor: requests.list_all(organization=self._organization, cursor=cursor))

    async def get(self, request: FileRequest | str) -> FileRequest:
        """Return a request as it is now.

        >>> (await requests.get(request)).received
        0
        """
        return await self._transport.run(requests.get(request, organization=self._organization))

    def files(self, request: FileRequest | str) -> AsyncIterator[SentFile]:
        """Yield what has come for a request, the first sent first.

        >>> [found.name async for found in requests.files(request)]
        []
        """
        return self._transport.pages(
            lambda cursor: requests.files(request, organization=self._organization, cursor=cursor)
        )

    async def update(
        self,
        request: FileRequest | str,
        *,
        title: str | Unchanged = UNCHANGED,
        message: str | Unchanged = UNCHANGED,
        max_size: int | str | Unchanged | None = UNCHANGED,
        max_files: int | Unchanged | None = UNCHANGED,
        types: Sequence[str] | Unchanged | None = UNCHANGED,
        passphrase: str | Unchanged | None = UNCHANGED,
        expires_in: Lifetime | None = None,
        expires_at: datetime | Unchanged | None = UNCHANGED,
    ) -> FileRequest:
        """Change what is given; None lifts a limit, the passphrase or the end. The ``url`` and the folder stay.

        >>> (await requests.update(request, max_files=20)).max_files
        20
        """
        call = requests.update(
            request,
            title=title,
            message=message,
            max_size=max_size,
            max_files=max_files,
            types=types,
            passphrase=passphrase,
            expires_in=expires_in,
            expires_at=expires_at,
            organization=self._organization,
        )
        return await self._transport.run(call)

    async def delete(self, request: FileRequest | str) -> None:
        """End a request, with what is under way for it; the files that have come stay.

        >>> await requests.delete(request)
        """
        await self._transport.delete(requests.delete(request, organization=self._organization))
