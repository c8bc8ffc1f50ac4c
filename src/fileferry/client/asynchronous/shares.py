"""``AsyncShares``: links to pages with files, for people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import shares
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.files import File
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.shares import Share
from fileferry.client.nouns.workspaces import Workspace


class AsyncShares:
    """The shares that a key has made; ``AsyncClient.shares`` gives it. Its methods raise as the client's do."""

    def __init__(self, transport: Transport, organization: Organization | str | None) -> None:
        self._transport = transport
        self._organization = organization

    async def create(
        self,
        *files: File | str,
        folder: str | None = None,
        workspace: Workspace | str | None = None,
        name: str | None = None,
        message: str = "",
        passphrase: str | None = None,
        expires_in: Lifetime | None = None,
        expires_at: datetime | None = None,
        max_downloads: int | None = None,
    ) -> Share:
        """Share files, or all that is below ``folder`` of a workspace, now and later; send people the ``url``.

        It ends after ``expires_in``, at ``expires_at``, or once it was downloaded ``max_downloads`` times. A passphrase has 6
        to 256 characters.

        >>> share = await shares.create(file, passphrase="blue ferry 7", expires_in="7d")
        >>> share.name, share.state, share.has_passphrase
        ('hello.txt', 'active', True)
        """
        call = shares.create(
            files,
            folder=folder,
            workspace=workspace,
            name=name,
            message=message,
            passphrase=passphrase,
            expires_in=expires_in,
            expires_at=expires_at,
            max_downloads=max_downloads,
            organization=self._organization,
        )
        return await self._transport.run(call)

    def list(self) -> AsyncIterator[Share]:
        """Yield the shares that the key has made, newest first; with the scope admin, all of the organization.

        >>> [found.name async for found in shares.list()]
        ['hello.txt']
        """
        return self._transport.pages(lambda cursor: shares.list_all(organization=self._organization, cursor=cursor))

    async def get(self, share: Share | str) -> Share:
        """Return a share as it is now.

        >>> (await shares.get(share)).downloads
        0
        """
        return await self._transport.run(shares.get(share, organization=self._organization))

    async def update(
        self,
        share: Share | str,
        *,
        files: Sequence[File | str] | Unchanged = UNCHANGED,
        name: str | Unchanged = UNCHANGED,
        message: str | Unchanged = UNCHANGED,
        passphrase: str | Unchanged | None = UNCHANGED,
        expires_in: Lifetime | None = None,
        expires_at: datetime | Unchanged | None = UNCHANGED,
        max_downloads: int | Unchanged | None = UNCHANGED,
    ) -> Share:
        """Change what is given; None lifts the passphrase, the end or the bound. The ``url`` stays.

        >>> (await shares.update(share, name="Greetings", max_downloads=5)).name
        'Greetings'
        """
        call = shares.update(
            share,
            files=files,
            name=name,
            message=message,
            passphrase=passphrase,
            expires_in=expires_in,
            expires_at=expires_at,
            max_downloads=max_downloads,
            organization=self._organization,
        )
        return await self._transport.run(call)

    async def delete(self, share: Share | str) -> None:
        """End a share at once; its files stay.

        >>> await shares.delete(share)
        """
        await self._transport.delete(shares.delete(share, organization=self._organization))
