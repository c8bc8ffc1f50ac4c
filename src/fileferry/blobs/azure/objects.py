"""The verbs of Azure Blob Storage that a store of blobs needs. What objects mean is ``store``'s.

Source: Azure Storage REST API reference, an operation each. What comes in parts are blocks that no list has made a blob yet: they
belong to the blob's name, are dropped after a week, and only an empty list drops them before.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from fileferry.blobs.azure.client import Client
from fileferry.blobs.objects.plain import TYPE, PlainObjects, moment_of
from fileferry.blobs.objects.requests import Answer, text_of
from fileferry.blobs.objects.verbs import Listed
from fileferry.errors import Unavailable

BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}
_COPYING = timedelta(hours=1)  # how long the source may be read
_LOOKS = 12  # at a copy, of which the last ones are 3 s apart
# All block ids of a blob have to be of one length, so that two writers of a name do not stop each other.
_BLOCK = re.compile(r"([0-9a-f]{16})-(\d{6})-(\d{11})")


class Objects(PlainObjects[Client]):
    """The blobs of one container, below its prefix."""

    put_headers = BLOCK_BLOB

    async def delete(self, key: str) -> None:
        """Remove a blob and what snapshots there are of it; one that is not there is no error.

        Whoever has a URL to write to a blob can lease it, which must keep nobody from removing it.
        """
        headers = {"x-ms-delete-snapshots": "include"}
        answer = await self._client.ask("DELETE", key, headers=headers, accept=(404, 412))
        if answer.status == 412:
            given_up = {"content-length": "0", "x-ms-lease-action": "break", "x-ms-lease-break-period": "0"}
            await self._client.ask("PUT", key, [("comp", "lease")], given_up, accept=(404, 409))
            await self._client.ask("DELETE", key, headers=headers, accept=(404,))

    async def list(self, prefix: str) -> AsyncGenerator[Listed]:
        """Yield the blobs whose names begin so, a page at a time, in the order of their names."""
        async for page, now in self._pages(prefix):
            for found in page.findall("{*}Blobs/{*}Blob"):
                name, properties = text_of(found, "Name"), found.find("{*}Properties")
                # With a hierarchical namespace folders are listed too.
                if text_of(properties, "ResourceType") == "directory" or not name.startswith(self._prefix + prefix):
                    continue
                # A Date header has whole seconds, and so may be earlier.
                age = max(timedelta(0), now - _written(text_of(properties, "Last-Modified"), now))
                yield Listed(name.removeprefix(self._prefix), int(text_of(properties, "Content-Length")), age)

    async def begin_parts(self, key: str) -> str:
        """Return an id, by which the blocks of one writer are told from those of another; the store is asked nothing."""
        return uuid.uuid4().hex[:16]

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Put a block; return its id."""
        block = block_id(upload_id, number, self._client.clock())
        query = [("comp", "block"), ("blockid", block)]
        await self._client.ask("PUT", key, query, {"content-length": str(len(body))}, body)
        return block

    async def complete_parts(self, key: str, upload_id: str, tags: Sequence[str], size: int) -> None:
        """Put the list of blocks, whose ids the ``tags`` are. Raises Unavailable where the blob has not ``size`` bytes then.

        Asked again it does the same: ``Latest`` finds blocks that are in the blob already.
        """
        await self._put_list(key, tags)
        if await self.size(key) != size:
            raise Unavailable("The store did not put the blocks of a blob together.", retry_after=5)

    async def abort_parts(self, key: str, upload_id: str) -> None:
        """Drop the blocks, by a blob of none that is removed again; not those that another writer has put meanwhile.

        Blocks beside a blob that is there already are left to the store, which drops them within a week.
        """
        blocks = await self.uncommitted(key)
        if not blocks or any(not _of(block, upload_id) for block in blocks):
            return
        answer = await self._put_list(key, (), {"if-none-match": "*"}, accept=(409, 412))
        if answer.is_success:
            mine = {"if-match": answer.headers.get("etag", "*")}
            await self._client.ask("DELETE", key, headers=mine, accept=(404, 412))

    async def list_unfinished(self, prefix: str) -> AsyncGenerator[tuple[str, str, timedelta]]:
        """Yield name, the writer's id and age since the last block of every blob that is only blocks yet."""
        async for page, now in self._pages(prefix, ("include", "uncommittedblobs")):
            for found in page.findall("{*}Blobs/{*}Blob"):
                name = text_of(found, "Name")
                is_empty = text_of(found.find("{*}Properties"), "Content-Length") in ("", "0")
                if not is_empty or not name.startswith(self._prefix + prefix):
                    continue
                key = name.removeprefix(self._prefix)
                blocks = await self.uncommitted(key)
                if blocks:
                    yield key, *_latest(blocks, now)

    async def copy(self, source: str, target: str, size: int) -> None:
        """Let the store copy a blob of ``size`` bytes to where none is; what is there already is not replaced.

        Raises Unavailable where it is not whole after half a minute: to ask again is no error.
        """
        url = self._client.shared("r", source, _COPYING, from_here=True)
        headers = {"content-length": "0", "if-none-match": "*", "x-ms-copy-source": url}
        await self._client.ask("PUT", target, (), headers, accept=(409, 412))
        for number in range(_LOOKS):
            head = await self._client.ask("HEAD", target, accept=(404,))
            status = head.headers.get("x-ms-copy-status", "success")
            if not head.is_success or status != "pending":
                break
            await self._client.pause(min(3.0, 0.1 * 2**number))
        if head.is_success and status == "success" and int(head.headers.get("content-length", 0)) == size:
            return
        if status != "pending":
            await self.delete(target)  # of a copy that has failed something may be there
        raise Unavailable("The store has not copied a blob yet.", retry_after=5)

    async def uncommitted(self, key: str) -> dict[str, int]:
        """Return the ids of blocks that are in no list yet, and their sizes in bytes."""
        return await self.blocks(key, "uncommitted") or {}

    async def blocks(self, key: str, kind: Literal["all", "uncommitted"] = "all") -> dict[str, int] | None:
        """Return the ids of a blob's blocks and their sizes in bytes, as they would be put in a list; None where nothing is."""
        # 409: of another type, as whoever has a URL to write to a blob can make it.
        query = [("comp", "blocklist"), ("blocklisttype", kind)]
        answer = await self._client.ask("GET", key, query, accept=(404, 409))
        if not answer.is_success:
            return None
        found = self._document(answer)
        blocks = [*found.findall("{*}CommittedBlocks/{*}Block"), *found.findall("{*}UncommittedBlocks/{*}Block")]
        return {text_of(block, "Name"): int(text_of(block, "Size") or 0) for block in blocks}

    async def _put_list(
        self, key: str, blocks: Sequence[str], headers: dict[str, str] | None = None, accept: tuple[int, ...] = ()
    ) -> Answer:
        root = Element("BlockList")
        for block in blocks:
            SubElement(root, "Latest").text = block
        body = tostring(root, "utf-8", xml_declaration=True)
        told = {"content-length": str(len(body)), "x-ms-blob-content-type": TYPE, **(headers or {})}
        return await self._client.ask("PUT", key, [("comp", "blocklist")], told, body, accept=accept)

    async def _pages(self, prefix: str, *further: tuple[str, str]) -> AsyncGenerator[tuple[Element, datetime]]:
        """Yield each page of a listing, with the store's clock."""
        marker = ""
        while True:
            query = [("restype", "container"), ("comp", "list"), ("prefix", self._prefix + prefix), *further]
            query += [("maxresults", str(self._page)), *([("marker", marker)] if marker else [])]
            answer = await self._client.ask("GET", None, query)
            page = self._document(answer)
            yield page, moment_of(answer)
            marker = text_of(page, "NextMarker")
            if not marker:
                return


