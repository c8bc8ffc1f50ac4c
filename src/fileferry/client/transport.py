"""How requests of ``calls`` reach the server: one by one, repeated as they may be, and bodies to signed addresses.

``Transport`` blocks, ``AsyncTransport`` awaits; nothing here knows what a request means.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import httpx

from fileferry.client import refusal
from fileferry.client.call import Call
from fileferry.client.connection import Connection
from fileferry.client.crew import Stopped
from fileferry.client.failures import ConnectionFailed, error_from, failure_from, unreadable
from fileferry.client.following import SILENCE, Following
from fileferry.client.nouns import Event, Page
from fileferry.client.parts import Progress
from fileferry.client.retrying import Attempts, RetryPolicy
from fileferry.client.sources import Sending
from fileferry.client.streaming import headers_at, offset_beyond
from fileferry.errors import FerryError, Gone, NotFound

T = TypeVar("T")


class Transport:
    """The connections of a ``Client``, for any number of threads."""

    def __init__(self, connection: Connection, retries: RetryPolicy) -> None:
        self.connection = connection
        self.retries = retries
        self.http = httpx.Client(timeout=connection.timeout, headers=connection.headers)

    def run(self, call: Call[T], attempts: Attempts | None = None) -> T:
        """Return what a call answers; raise its error when it is not worth repeating, or was repeated enough."""
        attempts = attempts or self.retries.begin()
        while True:
            try:
                return call.read(self.send(call))
            except FerryError as error:
                time.sleep(attempts.delay_after(error, repeatable=call.repeatable, final=call.final))

    def delete(self, call: Call[None]) -> None:
        """Run a call that removes something, and take for success that a repeated one finds nothing."""
        attempts = self.retries.begin()
        try:
            self.run(call, attempts)
        except (NotFound, Gone):
            # After a lost answer this says that the first attempt had succeeded.
            if not attempts.answer_lost:
                raise

    def pages(self, call_for: Callable[[str | None], Call[Page[T]]]) -> Iterator[T]:
        """Yield the items of all pages, asking for each page as it is needed."""
        cursor: str | None = None
        while True:
            page = self.run(call_for(cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def follow(self, following: Following) -> Iterator[Event]:
        """Yield events for ever, through as many streams as it takes; raise the error of one that is not to be repeated."""
        attempts = self.retries.begin()
        while True:
            try:
                for event in self._stream(following):
                    attempts.progressed()
                    yield event
                time.sleep(following.pause)
            except FerryError as error:
                time.sleep(attempts.delay_after(error, repeatable=True))

    def _stream(self, following: Following) -> Iterator[Event]:
        url = self.connection.to(following.path)
        headers = {**self.connection.authorization(), **following.headers()}
        timeout = self.connection.timeout_with(SILENCE)
        try:
            with self.http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                _good(response)
                for chunk in response.iter_raw():
                    yield from following.take(chunk)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error

    def send(self, call: Call[T], sending: Sending | None = None, progress: Progress | None = None) -> httpx.Response:
        """Make a call once, with a body where there is one; return its good answer or raise its error."""
        url = self.connection.to(call.path)
        headers = {**self.connection.authorization(), **call.headers}
        content = None
        if sending is not None:
            headers |= sending.headers()
            content = _reported(sending, progress)
        timeout = self.connection.timeout_with(call.seconds)
        return self._exchange(call.method, url, headers=headers, json=call.json, content=content, timeout=timeout)

    def put(
        self, url: str, sending: Sending, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> httpx.Response:
        """Send a body to a signed address once, without the key; return the good answer or raise the error.

        Raise Stopped in the middle of the body when ``stop`` is set.
        """
        return self._exchange("PUT", url, headers=sending.headers(), content=_reported(sending, progress, stop))

    def patch(self, url: str, offset: int, sending: Sending, seconds: float = 0.0) -> int:
        """Go on with a stream at a signed address, once; return how many bytes the server holds then, or raise the error.

        ``seconds`` is how much longer than the client's timeout the answer may take.
        """
        headers = {**headers_at(offset), **sending.headers()}
        timeout = self.connection.timeout_with(seconds)
        response = self._exchange("PATCH", url, headers=headers, content=iter(sending), timeout=timeout)
        return offset_beyond(offset, response)

    def _exchange(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            response = self.http.request(method, url, **request)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error
        return _good(response)


class AsyncTransport:
    """The connections of an ``AsyncClient``, for one event loop."""

    def __init__(self, connection: Connection, retries: RetryPolicy) -> None:
        self.connection = connection
        self.retries = retries
        self.http = httpx.AsyncClient(timeout=connection.timeout, headers=connection.headers)

    async def run(self, call: Call[T], attempts: Attempts | None = None) -> T:
        """Return what a call answers; raise its error when it is not worth repeating, or was repeated enough."""
        attempts = attempts or self.retries.begin()
        while True:
            try:
                return call.read(await self.send(call))
            except FerryError as error:
                await asyncio.sleep(attempts.delay_after(error, repeatable=call.repeatable, final=call.final))

    async def delete(self, call: Call[None]) -> None:
        """Run a call that removes something, and take for success that a repeated one finds nothing."""
        attempts = self.retries.begin()
        try:
            await self.run(call, attempts)
        except (NotFound, Gone):
            # After a lost answer this says that the first attempt had succeeded.
            if not attempts.answer_lost:
                raise

    async def pages(self, call_for: Callable[[str | None], Call[Page[T]]]) -> AsyncIterator[T]:
        """Yield the items of all pages, asking for each page as it is needed."""
        cursor: str | None = None
        while True:
            page = await self.run(call_for(cursor))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def follow(self, following: Following) -> AsyncIterator[Event]:
        """Yield events for ever, through as many streams as it takes; raise the error of one that is not to be repeated."""
        attempts = self.retries.begin()
        while True:
            try:
                async with aclosing(self._stream(following)) as events:
                    async for event in events:
                        attempts.progressed()
                        yield event
                await asyncio.sleep(following.pause)
            except FerryError as error:
                await asyncio.sleep(attempts.delay_after(error, repeatable=True))

    async def _stream(self, following: Following) -> AsyncGenerator[Event]:
        url = self.connection.to(following.path)
        headers = {**self.connection.authorization(), **following.headers()}
        timeout = self.connection.timeout_with(SILENCE)
        try:
            async with self.http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                _good(response)
                async for chunk in response.aiter_raw():
                    for event in following.take(chunk):
                        yield event
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error

    async def send(
        self, call: Call[T], sending: Sending | None = None, progress: Progress | None = None
    ) -> httpx.Response:
        """Make a call once, with a body where there is one; return its good answer or raise its error."""
        url = self.connection.to(call.path)
        headers = {**self.connection.authorization(), **call.headers}
        timeout = self.connection.timeout_with(call.seconds)
        if sending is None:
            return await self._exchange(call.method, url, headers=headers, json=call.json, timeout=timeout)
        return await self._send_body(call.method, url, headers, sending, progress)

    async def put(self, url: str, sending: Sending, progress: Progress | None = None) -> httpx.Response:
        """Send a body to a signed address once, without the key; return the good answer or raise the error."""
        return await self._send_body("PUT", url, {}, sending, progress)

    async def patch(self, url: str, offset: int, sending: Sending, seconds: float = 0.0) -> int:
        """Go on with a stream at a signed address, once; return how many bytes the server holds then, or raise the error.

        ``seconds`` is how much longer than the client's timeout the answer may take. A refusal is not asked for again:
        the byte of that question would become part of the stream.
        """
        headers = {**headers_at(offset), **sending.headers()}
        timeout = self.connection.timeout_with(seconds)
        content = _reported_later(sending, None)
        response = await self._exchange("PATCH", url, headers=headers, content=content, timeout=timeout)
        return offset_beyond(offset, response)

    async def _send_body(
        self, method: str, url: str, headers: Mapping[str, str], sending: Sending, progress: Progress | None
    ) -> httpx.Response:
        asked = {**headers, **sending.headers()}
        try:
            return await self._exchange(method, url, headers=asked, content=_reported_later(sending, progress))
        except ConnectionFailed as failure:
            if not refusal.is_worth_asking(sending):
                raise
            raise await self._refusal(method, url, asked, sending) or failure from failure.__cause__

    async def _refusal(self, method: str, url: str, headers: Mapping[str, str], sending: Sending) -> FerryError | None:
        asked = refusal.question_headers(headers, sending)
        try:
            response = await self.http.request(
                method, url, headers=asked, content=refusal.one_byte(), timeout=refusal.SECONDS
            )
        except httpx.RequestError:
            return None
        return error_from(response) if response.is_error else None

    async def _exchange(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            response = await self.http.request(method, url, **request)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise failure_from(error, url) from error
        return _good(response)


def _good(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise error_from(response)
    if not response.is_success:
        raise unreadable(response, "an answer of fileferry's")
    return response


def _reported(sending: Sending, progress: Progress | None, stop: threading.Event | None = None) -> Iterator[bytes]:
    if progress:
        progress(0, sending.total)
    for chunk in sending:
        if stop and stop.is_set():
            raise Stopped
        yield chunk
        if progress:
            progress(sending.sent, sending.total)


async def _reported_later(sending: Sending, progress: Progress | None) -> AsyncIterator[bytes]:
    if progress:
        progress(0, sending.total)
    async for chunk in sending:
        yield chunk
        if progress:
            progress(sending.sent, sending.total)
