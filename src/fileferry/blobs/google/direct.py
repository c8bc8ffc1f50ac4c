"""Signed URLs of the bucket: by which clients send blobs to it in parts, and fetch them, past this server.

A URL puts an object, as often as it is used until it ends. So what a client sends are objects below ``parts/``, of just the size
that was promised, and once they are complete the store composes them to where no URL leads.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from datetime import timedelta

from fileferry.blobs.direct import DirectPart, Pinned, Presentation
from fileferry.blobs.google.client import Client
from fileferry.blobs.google.objects import BEGUN, Objects, begun, part_of
from fileferry.blobs.google.signing import LONGEST
from fileferry.blobs.objects import pieces
from fileferry.blobs.objects.downloads import Sign

LARGEST_PART = 5 * 1024**4
_SIGNED_HERE = 4  # at once; more of them in a thread, as each takes a millisecond


class GoogleUploads:
    """The DirectUploads of a bucket that holds to what a URL was signed for; ``names_parts`` where it answers with an ETag."""

    least_part = 1
    largest_part = LARGEST_PART
    longest = LONGEST
    pins: frozenset[str] = frozenset()

    def __init__(self, client: Client, objects: Objects, *, names_parts: bool, has_sessions: bool) -> None:
        self.names_parts = names_parts
        self._has_sessions = has_sessions
        self._client = client
        self._objects = objects

    async def begin(self, key: str) -> str:
        """Note in the bucket that parts may come."""
        name = await self._objects.begin_parts(pieces.whole(key))
        await self._objects.put(begun(pieces.whole(key), name), b"")
        return name

    async def session(self, key: str, size: int, origin: str | None) -> tuple[str, str] | None:
        """Begin a session of the only part, if the store holds those to their size: what it was sent once it never takes again."""
        if not self._has_sessions:
            return None
        name = await self.begin(key)
        address = await self._objects.begin_session(pieces.whole(key), name, size, origin)
        return name, self._client.for_clients(address)

    async def urls(
        self, key: str, name: str, asked: Sequence[tuple[int, int]], lifetime: timedelta, pinned: Pinned | None = None
    ) -> Sequence[str]:
        """Sign putting the object of each part, with the length that the body must have."""

        def sign(number: int, size: int) -> str:
            return signed_part(self._client, pieces.whole(key), name, number, size, lifetime)

        if len(asked) <= _SIGNED_HERE:
            return [sign(*one) for one in asked]
        return await asyncio.to_thread(lambda: [sign(*one) for one in asked])

    async def parts(self, key: str, name: str) -> Sequence[DirectPart] | None:
        """Ask for the objects; None where the note has gone. The ETag that a client was told of one is its MD5."""
        found = await self._objects.list_parts(pieces.whole(key), name)
        if found.pop(BEGUN, None) is None:
            return None
        numbered = {int(last): one for last, one in found.items() if last.isdecimal()}
        return [DirectPart(number, int(one.size), _hex(one.md5_hash)) for number, one in sorted(numbered.items())]

    async def complete(self, key: str, name: str, parts: Sequence[DirectPart]) -> None:
        """Let the store compose them. Raises Unavailable where the object is not whole afterwards."""
        whole, size = pieces.whole(key), sum(part.size for part in parts)
        names = [part_of(whole, name, part.number) for part in parts]
        # Who was overtaken by another that completes it leaves what that one has read.
        await self._objects.join(whole, name, names, size, must_be_new=True)

    async def abort(self, key: str, name: str) -> None:
        """Remove the parts, and the note."""
        await self._objects.abort_parts(pieces.whole(key), name)


def signed_part(
    client: Client, key: str, name: str, number: int, size: int, lifetime: timedelta, *, from_here: bool = False
) -> str:
    """Return a URL that takes a part of exactly ``size`` bytes by PUT: clients tell the length of a body by themselves."""
    headers = {"content-length": str(size)}
    return client.presigned("PUT", part_of(key, name, number), (), headers, lifetime, from_here=from_here)


def signed_download(client: Client) -> Sign:
    """Return what signs reading an object, with what is to be answered.

    Google has no parameter for Cache-Control; what it answers is that of an object that is not public: ``private, max-age=0``.
    """

    def sign(name: str, presented: Presentation, lifetime: timedelta) -> str:
        query = [
            ("response-content-disposition", presented.disposition),
            ("response-content-type", presented.content_type),
        ]
        return client.presigned("GET", name, query, {}, lifetime)

    return sign


def _hex(md5: str) -> str:
    try:
        return base64.b64decode(md5, validate=True).hex()
    except binascii.Error:
        return ""
