"""The client for ordinary programs, ``Client``. What it sends and how it reads answers is in ``calls``."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar, overload

import httpx

from fileferry.client import calls
from fileferry.client.calls import UNCHANGED, Call, Lifetime, Unchanged
from fileferry.client.connection import Connection
from fileferry.client.downloads import OpenFile, Receiving, Sink, partial_file
from fileferry.client.failures import ConnectionFailed, error_from, failure_from, unreadable
from fileferry.client.nouns import ApiKey, File, Organization, Page
from fileferry.client.proof import check_upload
from fileferry.client.retrying import PATIENT, Attempts, RetryPolicy
from fileferry.client.sources import Readable, Sending, source_of
from fileferry.errors import DigestMismatch, FerryError, Gone, NotFound

T = TypeVar("T")

Progress = Callable[[int, int | None], object]
"""Called with the bytes done so far and the total, None where it is unknown."""


class Client:
    """A connection to one fileferry server; use it as a context manager, from any number of threads.

    ``url`` and ``key`` default to FILEFERRY_URL and FILEFERRY_KEY. ``timeout`` is in seconds without any progress.
    Every method raises a ``FerryError``: one of the catalogue as the server answered it, ``ConnectionFailed`` or
    ``TimedOut`` without an answer, ``NotConfigured`` without a server. What can be repeated was repeated by then.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: RetryPolicy = PATIENT,
    ) -> None:
        self._connection = Connection(url, key, timeout)
        self._retries = retries
        self._http = httpx.Client(timeout=self._connection.timeout, headers=self._connection.headers)

    def __repr__(self) -> str:
        return f"Client(url={self._connection.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(
        self,
        source: Readable,
        *,
        name: str | None = None,
        path: str | None = None,
        expires_in: Lifetime | None = None,
        expires_at: datetime | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        organization: str | None = None,
        workspace: str | None = None,
        progress: Progress | None = None,
    ) -> File:
        """Upload ``source`` and return its file, whose ``url`` serves it.

        A str is a path. With ``path=`` the bytes become the file at that path, or its new version; otherwise a new file
        called ``name`` (default: the source's own name). Bytes are streamed, digested on the way, and compared with the
        server's SHA-256. An interrupted upload is repeated when the source can be read again; an iterator cannot.
        """
        bytes_from = source_of(source)
        call = calls.upload(
            name=name or bytes_from.name,
            path=path,
            expires_in=expires_in,
            expires_at=expires_at,
            content_type=content_type,
            metadata=metadata,
            organization=organization,
            workspace=workspace,
        )
        attempts = self._retries.begin()
        while True:
            sending = Sending(bytes_from)
            try:
                response = self._send(call, sending, progress)
                break
            except FerryError as error:
                if not bytes_from.restartable:
                    raise
                time.sleep(attempts.delay_after(error, repeatable=call.repeatable))
        file = call.read(response)
        try:
            check_upload(file, sending, response)
        except DigestMismatch:
            if response.status_code == httpx.codes.CREATED:
                with contextlib.suppress(FerryError):
                    self.delete(file)
            raise
        return file

    def get(self, file_id: str) -> File:
        """Return the file with this id."""
        return self._run(calls.get_file(file_id))

    def list(
        self, prefix: str | None = None, *, workspace: str | None = None, page_size: int | None = None
    ) -> Iterator[File]:
        """Yield the files, all or those whose path starts with ``prefix``; pages are asked for as they are needed."""
        return self._pages(
            lambda cursor: calls.list_files(prefix=prefix, workspace=workspace, page_size=page_size, cursor=cursor)
        )

    def update(
        self,
        file: File | str,
        *,
        name: str | Unchanged = UNCHANGED,
        expires_in: Lifetime | Unchanged | None = UNCHANGED,
        expires_at: datetime | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, object] | Unchanged = UNCHANGED,
    ) -> File:
        """Change what is given and return the file; an expiry of None keeps the file for good."""
        return self._run(
            calls.update_file(
                calls.id_of(file), name=name, expires_in=expires_in, expires_at=expires_at, metadata=metadata
            )
        )

    def delete(self, file: File | str) -> None:
        """Delete a file: its URL stops serving at once."""
        self._delete(calls.delete_file(calls.id_of(file)))

    @overload
    def download(self, file: File | str, destination: None = None, *, progress: Progress | None = None) -> bytes: ...
    @overload
    def download(
        self, file: File | str, destination: str | os.PathLike[str] | IO[bytes], *, progress: Progress | None = None
    ) -> None: ...
    def download(
        self,
        file: File | str,
        destination: str | os.PathLike[str] | IO[bytes] | None = None,
        *,
        progress: Progress | None = None,
    ) -> bytes | None:
        """Download a file, given as a File, an id or a URL; without ``destination`` return its bytes.

        A path is written by way of ``NAME.part`` and appears only when it is whole and its SHA-256 is right; an
        unfinished part is resumed by the next call, if the content is still the same. The key is not sent to URLs.
        """
        known = file if isinstance(file, File) else None
        url, headers = calls.content_of(file, self._connection)
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

    def create_key(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        organization: str | None = None,
        expires_in: Lifetime | None = None,
    ) -> ApiKey:
        """Make an API key; its ``secret`` is in this answer only. Scopes: upload, read, delete, admin."""
        return self._run(calls.create_key(name, scopes=scopes, organization=organization, expires_in=expires_in))

    def list_keys(self) -> Iterator[ApiKey]:
        """Yield the keys that this key may see, without their secrets."""
        return self._pages(lambda cursor: calls.list_keys(cursor=cursor))

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it stops working at once."""
        self._delete(calls.revoke_key(key_id))

    def rotate_key(self, key_id: str, *, grace: Lifetime | None = None) -> ApiKey:
        """Give a key a new secret; the old one works on for ``grace``, by default not at all."""
        return self._run(calls.rotate_key(key_id, grace=grace))

    def create_organization(
        self, slug: str, *, name: str | None = None, organization_id: str | None = None
    ) -> Organization:
        """Make an organization; only the root key may."""
        return self._run(calls.create_organization(slug, name=name, organization_id=organization_id))

    def list_organizations(self) -> Iterator[Organization]:
        """Yield the organizations that this key may see."""
        return self._pages(lambda cursor: calls.list_organizations(cursor=cursor))

    def _run(self, call: Call[T], attempts: Attempts | None = None) -> T:
        attempts = attempts or self._retries.begin()
        while True:
            try:
                return call.read(self._send(call))
            except FerryError as error:
                time.sleep(attempts.delay_after(error, repeatable=call.repeatable))

    def _delete(self, call: Call[None]) -> None:
        attempts = self._retries.begin()
        try:
            self._run(call, attempts)
        except (NotFound, Gone):
            # After a lost answer this says that the first attempt had succeeded.
            if not attempts.answer_lost:
                raise

    def _pages(self, call_for: Callable[[str | None], Call[Page[T]]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page = self._run(call_for(cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _send(self, call: Call[T], sending: Sending | None = None, progress: Progress | None = None) -> httpx.Response:
        url = self._connection.to(call.path)
        headers = {**self._connection.authorization(), **call.headers}
        content = None
        if sending is not None:
            headers |= sending.headers()
            content = _reported(sending, progress)
        try:
            response = self._http.request(call.method, url, headers=headers, json=call.json, content=content)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error
        if response.is_error:
            raise error_from(response)
        if not response.is_success:
            raise unreadable(response, "an answer of fileferry's")
        return response

    def _download(
        self, url: str, headers: Mapping[str, str], sink: Sink, file: File | None, progress: Progress | None
    ) -> None:
        receiving = Receiving(sink, file)
        attempts = self._retries.begin()
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
            with self._http.stream(
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


def _reported(sending: Sending, progress: Progress | None) -> Iterator[bytes]:
    if progress:
        progress(0, sending.total)
    for chunk in sending:
        yield chunk
        if progress:
            progress(sending.sent, sending.total)
