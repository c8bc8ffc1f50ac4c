"""What asyncio does in a way of its own: waiting, several things at once, blocking work in threads, asynchronous sources.

Written by hand, like ``blocking.runtime``, which has the same names; everything else in this package is written once, here.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Lock
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import ParamSpec, TypeVar

import httpcore
import httpx

from fileferry.client.failures import error_from
from fileferry.client.transfers import sources
from fileferry.client.transfers.sources import Readable, Sending, Source, as_bytes
from fileferry.client.transfers.streaming import Held
from fileferry.errors import FerryError

__all__ = [
    "AnySource",
    "Lock",
    "chunks_of",
    "fill",
    "in_parallel",
    "lost_refusal",
    "run_blocking",
    "sleep",
    "source_of",
]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

REFUSAL_SECONDS = 2.0
"""How long a server has to say again why it refused."""


class AsyncIterableSource:
    """Chunks that somebody else makes asynchronously."""

    name: str | None = None
    size: None = None

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks as they come."""
        async for chunk in self._chunks:
            yield as_bytes(chunk)


AnySource = Source | AsyncIterableSource
"""Where bytes may come from."""


def source_of(readable: Readable | AsyncIterable[bytes]) -> AnySource:
    """Return the source for what a caller gave; raise TypeError for what holds no bytes, OSError for a bad path."""
    return AsyncIterableSource(readable) if isinstance(readable, AsyncIterable) else sources.source_of(readable)


async def sleep(seconds: float) -> None:
    """Wait; the end of a task interrupts it."""
    await asyncio.sleep(seconds)


async def run_blocking(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do in a thread what would hold up the event loop."""
    return await asyncio.to_thread(work, *args, **kwargs)


async def chunks_of(sending: Sending) -> AsyncIterator[bytes]:
    """Yield what is sent; it is read and digested in threads."""
    chunks = iter(sending)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


async def fill(held: Held, chunks: Iterator[bytes] | AsyncIterator[bytes]) -> None:
    """Have ``held`` take chunks of a source as long as it has room: in a thread, unless they come asynchronously."""
    if isinstance(chunks, Iterator):
        await asyncio.to_thread(held.fill, chunks)
        return
    while held.has_room:
        held.take(await anext(chunks, None))


async def in_parallel(
    items: Sequence[T], parallel: int, work: Callable[[T], Awaitable[R]], take: Callable[[T, R], object]
) -> None:
    """Call ``take(item, await work(item))`` for every item, with at most ``parallel`` under way; raise the first error.

    However it ends, all other tasks are cancelled and waited for.
    """
    todo = iter(items)

    async def run() -> None:
        for item in todo:
            take(item, await work(item))

    tasks = [asyncio.create_task(run()) for _ in range(min(parallel, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def lost_refusal(
    http: httpx.AsyncClient, method: str, url: str, headers: Mapping[str, str], sending: Sending
) -> FerryError | None:
    """Return why the server cut off a body midway, where it says so: asyncio drops an answer that comes while it sends.

    The question is the same request with one byte of its body: a server that refuses says why, any other stores nothing.
    """
    if sending.sent <= 1 or sending.ended:
        return None
    size = sending.sent if sending.total is None else sending.total
    kept = {name: value for name, value in headers.items() if name != "Idempotency-Key"}
    # At least the size that the server had seen; and no key, by which it would remember the question.
    asked = {**kept, "Content-Length": str(size)}
    try:
        response = await http.request(method, url, headers=asked, content=_one_byte(), timeout=REFUSAL_SECONDS)
    except httpx.RequestError:
        return None
    return error_from(response) if response.is_error else None


async def _one_byte() -> AsyncIterator[bytes]:
    yield b"\0"
    # Makes the HTTP library turn to the answer, as it does when a connection breaks.
    raise httpcore.WriteError("One byte was all there is to send.")
