"""What a client does with folders."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import folders
from fileferry.client.nouns.folders import Folder


class Folders:
    """Folders; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_folder(
        self, path: str, *, workspace: str | None = None, organization: str | None = None
    ) -> Folder:
        """Return the folder at ``path``, made where it was not there yet."""
        return await self._transport.run(folders.create(path, workspace=workspace, organization=organization))

    def list_folders(self, *, workspace: str | None = None) -> AsyncIterator[Folder]:
        """Yield the folders of a workspace by path."""
        return self._transport.pages(lambda cursor: folders.list_all(workspace=workspace, cursor=cursor))

    async def get_folder(self, folder_id: str) -> Folder:
        """Return the folder with this id."""
        return await self._transport.run(folders.get(folder_id))

    async def delete_folder(self, folder: Folder | str) -> None:
        """Delete a folder; raise Conflict while something is in it."""
        await self._transport.delete(folders.delete(folders.id_of(folder)))
