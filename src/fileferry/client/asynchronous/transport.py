"""How requests of ``calls`` reach the server: one by one, repeated as they may be, and bodies to signed addresses.

Nothing here knows what a request means.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import httpx

from fileferry.client.asynchronous.runtime import chunks_of, lost_refusal, sleep
from fileferry.client.calls.call import Call
from fileferry.client.connection import Connection
from fileferry.client.failures import ConnectionFailed, error_from, failure_from, unreadable
from fileferry.client.following import SILENCE, Following
from fileferry.client.nouns.events import Event
from fileferry.client.nouns.pages import Page
from fileferry.client.retrying import Attempts, RetryPolicy
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.sources import Sending
from fileferry.client.transfers.streaming import headers_at, offset_beyond
from fileferry.errors import FerryError, Gone, NotFound

T = TypeVar("T")


class Transport:
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
                await sleep(attempts.delay_after(error, repeatable=call.repeatable, final=call.final))

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
                await sleep(following.pause)
            except FerryError as error:
                await sleep(attempts.delay_after(error, repeatable=True))

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
        if sending is not None:
            return await self._send_body(call.method, url, headers, sending, progress, call.seconds)
        timeout = self.connection.timeout_with(call.seconds)
        body = {"json": call.json, "content": call.content}
        return await self._exchange(call.method, url, headers=headers, timeout=timeout, **body)

    async def put(self, url: str, sending: Sending, progress: Progress | None = None) -> httpx.Response:
        """Send a body to a signed address once, without the key; return the good answer or raise the error."""
        return await self._send_body("PUT", url, {}, sending, progress)

    async def patch(self, url: str, offset: int, sending: Sending, seconds: float = 0.0) -> int:
        """Go on with a stream at a signed address, once; return how many bytes the server holds then, or raise the error.

        ``seconds`` is how much longer than the client's timeout the answer may take.
        """
        headers = {**headers_at(offset), **sending.headers()}
        timeout = self.connection.timeout_with(seconds)
        # A refusal that was lost is not asked for: the byte of that question would become part of the stream.
        response = await self._exchange("PATCH", url, headers=headers, content=chunks_of(sending), timeout=timeout)
        return offset_beyond(offset, response)

    async def _send_body(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        sending: Sending,
        progress: Progress | None,
        seconds: float = 0.0,
    ) -> httpx.Response:
        asked = {**headers, **sending.headers()}
        content = _reported(sending, progress)
        timeout = self.connection.timeout_with(seconds)
        try:
            return await self._exchange(method, url, headers=asked, content=content, timeout=timeout)
        except ConnectionFailed as failure:
            refusal = await lost_refusal(self.http, method, url, asked, sending)
            raise refusal or failure from failure.__cause__

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


async def _reported(sending: Sending, progress: Progress | None) -> AsyncIterator[bytes]:
    if progress:
        progress(0, sending.total)
    async for chunk in chunks_of(sending):
        yield chunk
        if progress:
            progress(sending.sent, sending.total)