def block_id(upload_id: str, number: int, now: datetime | None) -> str:
    """Return the id of a block, which says when it was sent, as the store does not; None for one of no time."""
    seconds = 0 if now is None else int(now.timestamp())
    return base64.b64encode(f"{upload_id}-{number:06d}-{seconds:011d}".encode()).decode()


def number_of(block: str, upload_id: str) -> int | None:
    """Return which part of an upload a block is; None for one of another."""
    found = _parsed(block)
    return int(found[2]) if found is not None and found[1] == upload_id else None


def _of(block: str, upload_id: str) -> bool:
    return not upload_id or number_of(block, upload_id) is not None


def _latest(blocks: dict[str, int], now: datetime) -> tuple[str, timedelta]:
    """Return whose blocks they are, empty for those of several, and how old the last one is; others' ids say nothing of it."""
    found = [_parsed(block) for block in blocks]
    ours = [block for block in found if block is not None]
    if len(ours) < len(found):
        return "", timedelta(0)
    writers = {block[1] for block in ours}
    last = datetime.fromtimestamp(max(int(block[3]) for block in ours), UTC)
    return writers.pop() if len(writers) == 1 else "", max(timedelta(0), now - last)


def _parsed(block: str) -> re.Match[str] | None:
    try:
        return _BLOCK.fullmatch(base64.b64decode(block).decode("ascii"))
    except ValueError:
        return None


def _written(text: str, otherwise: datetime) -> datetime:
    """Return a moment of a listing; what cannot be read is as young as can be."""
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return otherwise
