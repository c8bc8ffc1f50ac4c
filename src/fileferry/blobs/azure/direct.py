"""Shared access signatures of the container: by which clients send blobs to it, and fetch them, past this server.

A signature is of a blob, not of a request about it: who may put a block may put other blocks, and the list of them, until the URL
ends. So what a client sends is a blob of its own, and once it is complete the store copies it to where no URL leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from fileferry.blobs.azure.client import Client
from fileferry.blobs.azure.objects import Objects, block_id, number_of
from fileferry.blobs.direct import DirectPart, Pinned, Presentation
from fileferry.blobs.objects import pieces
from fileferry.blobs.objects.downloads import Sign

LARGEST_PART = 4000 * 1024**2
_LONGEST = timedelta(days=7)  # after a week without a list blocks are dropped


class AzureUploads:
    """The DirectUploads of a container: a part is a block, and the answer to one has no ETag."""

    least_part = 1
    names_parts = False
    largest_part = LARGEST_PART
    longest = _LONGEST
    pins: frozenset[str] = frozenset()

    def __init__(self, client: Client, objects: Objects) -> None:
        self._client = client
        self._objects = objects

    async def begin(self, key: str) -> str:
        """Make the blob that the client is to send to, of no bytes yet."""
        await self._objects.put(pieces.incoming(key), b"")
        return await self._objects.begin_parts(key)

    async def session(self, key: str, size: int, origin: str | None) -> None:
        """There are none."""
        return

    async def urls(
        self, key: str, name: str, asked: Sequence[tuple[int, int]], lifetime: timedelta, pinned: Pinned | None = None
    ) -> Sequence[str]:
        """Sign writing to that blob, for URLs that put a block: they need no header. The store holds nobody to the size."""
        return [
            self._client.shared("w", pieces.incoming(key), lifetime, block_query(name, number))
            for number, _size in asked
        ]

    async def parts(self, key: str, name: str) -> Sequence[DirectPart] | None:
        """Ask for the list of blocks."""
        found = await self._objects.blocks(pieces.incoming(key))
        if found is None:
            return None
        numbered = {number_of(block, name) or 0: size for block, size in found.items()}
        return [DirectPart(number, numbered[number], "") for number in sorted(numbered) if number]

    async def complete(self, key: str, name: str, parts: Sequence[DirectPart]) -> None:
        """Put the list of the blocks, and let the store copy the blob. Raises Unavailable where it is not whole afterwards."""
        size = sum(part.size for part in parts)
        blocks = [block_of(name, part.number) for part in parts]
        await self._objects.complete_parts(pieces.incoming(key), name, blocks, size)
        await self._objects.copy(pieces.incoming(key), pieces.whole(key), size)
        await self._objects.delete(pieces.incoming(key))

    async def abort(self, key: str, name: str) -> None:
        """Remove that blob, and the blocks that have come for it."""
        await self._objects.delete(pieces.incoming(key))


def block_of(name: str, number: int) -> str:
    """Return the id of a block that a client sends: always the same one, so that a further time replaces it."""
    return block_id(name, number, None)


def block_query(name: str, number: int) -> list[tuple[str, str]]:
    """Return the query by which a block is put."""
    return [("comp", "block"), ("blockid", block_of(name, number))]


def shared_download(client: Client) -> Sign:
    """Return what signs reading a blob, with what is to be answered."""

    def sign(name: str, presented: Presentation, lifetime: timedelta) -> str:
        told = {"rscc": presented.cache_control, "rscd": presented.disposition, "rsct": presented.content_type}
        return client.shared("r", name, lifetime, presented=told)

    return sign
