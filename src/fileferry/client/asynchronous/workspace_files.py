"""``AsyncWorkspaceFiles``: the files of one workspace by their paths."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import IO, Unpack, overload

from fileferry.client.asynchronous.files import Files, wait_for
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import files
from fileferry.client.calls.call import Call
from fileferry.client.nouns.files import File
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.versions import Version
from fileferry.client.transfers.options import UploadOptions
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.sources import Readable
from fileferry.client.waiting import Waiting


class AsyncWorkspaceFiles:
    """The files of one workspace by path; ``AsyncClient.workspace`` gives it. Its methods raise as the client's do."""

    def __init__(
        self, client: Files, transport: Transport, workspace: str, organization: Organization | str | None
    ) -> None:
        self._client = client
        self._transport = transport
        self._workspace = workspace
        self._organization = organization

    def __repr__(self) -> str:
        return f"AsyncWorkspaceFiles({self._workspace!r})"

    async def upload(
        self, path: str, source: Readable | AsyncIterable[bytes], **options: Unpack[UploadOptions]
    ) -> File:
        """Upload ``source`` as the file at ``path``, or its new version; further keywords as of ``AsyncClient.upload``.

        >>> (await reports.upload("2026/october.pdf", "report.pdf")).path
        '2026/october.pdf'
        """
        return await self._client.upload(
            source, path=path, workspace=self._workspace, organization=self._organization, **options
        )

    async def get(self, path: str, *, version: Version | str | None = None) -> File:
        """Return the file at a path as it is, or as it was with another version.

        >>> (await reports.get("2026/november.pdf")).name
        'november.pdf'
        """
        return await self._transport.run(self._question(path, version))

    def list(
        self, prefix: str | None = None, *, deleted: bool = False, page_size: int | None = None
    ) -> AsyncIterator[File]:
        """Yield the files by path, all or those whose path starts with ``prefix``; or the deleted ones to be restored.

        >>> [found.path async for found in reports.list("2026/")]
        ['2026/november.pdf']
        """
        return self._client.list(
            prefix,
            workspace=self._workspace,
            organization=self._organization,
            deleted=deleted,
            page_size=page_size,
        )

    async def versions(self, path: str) -> tuple[Version, ...]:
        """Return the versions of the file at a path, newest first.

        >>> [version.size for version in await reports.versions("2026/november.pdf")]
        [6, 5]
        """
        return await self._client.versions(await self.get(path), organization=self._organization)

    @overload
    async def download(
        self,
        path: str,
        destination: None = None,
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    async def download(
        self,
        path: str,
        destination: str | os.PathLike[str] | IO[bytes],
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> None: ...
    async def download(
        self,
        path: str,
        destination: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> bytes | None:
        """Download the file at a path, or another version of it, as ``AsyncClient.download`` does.

        >>> await reports.download("2026/november.pdf")
        b'second'
        """
        return await self._client.download(await self.get(path, version=version), destination, progress=progress)

    async def wait(self, path: str, version: Version | str | None = None, *, timeout: float = 60.0) -> File:
        """Return the file at a path, or a version of it, once it is ready or rejected; raise TimedOut after ``timeout`` seconds.

        >>> (await reports.wait("2026/november.pdf", timeout=30)).status
        'ready'
        """
        waiting = Waiting(None if version is None else id_of(version), timeout)
        return await wait_for(self._transport, self._question(path, version), waiting)

    async def move(self, path: str, new_path: str) -> File:
        """Move the file at a path to another one, with its id and versions; raise Conflict where one is there already.

        >>> (await reports.move("2026/november.pdf", "archive/november.pdf")).path
        'archive/november.pdf'
        """
        return await self._client.update(await self.get(path), path=new_path, organization=self._organization)

    async def delete(self, path: str, *, permanent: bool = False) -> None:
        """Delete the file at a path. It can be restored for a time, unless ``permanent``.

        >>> await reports.delete("2026/november.pdf")
        """
        if permanent:
            await self._client.delete(await self.get(path), permanent=True, organization=self._organization)
            return
        asked = files.delete_at(path, workspace=self._workspace, organization=self._organization)
        await self._transport.delete(asked)

    async def delete_version(self, path: str, version: Version | str) -> None:
        """Delete a version of the file at a path for good; raise Conflict for the current one.

        >>> newest, oldest = await reports.versions("2026/november.pdf")
        >>> await reports.delete_version("2026/november.pdf", oldest)
        """
        await self._client.delete_version(await self.get(path), version, organization=self._organization)

    async def restore(self, file: File | str) -> File:
        """Take back the deletion of a file, given as itself or as the path where it was deleted last; its path may change.

        >>> await reports.delete("2026/november.pdf")
        >>> (await reports.restore("2026/november.pdf")).path
        '2026/november.pdf'
        """
        if not isinstance(file, File):
            deleted = [found async for found in self.list(file, deleted=True) if files.is_at(found, file)]
            file = files.deleted_last(deleted, file)
        return await self._client.restore(file, organization=self._organization)

    def _question(self, path: str, version: Version | str | None) -> Call[File]:
        return files.find(path, workspace=self._workspace, version=version, organization=self._organization)
