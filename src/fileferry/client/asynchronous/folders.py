"""What a client does with folders."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import folders
from fileferry.client.nouns.folders import Folder
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.workspaces import Workspace


class Folders:
    """Folders; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_folder(
        self, path: str, *, workspace: Workspace | str | None = None, organization: Organization | str | None = None
    ) -> Folder:
        """Return the folder at ``path``, made where it was not there yet.

        >>> (await client.create_folder("invoices/2026")).path
        'invoices/2026'
        """
        return await self._transport.run(folders.create(path, workspace=workspace, organization=organization))

    def list_folders(
        self, *, workspace: Workspace | str | None = None, organization: Organization | str | None = None
    ) -> AsyncIterator[Folder]:
        """Yield the folders of a workspace by path.

        >>> [found.path async for found in client.list_folders()]
        ['invoices', 'reports']
        """
        return self._transport.pages(
            lambda cursor: folders.list_all(workspace=workspace, organization=organization, cursor=cursor)
        )

    async def get_folder(self, folder: Folder | str, *, organization: Organization | str | None = None) -> Folder:
        """Return a folder as it is now.

        >>> (await client.get_folder(folder.folder_id)).path
        'invoices'
        """
        return await self._transport.run(folders.get(folder, organization=organization))

    async def delete_folder(self, folder: Folder | str, *, organization: Organization | str | None = None) -> None:
        """Delete a folder; raise Conflict while something is in it.

        >>> await client.delete_folder(folder)
        """
        await self._transport.delete(folders.delete(folder, organization=organization))
