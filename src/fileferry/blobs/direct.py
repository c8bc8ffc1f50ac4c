"""What clients may do with a store past this server, by URLs that hold their own permission. It has no code of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import msgspec


class DirectPart(msgspec.Struct, frozen=True):
    """A part that a client has sent to the store. ``size`` is in bytes; ``tag`` is what the store answered, without quotes.

    It is empty where the store names no parts.
    """

    number: int
    size: int
    tag: str


Pinned = tuple[str, bytes]
"""A digest that a body must have: its name (RFC 9530) and value."""


class Presentation(msgspec.Struct, frozen=True):
    """What a store is to say of the bytes that it gives: values of Content-Type, Content-Disposition and Cache-Control."""

    content_type: str
    disposition: str
    cache_control: str


class DirectUploads(Protocol):
    """Blobs that clients send to the store themselves, in parts: one for a blob, or several of which only the last is short.

    What ``complete`` has made of them can be changed by no URL any more. Every method may raise Unavailable.
    """

    @property
    def least_part(self) -> int:
        """How many bytes every part but the last must have."""
        ...

    @property
    def largest_part(self) -> int:
        """How many bytes a part may have."""
        ...

    @property
    def longest(self) -> timedelta:
        """How long a URL may be good."""
        ...

    @property
    def pins(self) -> frozenset[str]:
        """The names of digests (RFC 9530) that the store holds the body of a URL to: it refuses other bytes as they come."""
        ...

    @property
    def names_parts(self) -> bool:
        """Whether the answer to a part has an ETag, by which a client can list it."""
        ...

    async def begin(self, key: str) -> str:
        """Begin the blob ``key``, which must be new; return the store's own name for its parts."""
        ...

    async def session(self, key: str, size: int, origin: str | None) -> tuple[str, str] | None:
        """Begin the new blob ``key`` as a resumable session of Google's protocol, for ``size`` bytes, and pages of ``origin`` too.

        Returns the store's own name for what comes, the first part, and the session's address; None where it has no sessions.
        """
        ...

    async def urls(
        self, key: str, name: str, asked: Sequence[tuple[int, int]], lifetime: timedelta, pinned: Pinned | None = None
    ) -> Sequence[str]:
        """Return for each number (from 1) and size of a part a URL that takes it by PUT, of exactly so many bytes.

        A further time replaces it. With ``pinned``, a digest of ``pins``, the store takes only bytes that have it.
        """
        ...

    async def parts(self, key: str, name: str) -> Sequence[DirectPart] | None:
        """Return the parts that have come, by number, each once; None once they are put together or given up."""
        ...

    async def complete(self, key: str, name: str, parts: Sequence[DirectPart]) -> None:
        """Make these parts, all that have come, the blob; it is durable once this returns."""
        ...

    async def abort(self, key: str, name: str) -> None:
        """Give up parts that are not put together; where there are none it is no error."""
        ...


class DirectDownloads(Protocol):
    """Blobs that clients fetch from the store themselves."""

    async def url(self, key: str, size: int, presented: Presentation, lifetime: timedelta) -> str | None:
        """Return a URL that gives the blob, or ranges of it, by GET; None for one that is not one run of ``size`` bytes there.

        Raises Unavailable.
        """
        ...


class Observation(msgspec.Struct, frozen=True):
    """One thing that was tried on a store: what was tried, what came, what follows, and whether that is as it should be."""

    name: str
    tried: str
    came: str
    follows: str
    is_fine: bool


class Report(msgspec.Struct, frozen=True):
    """What a look at a store found; ``reasons`` say why clients are not sent to it where they are not."""

    store: str
    observations: list[Observation]
    uploads: bool
    downloads: bool
    reasons: list[str]

    @property
    def is_sound(self) -> bool:
        """Whether blobs can be kept there."""
        return all(seen.is_fine for seen in self.observations if seen.name in NEEDED)


NEEDED = ("reachable", "clock", "write", "read", "list", "delete", "parts", "digest", "lifecycle")
"""The names of observations without which a store keeps no blobs safely."""
