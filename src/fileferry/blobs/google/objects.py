"""The verbs of Google Cloud Storage that a store of blobs needs, by its JSON API. What objects mean is ``store``'s.

Source: Cloud Storage JSON API reference, a method each. What comes in parts are objects ``parts/KEY/ID/NUMBER``, which the store
composes to one, 32 at a time. Nothing below ``parts/`` is ever read as a blob.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import google_crc32c
import msgspec

from fileferry.blobs.google.client import Client
from fileferry.blobs.objects.plain import TYPE, PlainObjects, moment_of
from fileferry.blobs.objects.requests import Answer, off_the_loop
from fileferry.blobs.objects.verbs import Listed
from fileferry.errors import Unavailable

UPLOAD = (("uploadType", "multipart"),)
"""What says that an object comes with its description."""
NEW = (("ifGenerationMatch", "0"),)
"""What says that none is to be replaced."""
PARTS = "parts/"
BEGUN = "begun"
"""The object that says that a client may send parts."""
_COMPOSED = 32  # objects that the store composes at a time
_AT_ONCE = 16  # requests for one of ours
_D = TypeVar("_D")


class Described(msgspec.Struct, frozen=True, rename="camel"):
    """What the store tells of an object. ``size`` is in bytes; ``crc32c`` and ``md5_hash`` are base64, the second not of each."""

    name: str = ""
    size: str = "0"
    crc32c: str = ""
    md5_hash: str = ""
    time_created: str = ""


class Objects(PlainObjects[Client]):
    """The objects of one bucket, below its prefix."""

    async def put(self, key: str, body: bytes, *, must_be_new: bool = False) -> bool:
        """Write an object with its CRC32C, which the store compares; what it tells then is compared here too."""
        crc32c = await off_the_loop(crc32c_of, body)
        headers, content = described(self._prefix + key, body, crc32c)
        query = [*UPLOAD, ("fields", "size,crc32c"), *(NEW if must_be_new else ())]
        answer = await self._client.ask("POST", key, query, headers, content, accept=(412,) if must_be_new else ())
        if not answer.is_success:
            return False
        told = self._told(answer)
        if (told.size, told.crc32c) != (str(len(body)), crc32c):
            await self.delete(key)
            raise Unavailable("The store has other bytes than it was sent.", retry_after=5)
        return True

    async def size(self, key: str) -> int | None:
        """Ask for the object's description."""
        answer = await self._client.ask("GET", key, [("fields", "size")], accept=(404,))
        return int(self._told(answer).size) if answer.is_success else None

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        await self._client.ask("DELETE", key, accept=(404,))

    async def list(self, prefix: str) -> AsyncGenerator[Listed]:
        """Yield the objects whose names begin so, a page at a time, in the order of their names."""
        async for found, now in self._described(prefix, "name,size,timeCreated"):
            yield Listed(found.name.removeprefix(self._prefix), int(found.size), _age(found, now))

    async def begin_parts(self, key: str) -> str:
        """Return an id, by which the parts of one writer are told from those of another; the store is asked nothing."""
        return uuid.uuid4().hex[:16]

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Put an object; return its name."""
        name = part_of(key, upload_id, number)
        await self.put(name, body)
        return name

    async def begin_session(self, key: str, upload_id: str, size: int, origin: str | None) -> str:
        """Let the store take the only part, of ``size`` bytes, in a resumable session; return its address, which is its permit.

        Pages of ``origin`` may send to it too. Raises Unavailable.
        """
        query = [("uploadType", "resumable"), ("name", self._prefix + part_of(key, upload_id, 1)), *NEW]
        headers = {"content-length": "0", "x-upload-content-type": TYPE, "x-upload-content-length": str(size)}
        answer = await self._client.ask(
            "POST", key, query, headers | ({"origin": origin} if origin and origin.isascii() else {})
        )
        if "location" not in answer.headers:
            raise self._client.refused(answer)
        return answer.headers["location"]

    async def complete_parts(self, key: str, upload_id: str, tags: Sequence[str], size: int) -> None:
        """Let the store compose the parts, whose names the ``tags`` are, and remove them. Asked again it does the same."""
        await self.join(key, upload_id, tags, size)

    async def join(
        self, key: str, upload_id: str, names: Sequence[str], size: int, *, must_be_new: bool = False
    ) -> None:
        """Compose objects of ``size`` bytes to ``key``; with ``must_be_new`` what is there already is left, and is as good.

        Raises Unavailable where it is not an object of that size afterwards.
        """
        level = 0
        while len(names) > _COMPOSED:
            level += 1
            groups = [names[start : start + _COMPOSED] for start in range(0, len(names), _COMPOSED)]
            names = [f"{_folder(key, upload_id)}joined-{level}-{number:06d}" for number in range(len(groups))]
            for start in range(0, len(groups), _AT_ONCE):
                some = list(zip(names, groups, strict=True))[start : start + _AT_ONCE]
                await asyncio.gather(*(self._compose(name, group) for name, group in some))
        made = await self._compose(key, names, must_be_new=must_be_new)
        if (await self.size(key) if made is None else made) != size:
            if made is not None:
                await self.delete(key)
            raise Unavailable("The store did not put the parts of an object together.", retry_after=5)
        await self.abort_parts(key, upload_id)

    async def abort_parts(self, key: str, upload_id: str) -> None:
        """Remove what is there of the parts, first what says that they may come."""
        names = [found.key async for found in self.list(_folder(key, upload_id))]
        for some in _in_groups(sorted(names, key=lambda name: not name.endswith(BEGUN))):
            await asyncio.gather(*map(self.delete, some))

    async def list_unfinished(self, prefix: str) -> AsyncGenerator[tuple[str, str, timedelta]]:
        """Yield name, the writer's id and age since the last part of every object that there are parts of."""
        last: tuple[str, str, timedelta] | None = None
        async for found in self.list(PARTS + prefix):
            key, _, upload_id = found.key.removeprefix(PARTS).rpartition("/")[0].rpartition("/")
            if not key:
                continue  # nothing of ours
            if last is not None and last[:2] != (key, upload_id):
                yield last
                last = None
            last = (key, upload_id, found.age if last is None else min(found.age, last[2]))
        if last is not None:
            yield last

    async def list_parts(self, key: str, upload_id: str) -> dict[str, Described]:
        """Return what is there of an upload, by the last name of each object: numbers, and ``begun``."""
        folder = _folder(key, upload_id)
        found = self._described(folder, "name,size,md5Hash")
        return {described.name.removeprefix(self._prefix + folder): described async for described, _now in found}

    async def _compose(self, key: str, names: Sequence[str], *, must_be_new: bool = False) -> int | None:
        """Compose objects to one; return its size, None where one is there that was to be new. Raises Unavailable."""
        body = msgspec.json.encode(
            {"sourceObjects": [{"name": self._prefix + name} for name in names], "destination": {"contentType": TYPE}}
        )
        headers = {"content-length": str(len(body)), "content-type": "application/json"}
        query = [("fields", "size"), *(NEW if must_be_new else ())]
        # 404: of the parts, which another may have composed and removed meanwhile.
        answer = await self._client.ask("POST", key, query, headers, body, accept=(404, 412) if must_be_new else (404,))
        if answer.is_success:
            return int(self._told(answer).size)
        if must_be_new:
            return None
        raise Unavailable("The store does not have all parts of an object.", retry_after=5)

    async def _described(self, prefix: str, fields: str) -> AsyncGenerator[tuple[Described, datetime]]:
        """Yield each object of a listing, with the store's clock."""
        token = ""
        while True:
            query = [("prefix", self._prefix + prefix), ("maxResults", str(self._page))]
            query += [("fields", f"items({fields}),nextPageToken"), *([("pageToken", token)] if token else [])]
            answer = await self._client.ask("GET", None, query)
            page = self._decoded(answer, _Page)
            now = moment_of(answer)
            for found in page.items:
                yield found, now
            token = page.next_page_token
            if not token:
                return

    def _told(self, answer: Answer) -> Described:
        return self._decoded(answer, Described)

    def _decoded(self, answer: Answer, kind: type[_D]) -> _D:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError:
            raise self._client.refused(answer) from None


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    items: list[Described] = []
    next_page_token: str = ""


