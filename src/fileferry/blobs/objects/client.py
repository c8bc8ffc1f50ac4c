"""Authorized requests to one place of a store of objects. How one is authorized is for each kind of store to say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import httpcore

from fileferry.blobs.objects import requests
from fileferry.blobs.objects.requests import Answer, Pause, Refusals, Sender, Streamed
from fileferry.errors import FerryError
from fileferry.model import Clock, utc_now


class Client:
    """Sends requests. ``clock`` is that of signatures; ``pause`` waits between attempts, in seconds."""

    def __init__(self, scheme: str, refusals: Refusals, clock: Clock = utc_now, pause: Pause = asyncio.sleep) -> None:
        self.clock = clock
        self.pause = pause
        self._refusals = refusals
        self._sender = Sender(scheme, refusals, pause)

    async def ask(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send a request for ``key`` below the prefix, or for the whole; return a success, or an answer that is to be accepted.

        A body goes with its MD5, which stores verify. Raises Unavailable with the reason for any other answer, and where none
        came; InsufficientStorage where the store is full.
        """
        sums = await requests.off_the_loop(self._sums, body)

        async def attempt() -> tuple[Answer, Answer]:
            answer = await requests.read(await self._send(method, key, query, {**(headers or {}), **sums}, body))
            return answer, answer

        return await self._sender.repeated(attempt, accept)

    async def once(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request once, with ``headers`` in place of our own, and return whatever is answered; raises one of ``BROKEN``."""
        told = {**requests.length_of(method, body), **self._sums(body), **(headers or {})}
        return await requests.read(await self._send(method, key, query, told, body))

    async def stream(self, key: str, headers: Mapping[str, str], *, accept: Collection[int] = ()) -> Streamed:
        """Get an object whose body is read later; raises as ``ask`` does."""
        told = {**headers, **self._sums(b"")}

        async def attempt() -> tuple[Streamed, Answer]:
            return await requests.streamed(await self._send("GET", key, (), told, b""))

        return await self._sender.repeated(attempt, accept)

    async def send_as_told(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request of whoever has a signed URL, once, and return whatever is answered; raises one of ``BROKEN``."""
        return await self._sender.send_as_told(method, url, headers, body)

    def refused(self, answer: Answer) -> FerryError:
        """Return what to tell of an answer that says no, where no other is to be expected."""
        return self._refusals.error_of(answer)

    async def close(self) -> None:
        """Close every connection."""
        await self._sender.close()

    async def _send(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        """Authorize a request and send it once."""
        raise NotImplementedError

    def _sums(self, body: bytes) -> dict[str, str]:
        """Return the headers that tell of a body, or of none."""
        raise NotImplementedError
