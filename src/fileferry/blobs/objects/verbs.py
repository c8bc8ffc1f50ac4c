"""What a store of objects must do for blobs to be kept in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec


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
