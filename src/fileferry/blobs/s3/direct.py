"""Presigned URLs of the bucket: by which clients send blobs to it in parts, and fetch them, past this server.

Every blob comes as a multipart upload, be it of one part: once that is complete, no URL for a part of it does anything any more,
while one that puts an object would replace it until the URL ends.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta

from fileferry.blobs.direct import DirectPart, Pinned, Presentation
from fileferry.blobs.objects import pieces
from fileferry.blobs.objects.downloads import Sign
from fileferry.blobs.s3.client import Client
from fileferry.blobs.s3.objects import Objects
from fileferry.blobs.s3.signing import LONGEST
from fileferry.errors import Unavailable

LEAST_PART = 5 * 1024 * 1024
LARGEST_PART = 5 * 1024**3
_CHECKSUMS = {"sha-256": "x-amz-checksum-sha256", "crc32c": "x-amz-checksum-crc32c"}
PINNED = frozenset(_CHECKSUMS)
"""The names of digests that a URL can hold a body to."""
_SIGNED_HERE = 16  # at once; more of them in a thread


def pin(pinned: Pinned | None) -> list[tuple[str, str]]:
    """Return what of a URL's query says which digest the body must have."""
    return [] if pinned is None else [(_CHECKSUMS[pinned[0]], base64.b64encode(pinned[1]).decode())]


class S3Uploads:
    """The DirectUploads of a bucket that holds to what a URL was signed for."""

    least_part = LEAST_PART
    largest_part = LARGEST_PART
    longest = LONGEST
    names_parts = True

    def __init__(self, client: Client, objects: Objects, pins: frozenset[str] = frozenset()) -> None:
        self.pins = pins
        self._client = client
        self._objects = objects

    async def begin(self, key: str) -> str:
        """Begin a multipart upload."""
        return await self._objects.begin_parts(pieces.whole(key))

    async def session(self, key: str, size: int, origin: str | None) -> None:
        """There are none."""
        return

    async def urls(
        self, key: str, name: str, asked: Sequence[tuple[int, int]], lifetime: timedelta, pinned: Pinned | None = None
    ) -> Sequence[str]:
        """Sign UploadPart, with the length that the body must have, and in the query its digest: clients send no header for it."""

        def sign(number: int, size: int) -> str:
            query = [("partNumber", str(number)), ("uploadId", name), *pin(pinned)]
            return self._client.presigned("PUT", pieces.whole(key), query, {"content-length": str(size)}, lifetime)

        if len(asked) <= _SIGNED_HERE:
            return [sign(*one) for one in asked]
        return await asyncio.to_thread(lambda: [sign(*one) for one in asked])

    async def parts(self, key: str, name: str) -> Sequence[DirectPart] | None:
        """Ask ListParts."""
        return await self._objects.list_parts(pieces.whole(key), name)

    async def complete(self, key: str, name: str, parts: Sequence[DirectPart]) -> None:
        """Complete the multipart upload. Raises Unavailable where the object is not whole afterwards."""
        if [part.number for part in parts] != list(range(1, len(parts) + 1)):
            raise Unavailable("The store has other parts than it was to take.", retry_after=5)
        tags = [f'"{part.tag}"' for part in parts]
        await self._objects.complete_parts(pieces.whole(key), name, tags, sum(part.size for part in parts))

    async def abort(self, key: str, name: str) -> None:
        """Abort the multipart upload."""
        await self._objects.abort_parts(pieces.whole(key), name)


def presigned_download(client: Client) -> Sign:
    """Return what signs GetObject, with what is to be answered."""

    def sign(name: str, presented: Presentation, lifetime: timedelta) -> str:
        query = [
            ("response-cache-control", presented.cache_control),
            ("response-content-disposition", presented.disposition),
            ("response-content-type", presented.content_type),
        ]
        return client.presigned("GET", name, query, {}, lifetime)

    return sign
