"""The verbs of S3 that a store of blobs needs, each with what real stores were seen to answer. What objects mean is ``store``'s.

Seen of Ceph RGW 16, SeaweedFS 4.48 and rclone 1.75. Source: Amazon S3 API Reference, an operation each.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, SubElement, tostring

from fileferry.blobs.direct import DirectPart
from fileferry.blobs.objects.plain import TYPE, PlainObjects, moment_of
from fileferry.blobs.objects.requests import Answer, text_of
from fileferry.blobs.objects.verbs import Listed
from fileferry.blobs.s3.client import Client
from fileferry.errors import Unavailable

_COMPLETION = (200, 404, 500, 502, 503, 504)  # what may be answered to what was done; 200 with an error in the body


class Objects(PlainObjects[Client]):
    """The objects of one bucket, below its prefix."""

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        await self._client.ask("DELETE", key, accept=(404,))

    async def list(self, prefix: str) -> AsyncGenerator[Listed]:
        """Yield the objects whose keys begin so, a page at a time, in whatever order the store has."""
        token = None
        while True:
            query = [("list-type", "2"), ("max-keys", str(self._page)), ("prefix", self._prefix + prefix)]
            if token:
                query.append(("continuation-token", token))
            answer = await self._client.ask("GET", None, query)
            page = self._document(answer)
            now = moment_of(answer)
            for found in page.findall("{*}Contents"):
                key = text_of(found, "Key")
                # Some stores list the folders that they make of keys.
                if key.endswith("/") or not key.startswith(self._prefix + prefix):
                    continue
                # A Date header has whole seconds, and so may be earlier.
                age = max(timedelta(0), now - _written(text_of(found, "LastModified"), now))
                yield Listed(key.removeprefix(self._prefix), int(text_of(found, "Size")), age)
            token = text_of(page, "NextContinuationToken")
            if text_of(page, "IsTruncated") != "true" or not token:
                return

    async def begin_parts(self, key: str) -> str:
        """Begin an object that comes in parts; return its id."""
        headers = {"content-length": "0", "content-type": TYPE}
        answer = await self._client.ask("POST", key, [("uploads", "")], headers)
        return text_of(self._document(answer), "UploadId")

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Write a part, the first is 1; return its entity tag."""
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        answer = await self._client.ask("PUT", key, query, {"content-length": str(len(body))}, body)
        return answer.headers.get("etag", "")

    async def complete_parts(self, key: str, upload_id: str, tags: Sequence[str], size: int) -> None:
        """Make these parts an object of ``size`` bytes. Raises Unavailable where it is not one afterwards.

        What an answer to it says cannot be believed: RGW says 500 to what it has done when asked again, SeaweedFS may say 404. So
        the object and the list of parts decide, and a refusal is tried once more.
        """
        body = _completion(tags)
        headers = {"content-length": str(len(body)), "content-type": "application/xml"}
        query = [("uploadId", upload_id)]
        answer: Answer | None = None
        for _ in range(2):
            try:
                answer = await self._client.ask("POST", key, query, headers, body, accept=_COMPLETION)
            except Unavailable:
                if not await self._is_gone(key, upload_id):
                    raise
            if (answer is not None and answer.is_success) or await self._is_gone(key, upload_id):
                break
        if await self.size(key) == size:
            return
        if answer is not None and not answer.is_success:
            raise self._client.refused(answer)
        raise Unavailable("The store did not put the parts of a blob together.", retry_after=5)

    async def abort_parts(self, key: str, upload_id: str) -> None:
        """Give up an object that comes in parts, and those that came; one that is not there is no error."""
        await self._client.ask("DELETE", key, [("uploadId", upload_id)], accept=(404, 500))

    async def list_unfinished(self, prefix: str) -> AsyncGenerator[tuple[str, str, timedelta]]:
        """Yield key, id and age since the last part of every object that is still coming in parts."""
        marker: list[tuple[str, str]] = []
        while True:
            query = [("uploads", ""), ("prefix", self._prefix + prefix), *marker]
            answer = await self._client.ask("GET", None, query, accept=(404, 501))
            if not answer.is_success:  # rclone lists none
                return
            page = self._document(answer)
            for found in page.findall("{*}Upload"):
                key, upload_id = text_of(found, "Key"), text_of(found, "UploadId")
                if key.startswith(self._prefix + prefix):
                    key = key.removeprefix(self._prefix)
                    yield key, upload_id, await self._idle(key, upload_id, text_of(found, "Initiated"))
            further = (text_of(page, "NextKeyMarker"), text_of(page, "NextUploadIdMarker"))
            if text_of(page, "IsTruncated") != "true" or not further[0]:
                return
            marker = [("key-marker", further[0]), ("upload-id-marker", further[1])]

    async def _is_gone(self, key: str, upload_id: str) -> bool:
        """Whether an object is no longer coming in parts: it is complete then, or was given up."""
        answer = await self._client.ask("GET", key, [("uploadId", upload_id)], accept=(404,))
        return not answer.is_success

    async def list_parts(self, key: str, upload_id: str) -> Sequence[DirectPart] | None:
        """Return the parts that have come, by number; None where the upload is complete or was given up.

        SeaweedFS lists a part that came twice twice: the one written last is meant.
        """
        latest: dict[int, tuple[datetime, DirectPart]] = {}
        async for page, now in self._pages_of_parts(key, upload_id):
            if page is None:
                return None
            for found in page.findall("{*}Part"):
                tag = text_of(found, "ETag").strip('"')
                part = DirectPart(int(text_of(found, "PartNumber")), int(text_of(found, "Size")), tag)
                written = _written(text_of(found, "LastModified"), now)
                if part.number not in latest or latest[part.number][0] < written:
                    latest[part.number] = (written, part)
        return [latest[number][1] for number in sorted(latest)]

    async def _pages_of_parts(self, key: str, upload_id: str) -> AsyncGenerator[tuple[Element | None, datetime]]:
        """Yield each page of a list of parts, None where there is no such upload, with the store's clock."""
        marker: list[tuple[str, str]] = []
        while True:
            answer = await self._client.ask("GET", key, [("uploadId", upload_id), *marker], accept=(404,))
            page = self._document(answer) if answer.is_success else None
            yield page, moment_of(answer)
            further = [("part-number-marker", text_of(page, "NextPartNumberMarker"))]
            if text_of(page, "IsTruncated") != "true" or further == marker:
                return
            marker = further

    async def _idle(self, key: str, upload_id: str, initiated: str) -> timedelta:
        """Return how long ago the last part came, or where none has, the upload began."""
        latest: datetime | None = None
        idle = timedelta(0)
        async for page, now in self._pages_of_parts(key, upload_id):
            parts = [] if page is None else page.findall("{*}Part")
            moments = [_written(text_of(part, "LastModified"), now) for part in parts]
            latest = max([latest or _written(initiated, now), *moments])
            idle = now - latest
        return idle


def _completion(tags: Sequence[str]) -> bytes:
    root = Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
    for number, tag in enumerate(tags, 1):
        part = SubElement(root, "Part")
        SubElement(part, "PartNumber").text = str(number)
        SubElement(part, "ETag").text = tag
    return tostring(root)


def _written(text: str, otherwise: datetime) -> datetime:
    """Return a moment of a listing; what cannot be read is as young as can be."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
