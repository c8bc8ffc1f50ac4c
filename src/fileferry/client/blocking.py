"""The client for ordinary programs, ``Client``. What it sends and how it reads answers is in ``calls``."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, overload

import httpx

from fileferry.client import administration, blocking_uploads, calls
from fileferry.client.blocking_webhooks import Webhooks
from fileferry.client.blocking_workspaces import WorkspaceFiles, wait_for
from fileferry.client.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.calls import NewFile
from fileferry.client.connection import Connection
from fileferry.client.downloads import OpenFile, Receiving, Sink, partial_file
from fileferry.client.failures import ConnectionFailed, failure_from
from fileferry.client.following import Following
from fileferry.client.manner import MULTIPART_THRESHOLD, PARALLEL, manner_of
from fileferry.client.nouns import ApiKey, Event, File, Folder, Organization, Version, Workspace
from fileferry.client.parts import Progress
from fileferry.client.retrying import PATIENT, RetryPolicy
from fileferry.client.sources import Readable, source_of
from fileferry.client.transport import Transport
from fileferry.client.waiting import Waiting
from fileferry.errors import FerryError


class Client:
    """A connection to one fileferry server; use it as a context manager, from any number of threads.

    ``url``, ``key`` and ``end_user`` default to FILEFERRY_URL, FILEFERRY_KEY and FILEFERRY_END_USER. With an end user all is done
    on that user's behalf, and only that user's files are there. ``timeout`` is in seconds without any progress.
    Every method raises a ``FerryError``: one of the catalogue as the server answered it, ``ConnectionFailed`` or
    ``TimedOut`` without an answer, ``NotConfigured`` without a server. What can be repeated was repeated by then.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        end_user: str | None = None,
        timeout: float = 60.0,
        retries: RetryPolicy = PATIENT,
    ) -> None:
        self._transport = Transport(Connection(url, key, end_user, timeout), retries)

    def __repr__(self) -> str:
        return f"Client(url={self._transport.connection.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.http.close()

    def upload(
        self,
        source: Readable,
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
        organization: str | None = None,
        workspace: str | None = None,
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

        With ``wait`` the file is returned once it is ready or rejected, or after so many seconds, at most 60; see ``wait``
        for longer. ``expires_after_fetches`` ends it once it was fetched whole so often.

        From ``multipart_threshold`` bytes on, a path, bytes or a file that can seek goes in parts of ``part_size`` bytes
        (the server chooses by default), ``parallel`` at a time; each is repeated alone, and ``progress`` counts what the
        server has acknowledged. With ``resume=True`` such an upload of a path leaves a state file until it is complete:
        the same call in a later process goes on where this one stopped. Raises SourceChanged when a file changes
        meanwhile, Conflict while another process uploads it the same way.

        What is cut off twice in a row goes on as a stream, from the byte that the server has; so does what can be read only
        once and is larger than 8 MiB, of which no more is kept in memory.
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
            file_id=None if file is None else calls.id_of(file),
            folder_id=None if folder is None else calls.folder_id_of(folder),
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
        return blocking_uploads.upload(self._transport, bytes_from, new, manner)

    def workspace(self, workspace: Workspace | str, *, organization: str | None = None) -> WorkspaceFiles:
        """Return the files of a workspace, given as itself, by its id or its name; nothing is asked yet.

        ``organization`` (id or slug) names another one than the key's own; root key only.
        """
        return WorkspaceFiles(self, self._transport, administration.workspace_id_of(workspace), organization)

    def webhooks(self, *, organization: str | None = None) -> Webhooks:
        """Return the webhooks of the key's organization, or of another one for the root key."""
        return Webhooks(self._transport, organization)

    def get(
        self,
        file_id: str,
        *,
        version: Version | str | None = None,
        organization: str | None = None,
        wait: float | None = None,
    ) -> File:
        """Return the file with this id as it is, or as it was with another version.

        With ``wait`` it is returned once it is ready or rejected, or after so many seconds, at most 60.
        """
        question = calls.get_file(file_id, version=version, organization=organization, wait=wait)
        return self._transport.run(question)

    def list(
        self,
        prefix: str | None = None,
        *,
        workspace: str | None = None,
        organization: str | None = None,
        deleted: bool = False,
        page_size: int | None = None,
    ) -> Iterator[File]:
        """Yield the files, all or those whose path starts with ``prefix``; pages are asked for as they are needed.

        With ``deleted`` they are those that were deleted and can be restored.
        """
        return self._transport.pages(
            lambda cursor: calls.list_files(
                prefix=prefix,
                workspace=workspace,
                organization=organization,
                deleted=deleted,
                page_size=page_size,
                cursor=cursor,
            )
        )

    def versions(self, file: File | str, *, organization: str | None = None) -> tuple[Version, ...]:
        """Return the versions of a file, newest first."""
        return self._transport.run(calls.list_versions(calls.id_of(file), organization=organization))

    def wait(
        self,
        file: File | str,
        version: Version | str | None = None,
        *,
        timeout: float = 60.0,
        organization: str | None = None,
    ) -> File:
        """Return a file once it is ready or rejected, or has this version and that is; raise TimedOut after ``timeout`` seconds."""
        question = calls.get_file(calls.id_of(file), version=version, organization=organization)
        awaited = None if version is None else calls.version_id_of(version)
        return wait_for(self._transport, question, Waiting(awaited, timeout))

    def events(
        self,
        *,
        after: str | None = None,
        types: Iterable[str] | None = None,
        file: File | str | None = None,
        organization: str | None = None,
    ) -> Iterator[Event]:
        """Yield what happens to the files of the organization, for ever: new events, or those after one, ``"0"`` for all.

        ``types`` and ``file`` leave out the others. A connection that breaks is made again, as the ``RetryPolicy`` says, and
        goes on where it was. An event of the type ``reset`` says that some before it may have been missed: they are no
        longer kept.
        """
        file_id = None if file is None else calls.id_of(file)
        return self._transport.follow(Following(after, types, file_id, organization))

    def update(
        self,
        file: File | str,
        *,
        name: str | Unchanged = UNCHANGED,
        path: str | Unchanged = UNCHANGED,
        expires_in: Lifetime | Unchanged | None = UNCHANGED,
        expires_at: datetime | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, object] | Unchanged = UNCHANGED,
        organization: str | None = None,
    ) -> File:
        """Change what is given and return the file; ``path`` moves it, an expiry of None keeps it for good."""
        return self._transport.run(
            calls.update_file(
                calls.id_of(file),
                name=name,
                path=path,
                expires_in=expires_in,
                expires_at=expires_at,
                metadata=metadata,
                organization=organization,
            )
        )

    def delete(self, file: File | str, *, permanent: bool = False, organization: str | None = None) -> None:
        """Delete a file: its URL stops serving at once. One at a path can be restored for a time, unless ``permanent``."""
        self._transport.delete(calls.delete_file(calls.id_of(file), permanent=permanent, organization=organization))

    def delete_version(self, file: File | str, version: Version | str, *, organization: str | None = None) -> None:
        """Delete a version of a file for good; raise Conflict for the current one."""
        self._transport.delete(calls.delete_version(calls.id_of(file), version, organization=organization))

    def restore(self, file: File | str, *, organization: str | None = None) -> File:
        """Take back the deletion of a file; where another has its path now, the path of the file returned differs."""
        return self._transport.run(calls.restore_file(calls.id_of(file), organization=organization))

    @overload
    def download(
        self,
        file: File | str,
        destination: None = None,
        *,
        version: Version | str | None = None,
        organization: str | None = None,
        progress: Progress | None = None,
    ) -> bytes: ...
    @overload
    def download(
        self,
        file: File | str,
        destination: str | os.PathLike[str] | IO[bytes],
        *,
        version: Version | str | None = None,
        organization: str | None = None,
        progress: Progress | None = None,
    ) -> None: ...
    def download(
        self,
        file: File | str,
        destination: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        version: Version | str | None = None,
        organization: str | None = None,
        progress: Progress | None = None,
    ) -> bytes | None:
        """Download a file, given as a File, an id or a URL; without ``destination`` return its bytes.

        With ``version`` they are those of another version of a File or an id.

        A path is written by way of ``NAME.part`` and appears only when it is whole and its SHA-256 is right; an
        unfinished part is resumed by the next call, if the content is still the same. The key is not sent to URLs.
        """
        known = file if isinstance(file, File) else None
        url, headers = calls.content_of(file, self._transport.connection, version=version, organization=organization)
        if destination is None:
            memory = io.BytesIO()
            self._download(url, headers, OpenFile(memory), known, progress)
            return memory.getvalue()
        if isinstance(destination, str | os.PathLike):
            with partial_file(Path(destination), url) as partial:
                self._download(url, headers, partial, known, progress)
            return None
        self._download(url, headers, OpenFile(destination), known, progress)
        return None

    def create_folder(self, path: str, *, workspace: str | None = None, organization: str | None = None) -> Folder:
        """Return the folder at ``path``, made where it was not there yet."""
        return self._transport.run(calls.create_folder(path, workspace=workspace, organization=organization))

    def list_folders(self, *, workspace: str | None = None) -> Iterator[Folder]:
        """Yield the folders of a workspace by path."""
        return self._transport.pages(lambda cursor: calls.list_folders(workspace=workspace, cursor=cursor))

    def get_folder(self, folder_id: str) -> Folder:
        """Return the folder with this id."""
        return self._transport.run(calls.get_folder(folder_id))

    def delete_folder(self, folder: Folder | str) -> None:
        """Delete a folder; raise Conflict while something is in it."""
        self._transport.delete(calls.delete_folder(calls.folder_id_of(folder)))

    def create_workspace(
        self,
        name: str,
        *,
        workspace_id: str | None = None,
        keep_versions: int | None = None,
        keep_versions_for: Lifetime | None = None,
        limits: Mapping[str, object] | None = None,
        organization: str | None = None,
    ) -> Workspace:
        """Make a workspace that keeps all versions, or so many of each file, or replaced ones for so long.

        ``limits`` are set by the names of the native API.
        """
        return self._transport.run(
            administration.create_workspace(
                name,
                workspace_id=workspace_id,
                keep_versions=keep_versions,
                keep_versions_for=keep_versions_for,
                limits=limits,
                organization=organization,
            )
        )

    def list_workspaces(self, *, organization: str | None = None) -> Iterator[Workspace]:
        """Yield the workspaces of the organization."""
        return self._transport.pages(
            lambda cursor: administration.list_workspaces(organization=organization, cursor=cursor)
        )

    def get_workspace(self, workspace: str, *, organization: str | None = None) -> Workspace:
        """Return the workspace with this id or name."""
        return self._transport.run(administration.get_workspace(workspace, organization=organization))

    def update_workspace(
        self,
        workspace: Workspace | str,
        *,
        keep_versions: int | Unchanged | None = UNCHANGED,
        keep_versions_for: Lifetime | Unchanged | None = UNCHANGED,
        limits: Mapping[str, object] | None = None,
        organization: str | None = None,
    ) -> Workspace:
        """Change which versions a workspace keeps, where it is given; None keeps all.

        ``limits`` are set by the names of the native API; None lifts one.
        """
        return self._transport.run(
            administration.update_workspace(
                administration.workspace_id_of(workspace),
                keep_versions=keep_versions,
                keep_versions_for=keep_versions_for,
                limits=limits,
                organization=organization,
            )
        )

    def create_key(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        organization: str | None = None,
        expires_in: Lifetime | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | None = None,
        on_behalf_of: Iterable[str] | None = None,
    ) -> ApiKey:
        """Make an API key; its ``secret`` is in this answer only. Scopes: upload, read, delete, admin.

        The user is named as the author of what the key does: one that has keys already by ``user_id``, or a new one. ``limits``
        are set by the names of the native API. ``path_prefix`` confines the key to a folder, ``on_behalf_of`` to end users.
        """
        return self._transport.run(
            administration.create_key(
                name,
                scopes=scopes,
                organization=organization,
                expires_in=expires_in,
                user_id=user_id,
                user_name=user_name,
                user_email=user_email,
                limits=limits,
                path_prefix=path_prefix,
                on_behalf_of=on_behalf_of,
            )
        )

    def get_key(self, key_id: str) -> ApiKey:
        """Return a key of the organization, with its limits and what counts against them."""
        return self._transport.run(administration.get_key(key_id))

    def update_key(
        self,
        key_id: str,
        *,
        name: str | None = None,
        scopes: Iterable[str] | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | Unchanged | None = UNCHANGED,
        on_behalf_of: Iterable[str] | Unchanged | None = UNCHANGED,
    ) -> ApiKey:
        """Change what a key may do, from its next request on; None lifts what confines it, and a limit."""
        return self._transport.run(
            administration.update_key(
                key_id,
                name=name,
                scopes=scopes,
                limits=limits,
                path_prefix=path_prefix,
                on_behalf_of=on_behalf_of,
            )
        )

    def list_keys(self) -> Iterator[ApiKey]:
        """Yield the keys that this key may see, without their secrets."""
        return self._transport.pages(lambda cursor: administration.list_keys(cursor=cursor))

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it stops working at once."""
        self._transport.delete(administration.revoke_key(key_id))

    def rotate_key(self, key_id: str, *, grace: Lifetime | None = None) -> ApiKey:
        """Give a key a new secret; the old one works on for ``grace``, by default not at all."""
        return self._transport.run(administration.rotate_key(key_id, grace=grace))

    def create_organization(
        self, slug: str, *, name: str | None = None, organization_id: str | None = None
    ) -> Organization:
        """Make an organization; only the root key may."""
        return self._transport.run(administration.create_organization(slug, name=name, organization_id=organization_id))

    def get_organization(self, organization: str) -> Organization:
        """Return the organization with this id or slug, with its limits and what counts against them."""
        return self._transport.run(administration.get_organization(organization))

    def update_organization(
        self,
        organization: str,
        *,
        limits: Mapping[str, object] | None = None,
        end_user_limits: Mapping[str, object] | None = None,
    ) -> Organization:
        """Set limits of an organization, for which it takes the root key, or of each of its end users; None lifts one."""
        return self._transport.run(
            administration.update_organization(organization, limits=limits, end_user_limits=end_user_limits)
        )

    def list_organizations(self) -> Iterator[Organization]:
        """Yield the organizations that this key may see."""
        return self._transport.pages(lambda cursor: administration.list_organizations(cursor=cursor))

    def _download(
        self, url: str, headers: Mapping[str, str], sink: Sink, file: File | None, progress: Progress | None
    ) -> None:
        receiving = Receiving(sink, file)
        attempts = self._transport.retries.begin()
        while True:
            before = receiving.received
            try:
                self._receive(receiving, url, headers, progress)
                receiving.finish()
                return
            except FerryError as error:
                if isinstance(error, ConnectionFailed) and receiving.received > before:
                    attempts.progressed()
                time.sleep(attempts.delay_after(error, repeatable=True))

    def _receive(self, receiving: Receiving, url: str, headers: Mapping[str, str], progress: Progress | None) -> None:
        try:
            with self._transport.http.stream(
                "GET", url, headers={**headers, **receiving.headers()}, follow_redirects=True
            ) as response:
                if not response.is_success:
                    response.read()
                receiving.begin(response)
                if progress:
                    progress(receiving.received, receiving.total)
                for chunk in response.iter_raw():
                    receiving.take(chunk)
                    if progress:
                        progress(receiving.received, receiving.total)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error
