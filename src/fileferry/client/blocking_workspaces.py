"""``WorkspaceFiles``: the files of one workspace by their paths, for ordinary programs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Unpack, overload

from fileferry.client import calls
from fileferry.client.call import Call
from fileferry.client.nouns import File, Version
from fileferry.client.options import UploadOptions
from fileferry.client.parts import Progress
from fileferry.client.sources import Readable
from fileferry.client.transport import Transport
from fileferry.client.waiting import Waiting
from fileferry.errors import NotFound

if TYPE_CHECKING:
    from fileferry.client.blocking import Client


class WorkspaceFiles:
    """The files of one workspace by path; ``Client.workspace`` gives it. Its methods raise as the client's do."""

    def __init__(self, client: Client, transport: Transport, workspace: str, organization: str | None) -> None:
        self._client = client
        self._transport = transport
        self._workspace = workspace
        self._organization = organization

    def __repr__(self) -> str:
        return f"WorkspaceFiles({self._workspace!r})"

    def upload(self, path: str, source: Readable, **options: Unpack[UploadOptions]) -> File:
        """Upload ``source`` as the file at ``path``, or its new version; further keywords as of ``Client.upload``."""
        return self._client.upload(
            source, path=path, workspace=self._workspace, organization=self._organization, **options
        )

    def get(self, path: str, *, version: Version | str | None = None) -> File:
        """Return the file at a path as it is, or as it was with another version."""
        return self._transport.run(self._question(path, version))

    def list(self, prefix: str | None = None, *, deleted: bool = False, page_size: int | None = None) -> Iterator[File]:
        """Yield the files by path, all or those whose path starts with ``prefix``; or the deleted ones to be restored."""
        return self._client.list(
            prefix,
            workspace=self._workspace,
            organization=self._organization,
            deleted=deleted,
            page_size=page_size,
        )

    def versions(self, path: str) -> tuple[Version, ...]:
        """Return the versions of the file at a path, newest first."""
        return self._client.versions(self.get(path), organization=self._organization)

    @overload
    def download(
        self,
        path: str,
        destination: None = None,
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    def download(
        self,
        path: str,
        destination: str | os.PathLike[str] | IO[bytes],
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> None: ...
    def download(
        self,
        path: str,
        destination: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        version: Version | str | None = None,
        progress: Progress | None = None,
    ) -> bytes | None:
        """Download the file at a path, or another version of it, as ``Client.download`` does."""
        return self._client.download(self.get(path, version=version), destination, progress=progress)

    def wait(self, path: str, version: Version | str | None = None, *, timeout: float = 60.0) -> File:
        """Return the file at a path, or a version of it, once it is ready or rejected; raise TimedOut after ``timeout`` seconds."""
        waiting = Waiting(None if version is None else calls.version_id_of(version), timeout)
        return wait_for(self._transport, self._question(path, version), waiting)

    def move(self, path: str, new_path: str) -> File:
        """Move the file at a path to another one, with its id and versions; raise Conflict where one is there already."""
        return self._client.update(self.get(path), path=new_path, organization=self._organization)

    def delete(self, path: str, *, permanent: bool = False) -> None:
        """Delete the file at a path. It can be restored for a time, unless ``permanent``."""
        if permanent:
            self._client.delete(self.get(path), permanent=True, organization=self._organization)
            return
        asked = calls.delete_file_at(path, workspace=self._workspace, organization=self._organization)
        self._transport.delete(asked)

    def delete_version(self, path: str, version: Version | str) -> None:
        """Delete a version of the file at a path for good; raise Conflict for the current one."""
        self._client.delete_version(self.get(path), version, organization=self._organization)

    def restore(self, file: File | str) -> File:
        """Take back the deletion of a file, given as itself or as the path where it was deleted last; its path may change."""
        deleted = file if isinstance(file, File) else calls.deleted_last(self.list(file, deleted=True), file)
        return self._client.restore(deleted, organization=self._organization)

    def _question(self, path: str, version: Version | str | None) -> Call[File]:
        return calls.find_file(path, workspace=self._workspace, version=version, organization=self._organization)


def wait_for(transport: Transport, question: Call[File], waiting: Waiting) -> File:
    """Ask for a version until it is there; raise TimedOut when that takes too long."""
    while True:
        try:
            file = transport.run(calls.waiting(question, waiting.seconds()))
            if not file.is_under_way:
                return file
        except NotFound:
            # So the server answers as long as its bytes are on their way.
            pass
        time.sleep(waiting.delay())
