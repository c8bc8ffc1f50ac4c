"""What all stores of objects say in the same words of HTTP: putting, getting and measuring one object, reading a range of it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Generic, TypeVar
from xml.etree.ElementTree import Element

from fileferry.blobs.objects.client import Client
from fileferry.blobs.objects.requests import BROKEN, Answer, Streamed, parsed
from fileferry.blobs.store import BlobMissing
from fileferry.errors import Unavailable

TYPE = "application/octet-stream"
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(?:\d+|\*)")
_RESUMPTIONS = 4  # of one answer, each after some bytes or none
C = TypeVar("C", bound=Client)


class PlainObjects(Generic[C]):
    """The objects of one place, below its prefix; ``page`` is how many names one listing has."""

    put_headers: ClassVar[Mapping[str, str]] = {}
    """What is said of every object that is put, beside its length and type."""

    def __init__(self, client: C, prefix: str, page: int = 1000) -> None:
        self._client = client
        self._prefix = prefix
        self._page = page

    async def put(self, key: str, body: bytes, *, must_be_new: bool = False) -> bool:
        """Write an object; return whether it was written. With ``must_be_new`` none is replaced, by stores that can see to it."""
        headers = {"content-length": str(len(body)), "content-type": TYPE, **self.put_headers}
        if must_be_new:
            headers["if-none-match"] = "*"
        answer = await self._client.ask("PUT", key, (), headers, body, accept=(409, 412) if must_be_new else ())
        return answer.is_success

    async def get(self, key: str) -> bytes | None:
        """Return a small object whole; None where there is none."""
        answer = await self._client.ask("GET", key, accept=(404,))
        return answer.body if answer.is_success else None

    async def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None where there is none, and for one that is still coming in parts."""
        answer = await self._client.ask("HEAD", key, accept=(404,))
        return int(answer.headers.get("content-length", 0)) if answer.is_success else None

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield ``length`` bytes from ``start`` on, at least one; goes on where a connection breaks. Raises BlobMissing.

        An object that is shorter is missing too.
        """
        end = start + length
        failures = 0
        while start < end:
            answer = await self._client.stream(key, {"range": f"bytes={start}-{end - 1}"}, accept=(404, 416))
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

    def _document(self, answer: Answer) -> Element:
        """Return the XML of an answer; raises what to tell of one that has none, or says no."""
        page = parsed(answer.body)
        if page is None or not answer.is_success:
            raise self._client.refused(answer)
        return page


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