def part_of(key: str, upload_id: str, number: int) -> str:
    """Return the name of a part."""
    return f"{_folder(key, upload_id)}{number:06d}"


def begun(key: str, upload_id: str) -> str:
    """Return the name of what says that a client may send parts."""
    return f"{_folder(key, upload_id)}{BEGUN}"


def described(name: str, body: bytes, crc32c: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request that brings an object with its description (RFC 2387)."""
    # Nobody must know it beforehand: in the midst of a body it would end it.
    boundary = uuid.uuid4().hex
    description = msgspec.json.encode({"name": name, "contentType": TYPE, "crc32c": crc32c})
    content = b"".join(
        [
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode(),
            description,
            f"\r\n--{boundary}\r\nContent-Type: {TYPE}\r\n\r\n".encode(),
            body,
            f"\r\n--{boundary}--\r\n".encode(),
        ]
    )
    told = {"content-length": str(len(content)), "content-type": f"multipart/related; boundary={boundary}"}
    return told, content


def crc32c_of(body: bytes) -> str:
    """Return a CRC32C as the store tells it: base64 of four bytes, the highest first."""
    return base64.b64encode(struct.pack(">I", google_crc32c.value(body))).decode()


def _folder(key: str, upload_id: str) -> str:
    return f"{PARTS}{key}/{upload_id}/"


def _in_groups(names: Sequence[str]) -> Iterable[Sequence[str]]:
    """Yield the first alone, and the others some at a time."""
    yield names[:1]
    for start in range(1, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _age(found: Described, now: datetime) -> timedelta:
    """Return how old an object is; a Date header has whole seconds, and so may be earlier. What cannot be read is young."""
    try:
        return max(timedelta(0), now - datetime.fromisoformat(found.time_created))
    except ValueError:
        return timedelta(0)
