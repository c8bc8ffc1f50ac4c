"""``Prefer: wait=N`` (RFC 7240 section 4.3): an answer that is put off until what it tells of has settled, or N seconds are over.

Who waits holds no thread and no connection to the database.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from litestar.types import Message, Scope

from fileferry import telemetry
from fileferry.engine.engine import Engine
from fileferry.model import State, StoredFile
from fileferry.web.requests import AnyRequest

_RECHECK = 3.0  # seconds: not everything that ends a wait is an event, such as an upload that is given up
_LONGEST_FIELD = 1024  # characters; a search for quotes that do not close takes the square of them
_APPLIED = "preference_applied"
_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_UNDER_WAY = (State.PENDING, State.RECEIVED, State.PROCESSING)

T = TypeVar("T")


def asked_wait(request: AnyRequest) -> int | None:
    """Return how many seconds the request prefers to wait, as far as they are granted; None where it does not say.

    A preference may be ignored (RFC 7240 section 2): a field that is absurdly long is.
    """
    fields = ",".join(request.headers.getall("prefer", []))
    if len(fields) > _LONGEST_FIELD:
        return None
    for member in _MEMBER.findall(fields):
        name, _, value = member.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isascii() and seconds.isdigit():
            longest = int(request.app.state.engine.settings.max_wait.total_seconds())
            return longest if len(seconds) > 9 else min(int(seconds), longest)
    return None


async def settled(request: AnyRequest, engine: Engine, read: Callable[[], Awaitable[tuple[T, str | None]]]) -> T:
    """Return what ``read`` returns, as soon as it has settled or the request will not wait any longer.

    ``read`` gives the value and the id of the file that is still on its way, None once nothing is. What it raises in the end is
    the answer.
    """
    seconds = asked_wait(request)
    if seconds is not None:
        request.state[_APPLIED] = f"wait={seconds}"
    value, pending = await read()
    ends = asyncio.get_running_loop().time() + (seconds or 0)
    while seconds and pending is not None:
        async with engine.events.listening(pending) as bell:
            with ringing_at_departure(request.receive, bell) as gone:
                value, further = await _changed(engine, bell, gone, ends, pending, read)
        pending = None if further == pending else further
    return value


async def judged(request: AnyRequest, engine: Engine, stored: StoredFile) -> StoredFile:
    """Return a version that has just been brought; where the request waits for that, once it is ready or will not be."""
    (now,) = await all_judged(request, engine, [stored])
    return now


async def all_judged(request: AnyRequest, engine: Engine, brought: list[StoredFile]) -> list[StoredFile]:
    """Return versions that have just been brought; where the request waits for that, once each is ready or will not be."""

    async def read() -> tuple[list[StoredFile], str | None]:
        now = [standing(await engine.files.again(stored)) for stored in brought]
        return [stored for stored, _ in now], next((pending for _, pending in now if pending), None)

    telemetry.tell(file=brought[0].file.id if len(brought) == 1 else None)
    # Those who do not wait, nearly everybody, have no need to look again.
    return brought if asked_wait(request) is None else await settled(request, engine, read)


def standing(stored: StoredFile) -> tuple[StoredFile, str | None]:
    """Return a version, and the id of its file while it is not known whether it will be ready."""
    is_pending = stored.version.state in _UNDER_WAY and stored.file.deleted_at is None
    return stored, stored.file.id if is_pending else None


async def tell_applied(message: Message, scope: Scope) -> None:
    """Add ``Preference-Applied`` to an answer whose request was granted a wait."""
    if message["type"] == "http.response.start" and _APPLIED in scope["state"]:
        applied = (b"preference-applied", scope["state"][_APPLIED].encode())
        message["headers"] = [*message.get("headers", ()), applied]


@contextmanager
def ringing_at_departure(receive: Callable[[], Awaitable[Any]], bell: asyncio.Event) -> Iterator[asyncio.Task[None]]:
    """Give what is done once the client has gone, which rings the bell too. The request's body must have been read."""
    gone = asyncio.create_task(departure(receive))
    gone.add_done_callback(lambda _: bell.set())
    try:
        yield gone
    finally:
        gone.cancel()


async def departure(receive: Callable[[], Awaitable[Any]]) -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _changed(
    engine: Engine,
    bell: asyncio.Event,
    gone: asyncio.Task[Any],
    ends: float,
    pending: str,
    read: Callable[[], Awaitable[tuple[T, str | None]]],
) -> tuple[T, str | None]:
    """Return what is read once another file is waited for, or none; ``pending`` itself when there is no more time."""
    loop = asyncio.get_running_loop()
    while True:
        bell.clear()
        value, further = await read()
        left = ends - loop.time()
        if further != pending or left <= 0 or gone.done() or engine.events.is_closed:
            return value, further
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _RECHECK)):
                await bell.wait()
