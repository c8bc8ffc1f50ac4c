"""What a store of objects must do for blobs to be kept in it: the interface, and how bytes of an object are read by HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import msgspec

from fileferry.blobs.objects.requests import BROKEN, Answer, Streamed
from fileferry.blobs.store import BlobMissing
from fileferry.errors import Unavailable

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(?:\d+|\*)")
_RESUMPTIONS = 4  # of one answer, each after some bytes or none


class Listed(msgspec.Struct, frozen=True):
    """An object of a listing; ``key`` is below the prefix, ``size`` in bytes, ``age`` by the clock of the store."""

    key: str
    size: int
    age: timedelta


class Objects(Protocol):
    """The objects of one place, named below its prefix. Methods may raise Unavailable, and InsufficientStorage where they write."""

    async def put(self, key: str, body: bytes, *, must_be_new: bool = False) -> bool:
        """Write an object; return whether it was written. With ``must_be_new`` none is replaced, by stores that can see to it."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return a small object whole; None where there is none."""
        ...

    async def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None where there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield ``length`` bytes from ``start`` on, at least one. Raises BlobMissing, also for an object that is shorter."""
        ...

    def list(self, prefix: str) -> AsyncGenerator[Listed]:
        """Yield the objects whose keys begin so, in whatever order, those of one folder one after the other."""
        ...

    async def begin_parts(self, key: str) -> str:
        """Begin an object that comes in parts; return its id."""
        ...

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Write a part, the first is 1; return by what ``complete_parts`` names it."""
        ...

    async def complete_parts(self, key: str, upload_id: str, tags: Sequence[str], size: int) -> None:
        """Make these parts an object of ``size`` bytes. Raises Unavailable where it is not one afterwards."""
        ...

    async def abort_parts(self, key: str, upload_id: str) -> None:
        """Give up an object that comes in parts, and those that came; one that is not there is no error."""
        ...

    def list_unfinished(self, prefix: str) -> AsyncGenerator[tuple[str, str, timedelta]]:
        """Yield key, id and age since the last part of every object that is still coming in parts."""
        ...


class GetObject(Protocol):
    """How an object's bytes are asked for."""

    async def __call__(self, key: str, headers: Mapping[str, str], /, *, accept: Collection[int]) -> Streamed:
        """Get an object whose body is read later."""
        ...


async def read(get: GetObject, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
    """Yield ``length`` bytes from ``start`` on, at least one; goes on where a connection breaks. Raises BlobMissing.

    An object that is shorter is missing too.
    """
    end = start + length
    failures = 0
    while start < end:
        answer = await get(key, {"range": f"bytes={start}-{end - 1}"}, accept=(404, 416))
        try:
            if answer.status in (404, 416):
                raise BlobMissing(key)
            skipped = _skipped(answer, start)
            async for block in answer.body():
                dropped = min(skipped, len(block))
                skipped -= dropped
                block = block[dropped : dropped + end - start]
                if block:
                    start += len(block)
                    yield block
                if start == end:
                    break
        except BROKEN as error:
            failures += 1
            if failures > _RESUMPTIONS:
                raise Unavailable("The store broke off again and again.", retry_after=5) from error
            continue
        finally:
            await answer.close()
        if start < end:
            raise BlobMissing(key)


def moment_of(answer: Answer) -> datetime:
    """Return what the store's clock said when it answered."""
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _skipped(answer: Streamed, start: int) -> int:
    """Return how many bytes of the body come before ``start``: rclone says 200 to what is a range, others to the whole."""
    told = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if told is None and answer.status == 206:
        raise Unavailable("The store sent a range without saying which.", retry_after=5)
    begins = int(told[1]) if told else 0
    if begins > start:
        raise Unavailable("The store sent another range than it was asked for.", retry_after=5)
    return start - begins
