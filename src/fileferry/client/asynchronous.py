"""The client for asyncio programs, ``AsyncClient``. What it sends and how it reads answers is in ``calls``."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar, overload

import httpx

from fileferry.client import calls, refusal
from fileferry.client.blocking import Progress
from fileferry.client.calls import UNCHANGED, Call, Lifetime, Unchanged
from fileferry.client.connection import Connection
from fileferry.client.downloads import OpenFile, Receiving, Sink, partial_file
from fileferry.client.failures import ConnectionFailed, error_from, failure_from, unreadable
from fileferry.client.nouns import ApiKey, File, Organization, Page
from fileferry.client.proof import check_upload
from fileferry.client.retrying import PATIENT, Attempts, RetryPolicy
from fileferry.client.sources import AsyncIterableSource, Readable, Sending, Source, source_of
from fileferry.errors import DigestMismatch, FerryError, Gone, NotFound

T = TypeVar("T")


class AsyncClient:
    """A connection to one fileferry server; use it as an asynchronous context manager, from one event loop.

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
        self._http = httpx.AsyncClient(timeout=self._connection.timeout, headers=self._connection.headers)

    def __repr__(self) -> str:
        return f"AsyncClient(url={self._connection.url!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def upload(
        self,
        source: Readable | AsyncIterable[bytes],
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
        bytes_from = _source(source)
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
                response = await self._send(call, sending, progress)
                break
            except FerryError as error:
                if not bytes_from.restartable:
                    raise
                await asyncio.sleep(attempts.delay_after(error, repeatable=call.repeatable))
        file = call.read(response)
        try:
            check_upload(file, sending, response)
        except DigestMismatch:
            if response.status_code == httpx.codes.CREATED:
                with contextlib.suppress(FerryError):
                    await self.delete(file)
            raise
        return file

    async def get(self, file_id: str) -> File:
        """Return the file with this id."""
        return await self._run(calls.get_file(file_id))

    def list(
        self, prefix: str | None = None, *, workspace: str | None = None, page_size: int | None = None
    ) -> AsyncIterator[File]:
        """Yield the files, all or those whose path starts with ``prefix``; pages are asked for as they are needed."""
        return self._pages(
            lambda cursor: calls.list_files(prefix=prefix, workspace=workspace, page_size=page_size, cursor=cursor)
        )

    async def update(
        self,
        file: File | str,
        *,
        name: str | Unchanged = UNCHANGED,
        expires_in: Lifetime | Unchanged | None = UNCHANGED,
        expires_at: datetime | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, object] | Unchanged = UNCHANGED,
    ) -> File:
        """Change what is given and return the file; an expiry of None keeps the file for good."""
        return await self._run(
            calls.update_file(
                calls.id_of(file), name=name, expires_in=expires_in, expires_at=expires_at, metadata=metadata
            )
        )

    async def delete(self, file: File | str) -> None:
        """Delete a file: its URL stops serving at once."""
        await self._delete(calls.delete_file(calls.id_of(file)))

    @overload
    async def download(
        self, file: File | str, destination: None = None, *, progress: Progress | None = None
    ) -> bytes: ...
    @overload
    async def download(
        self, file: File | str, destination: str | os.PathLike[str] | IO[bytes], *, progress: Progress | None = None
    ) -> None: ...
    async def download(
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
            await self._download(url, headers, OpenFile(memory), known, progress)
            return memory.getvalue()
        if isinstance(destination, str | os.PathLike):
            with partial_file(Path(destination), url) as partial:
                await self._download(url, headers, partial, known, progress)
            return None
        await self._download(url, headers, OpenFile(destination), known, progress)
        return None

    async def create_key(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        organization: str | None = None,
        expires_in: Lifetime | None = None,
    ) -> ApiKey:
        """Make an API key; its ``secret`` is in this answer only. Scopes: upload, read, delete, admin."""
        return await self._run(calls.create_key(name, scopes=scopes, organization=organization, expires_in=expires_in))

    def list_keys(self) -> AsyncIterator[ApiKey]:
        """Yield the keys that this key may see, without their secrets."""
        return self._pages(lambda cursor: calls.list_keys(cursor=cursor))

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it stops working at once."""
        await self._delete(calls.revoke_key(key_id))

    async def rotate_key(self, key_id: str, *, grace: Lifetime | None = None) -> ApiKey:
        """Give a key a new secret; the old one works on for ``grace``, by default not at all."""
        return await self._run(calls.rotate_key(key_id, grace=grace))

    async def create_organization(
        self, slug: str, *, name: str | None = None, organization_id: str | None = None
    ) -> Organization:
        """Make an organization; only the root key may."""
        return await self._run(calls.create_organization(slug, name=name, organization_id=organization_id))

    def list_organizations(self) -> AsyncIterator[Organization]:
        """Yield the organizations that this key may see."""
        return self._pages(lambda cursor: calls.list_organizations(cursor=cursor))

    async def _run(self, call: Call[T], attempts: Attempts | None = None) -> T:
        attempts = attempts or self._retries.begin()
        while True:
            try:
                return call.read(await self._send(call))
            except FerryError as error:
                await asyncio.sleep(attempts.delay_after(error, repeatable=call.repeatable))

    async def _delete(self, call: Call[None]) -> None:
        attempts = self._retries.begin()
        try:
            await self._run(call, attempts)
        except (NotFound, Gone):
            # After a lost answer this says that the first attempt had succeeded.
            if not attempts.answer_lost:
                raise

    async def _pages(self, call_for: Callable[[str | None], Call[Page[T]]]) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            page = await self._run(call_for(cursor))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _send(
        self, call: Call[T], sending: Sending | None = None, progress: Progress | None = None
    ) -> httpx.Response:
        url = self._connection.to(call.path)
        headers = {**self._connection.authorization(), **call.headers}
        content = None
        if sending is not None:
            headers |= sending.headers()
            content = _reported(sending, progress)
        try:
            response = await self._http.request(call.method, url, headers=headers, json=call.json, content=content)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            failure = failure_from(error, url)
            if sending is not None and isinstance(failure, ConnectionFailed) and refusal.is_worth_asking(sending):
                failure = await self._refusal(call.method, url, headers, sending) or failure
            raise failure from error
        if response.is_error:
            raise error_from(response)
        if not response.is_success:
            raise unreadable(response, "an answer of fileferry's")
        return response

    async def _refusal(self, method: str, url: str, headers: Mapping[str, str], sending: Sending) -> FerryError | None:
        asked = refusal.question_headers(headers, sending)
        try:
            response = await self._http.request(
                method, url, headers=asked, content=refusal.one_byte(), timeout=refusal.SECONDS
            )
        except httpx.RequestError:
            return None
        return error_from(response) if response.is_error else None

    async def _download(
        self, url: str, headers: Mapping[str, str], sink: Sink, file: File | None, progress: Progress | None
    ) -> None:
        receiving = await asyncio.to_thread(Receiving, sink, file)
        attempts = self._retries.begin()
        while True:
            before = receiving.received
            try:
                await self._receive(receiving, url, headers, progress)
                await asyncio.to_thread(receiving.finish)
                return
            except FerryError as error:
                if isinstance(error, ConnectionFailed) and receiving.received > before:
                    attempts.progressed()
                await asyncio.sleep(attempts.delay_after(error, repeatable=True))

    async def _receive(
        self, receiving: Receiving, url: str, headers: Mapping[str, str], progress: Progress | None
    ) -> None:
        try:
            async with self._http.stream(
                "GET", url, headers={**headers, **receiving.headers()}, follow_redirects=True
            ) as response:
                if not response.is_success:
                    await response.aread()
                receiving.begin(response)
                if progress:
                    progress(receiving.received, receiving.total)
                async for chunk in response.aiter_raw():
                    await asyncio.to_thread(receiving.take, chunk)
                    if progress:
                        progress(receiving.received, receiving.total)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error


async def _reported(sending: Sending, progress: Progress | None) -> AsyncIterator[bytes]:
    if progress:
        progress(0, sending.total)
    async for chunk in sending:
        yield chunk
        if progress:
            progress(sending.sent, sending.total)


def _source(source: Readable | AsyncIterable[bytes]) -> Source | AsyncIterableSource:
    return AsyncIterableSource(source) if isinstance(source, AsyncIterable) else source_of(source)
