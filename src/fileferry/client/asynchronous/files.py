"""What a client does with files: uploads, downloads, finds, changes and deletes them, and hears what happens to them."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, overload

from fileferry.client.asynchronous import downloads, uploads
from fileferry.client.asynchronous.runtime import sleep, source_of
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import files
from fileferry.client.calls.call import UNCHANGED, Call, Lifetime, Unchanged, given
from fileferry.client.calls.uploads import NewFile
from fileferry.client.failures import TimedOut
from fileferry.client.nouns.files import File
from fileferry.client.nouns.folders import Folder
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.links import Link, UrlStyle
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.versions import Version
from fileferry.client.nouns.workspaces import Workspace
from fileferry.client.transfers.downloads import OpenFile, partial_file
from fileferry.client.transfers.manner import MULTIPART_THRESHOLD, PARALLEL, manner_of
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.sources import Readable
from fileferry.client.waiting import Waiting
from fileferry.errors import Forbidden, NotFound


class Files:
    """Files by their ids and paths; a part of ``AsyncClient``."""

    _transport: Transport

    async def upload(
        self,
        source: Readable | AsyncIterable[bytes],
        *,
        name: str | None = None,
        path: str | None = None,
        file: File | str | None = None,
        folder: Folder | str | None = None,
        expires_in: Lifetime | None = None,
        expires_at: datetime | None = None,
        expires_after_fetches: int | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        organization: Organization | str | None = None,
        workspace: Workspace | str | None = None,
        sha256: str | None = None,
        wait: float | None = None,
        resume: bool = False,
        parallel: int = PARALLEL,
        part_size: int | None = None,
        multipart_threshold: int = MULTIPART_THRESHOLD,
        progress: Progress | None = None,
    ) -> File:
        """Upload ``source`` and return its file, whose ``url`` serves it.

        A str is a path. With ``path=`` the bytes become the file at that path, or its new version; with ``file=`` (itself
        or its id) a new version of that one; otherwise a new file called ``name`` (default: the source's own name), in
        ``folder`` (itself or its id). Every byte is verified: by SHA-256 in one request, by MD5 part by part, by CRC32C in a
        stream, and by ``sha256`` (hex) where it is given. What fails is repeated as the ``RetryPolicy`` says.

        With ``wait`` the file is returned once it is ready or rejected, or after so many seconds; see ``wait`` for an error then.
        ``expires_after_fetches`` ends it once it was fetched whole so often.

        From ``multipart_threshold`` bytes on, a path, bytes or a file that can seek goes in parts of ``part_size`` bytes
        (the server chooses by default), ``parallel`` at a time; each is repeated alone, and ``progress`` counts what the
        server has acknowledged. With ``resume=True`` such an upload of a path leaves a state file until it is complete:
        the same call in a later process goes on where this one stopped. Raises SourceChanged when a file changes
        meanwhile, Conflict while another process uploads it the same way.

        What is cut off twice in a row goes on as a stream, from the byte that the server has; so does what can be read only
        once and is larger than 8 MiB, of which no more is kept in memory.

        >>> file = await client.upload(b"Hello", name="hello.txt", expires_in="24h", metadata={"order": 17})
        >>> file.size
        5
        >>> file = await client.upload("report.pdf", path="reports/latest.pdf")
        >>> file.path
        'reports/latest.pdf'
        """
        manner = manner_of(
            source,
            progress=progress,
            resume=resume,
            parallel=parallel,
            part_size=part_size,
            multipart_threshold=multipart_threshold,
        )
        bytes_from = source_of(source)
        new = NewFile(
            name=name or bytes_from.name,
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
            wait=wait,
        )
        waiting = Waiting(None, wait or 0.0)
        made = await uploads.upload(self._transport, bytes_from, new, manner)
        question = files.get(made.file_id, version=made.version_id, organization=organization)
        return await settled(self._transport, question, made, waiting)

    async def get(
        self,
        file: File | str,
        *,
        version: Version | str | None = None,
        organization: Organization | str | None = None,
        wait: float | None = None,
    ) -> File:
        """Return a file as it is now, or as it was with another version.

        With ``wait`` it is returned once it is ready or rejected, or after so many seconds.

        >>> (await client.get(file.file_id)).name
        'hello.txt'
        """
        question = files.get(file, version=version, organization=organization, wait=wait)
        waiting = Waiting(None, wait or 0.0)
        return await settled(self._transport, question, await self._transport.run(question), waiting)

    def list(
        self,
        prefix: str | None = None,
        *,
        workspace: Workspace | str | None = None,
        organization: Organization | str | None = None,
        deleted: bool = False,
        name: str | None = None,
        status: str | None = None,
        in_folder: str | None = None,
        handoffs: bool = False,
        sort: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[File]:
        """Yield the files by path, all or those whose path starts with ``prefix``; pages are asked for as they are needed.

        With ``deleted`` they are those that were deleted and can be restored. They are found by a part of the ``name``, by
        ``status`` (``ready``, ``processing``, ``rejected``), or ``in_folder`` (its path), or are only ``handoffs``, which have no
        path: the last changed first, unless ``sort`` is ``oldest``, ``name``, ``largest``, ``smallest`` or ``expiry``.

        >>> async for found in client.list("reports/"):
        ...     print(found.path)
        reports/latest.pdf
        >>> [found.path async for found in client.list(name="LATEST", sort="largest")]
        ['reports/latest.pdf']
        """
        return self._transport.pages(
            lambda cursor: files.list_all(
                prefix=prefix,
                workspace=workspace,
                organization=organization,
                deleted=deleted,
                shelf=given(
                    name=name, status=status, folder=in_folder, handoffs="true" if handoffs else None, sort=sort
                ),
                page_size=page_size,
                cursor=cursor,
            )
        )

    async def versions(
        self, file: File | str, *, organization: Organization | str | None = None
    ) -> tuple[Version, ...]:
        """Return the versions of a file, newest first.

        >>> [version.is_current for version in await client.versions(latest)]
        [True, False]
        """
        return await self._transport.run(files.versions(file, organization=organization))

    async def wait(
        self,
        file: File | str,
        version: Version | str | None = None,
        *,
        timeout: float = 60.0,
        organization: Organization | str | None = None,
    ) -> File:
        """Return a file once it is ready or rejected, or has this version and that is; raise TimedOut after ``timeout`` seconds.

        >>> (await client.wait(file, timeout=30)).status
        'ready'
        """
        question = files.get(file, version=version, organization=organization)
        awaited = None if version is None else id_of(version)
        return await wait_for(self._transport, question, Waiting(awaited, timeout))

    async def link(
        self,
        file: File | str,
        *,
        expires_in: Lifetime | None = None,
        version: Version | str | None = None,
        url_style: UrlStyle | None = None,
        organization: Organization | str | None = None,
    ) -> Link:
        """Return a signed URL that anyone can fetch a file from for a time: one hour unless told otherwise, 7 days at most.

        Unlike ``File.url`` it ends before the file does, and with the key that asked for it. With ``url_style="short"`` it is a
        path of 33 characters behind the server's address, without a query, and good for 7 days unless told otherwise.

        >>> link = await client.link(file, expires_in="10m")
        >>> httpx.get(link.url).content
        b'Hello'
        """
        asked = files.link(file, expires_in=expires_in, version=version, url_style=url_style, organization=organization)
        return await self._transport.run(asked)

    async def update(
        self,
        file: File | str,
        *,
        name: str | Unchanged = UNCHANGED,
        path: str | Unchanged = UNCHANGED,
        expires_in: Lifetime | Unchanged | None = UNCHANGED,
        expires_at: datetime | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, object] | Unchanged = UNCHANGED,
        organization: Organization | str | None = None,
    ) -> File:
        """Change what is given and return the file; ``path`` moves it, an expiry of None keeps it for good.

        >>> file = await client.update(file, name="greeting.txt", metadata={"order": 18}, expires_in="7d")
        >>> file.name
        'greeting.txt'
        """
        return await self._transport.run(
            files.update(
                file,
                name=name,
                path=path,
                expires_in=expires_in,
                expires_at=expires_at,
                metadata=metadata,
                organization=organization,
            )
        )

    async def delete(
        self, file: File | str, *, permanent: bool = False, organization: Organization | str | None = None
    ) -> None:
        """Delete a file: its URL stops serving at once. One at a path can be restored for a time, unless ``permanent``.

        >>> await client.delete(file)
        """
        await self._transport.delete(files.delete(file, permanent=permanent, organization=organization))

    async def delete_version(
        self, file: File | str, version: Version | str, *, organization: Organization | str | None = None
    ) -> None:
        """Delete a version of a file for good; raise Conflict for the current one.

        >>> newest, oldest = await client.versions(latest)
        >>> await client.delete_version(latest, oldest)
        """
        await self._transport.delete(files.delete_version(file, version, organization=organization))

    async def restore(
        self,
        file: File | str,
        version: Version | str | None = None,
        *,
        organization: Organization | str | None = None,
    ) -> File:
        """Take back the deletion of a file; where another has its path now, the path of the file returned differs.

        With ``version`` the file is there, and gets the bytes of that version as a new one.

        >>> newest, oldest = await client.versions(latest)
        >>> await client.download(await client.restore(latest, oldest))
        b'first'
        >>> await client.delete(latest)
        >>> (await client.restore(latest)).path
        'reports/latest.pdf'
        """
        return await self._transport.run(files.restore(file, version, organization=organization))

    @overload
    async def download(
        self,
        file: File | str,
        destination: None = None,
        *,
        version: Version | str | None = None,
        organization: Organization | str | None = None,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    async def download(
        self,
        file: File | str,
        destination: str | os.PathLike[str] | IO[bytes],
        *,
        version: Version | str | None = None,
        organization: Organization | str | None = None,
        progress: Progress | None = None,
    ) -> None: ...
    async def download(
        self,
        file: File | str,
        destination: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        version: Version | str | None = None,
        organization: Organization | str | None = None,
        progress: Progress | None = None,
    ) -> bytes | None:
        """Download a file, given as a File, an id or a URL; without ``destination`` return its bytes.

        With ``version`` they are those of another version of a File or an id.

        A path is written by way of ``NAME.part`` and appears only when it is whole and its SHA-256 is right; an
        unfinished part is resumed by the next call, if the content is still the same. The key is not sent to URLs.

        >>> await client.download(file)
        b'Hello'
        >>> await client.download(file, "copy.txt")
        """
        known = file if isinstance(file, File) else None
        url, headers = files.content_of(file, self._transport.connection, version=version, organization=organization)
        if destination is None:
            memory = io.BytesIO()
            await downloads.download(self._transport, url, headers, OpenFile(memory), known, progress)
            return memory.getvalue()
        if isinstance(destination, str | os.PathLike):
            with partial_file(Path(destination), url) as partial:
                await downloads.download(self._transport, url, headers, partial, known, progress)
            return None
        await downloads.download(self._transport, url, headers, OpenFile(destination), known, progress)
        return None


async def settled(transport: Transport, question: Call[File], file: File, waiting: Waiting) -> File:
    """Ask again about a file that is under way until the time is over: a server puts each answer off for a while only.

    Who may upload and not read knows no more than the first answer.
    """
    while file.is_under_way and waiting.seconds() > 0:
        try:
            await sleep(waiting.delay())
            file = await transport.run(files.waiting(question, waiting.seconds()))
        except (Forbidden, TimedOut):
            break
    return file


async def wait_for(transport: Transport, question: Call[File], waiting: Waiting) -> File:
    """Ask for a version until it is there; raise TimedOut when that takes too long."""
    while True:
        try:
            file = await transport.run(files.waiting(question, waiting.seconds()))
            if not file.is_under_way:
                return file
        except NotFound:
            # So the server answers as long as its bytes are on their way.
            pass
        await sleep(waiting.delay())
