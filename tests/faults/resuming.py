"""Uploads that outlive their connection or server: for each protocol how to send a piece, and to learn what the server has."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from xml.etree import ElementTree

import httpx

PIECE = 1024 * 1024
_WHOLE = 2**60
_AZURE = {"x-ms-version": "2026-04-06"}
_TUS = {"Tus-Resumable": "1.0.0"}
_DRAFT = {"Upload-Draft-Interop-Version": "6"}
Body = Callable[[bytes], bytes | Iterator[bytes]]
"""Makes the body of a request from its bytes; a test's own breaks off half-way."""


@dataclass(frozen=True)
class Request:
    """How bytes are sent, without them."""

    method: str
    url: str
    headers: dict[str, str]
    fine: tuple[int, ...]
    """The statuses of success."""


class Sender(Protocol):
    """One client of one protocol at one signed URL."""

    ticket: dict[str, Any]
    piece: int
    """How many bytes each of its requests brings; the last one's may be fewer."""
    again: Callable[[], httpx.Response]
    """Sends the last request once more."""

    def begin(self, size: int | None) -> None:
        """Do what comes before the first byte; the size may be known in the end only."""

    def request(self, start: int, stop: int, size: int | None) -> Request:
        """Return what brings the bytes from ``start`` to before ``stop``, of so many altogether."""

    def push(self, content: Any, request: Request, **headers: str) -> httpx.Response:
        """Send a request with these bytes, whatever the answer; further ``headers`` are named with underscores."""

    def next_pieces(self, content: bytes) -> list[int]:
        """Return where the pieces begin that the server does not have, as it says itself; the first is to be sent next."""

    def send(self, content: bytes, start: int, body: Body) -> None:
        """Send the piece that begins at ``start``."""

    def tell_size(self, size: int) -> None:
        """Say after the last byte how many there are; where nobody asks, nothing is said."""

    def complete(self, content: bytes) -> None:
        """Do what comes after the last byte."""


class Base:
    """A URL and how to ask it."""

    piece = PIECE
    again: Callable[[], httpx.Response]

    def __init__(self, ticket: dict[str, Any]) -> None:
        self.ticket = ticket
        self.url = str(ticket["url"])

    def request(self, start: int, stop: int, size: int | None) -> Request:
        """Every protocol has its own."""
        raise NotImplementedError

    def send(self, content: bytes, start: int, body: Body) -> None:
        """Send the piece that begins at ``start``; any other status than those of success fails the test."""
        stop = min(start + self.piece, len(content))
        request = self.request(start, stop, len(content))
        options = {"headers": request.headers, "content": body(content[start:stop])}
        self.ask(request.method, request.url, fine=request.fine, **options)

    def push(self, content: Any, request: Request, **headers: str) -> httpx.Response:
        """Send a request with these bytes, whatever the answer; further ``headers`` are named with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._send(request.method, request.url, content=content, headers={**request.headers, **named})

    def ask(self, method: str, url: str = "", *, fine: tuple[int, ...], **options: Any) -> httpx.Response:
        """Send one request without a key; any other status than those that are fine fails the test."""
        answer = self._send(method, url or self.url, **options)
        assert answer.status_code in fine, f"{method}: {answer.status_code} {answer.text[:300]}"
        return answer

    def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        self.again = partial(httpx.request, method, url, trust_env=False, timeout=30, **options)
        return self.again()

    def begin(self, size: int | None) -> None:
        """Most protocols just begin."""

    def tell_size(self, size: int) -> None:
        """Most protocols need not be told."""

    def complete(self, content: bytes) -> None:
        """Most protocols are complete with their last byte."""


class PlainPut(Base):
    """The whole body in one request."""

    piece = _WHOLE

    def next_pieces(self, content: bytes) -> list[int]:
        answer = self.ask("HEAD", fine=(204,))
        return [] if answer.headers["upload-complete"] == "?1" else [0]

    def request(self, start: int, stop: int, size: int | None) -> Request:
        return Request("PUT", self.url, {}, (200,))


class PutBlob(Base):
    """The whole body in one request of Azure's."""

    piece = _WHOLE

    def next_pieces(self, content: bytes) -> list[int]:
        return [] if self.ask("HEAD", fine=(200, 404), headers=_AZURE).status_code == 200 else [0]

    def request(self, start: int, stop: int, size: int | None) -> Request:
        return Request("PUT", self.url, {**_AZURE, "x-ms-blob-type": "BlockBlob"}, (201,))


class S3Parts(Base):
    """Parts of an S3 multipart upload; ListParts tells what is there."""

    def next_pieces(self, content: bytes) -> list[int]:
        there = {int(number) for number, _etag in self._listed()}
        return [start for start in range(0, len(content), PIECE) if start // PIECE + 1 not in there]

    def request(self, start: int, stop: int, size: int | None) -> Request:
        return Request("PUT", f"{self.ticket['part_url']}&partNumber={start // PIECE + 1}", {}, (200,))

    def complete(self, content: bytes) -> None:
        document = ElementTree.Element("CompleteMultipartUpload")
        for number, etag in self._listed():
            part = ElementTree.SubElement(document, "Part")
            ElementTree.SubElement(part, "PartNumber").text = number
            ElementTree.SubElement(part, "ETag").text = etag
        self.ask("POST", self.ticket["part_url"], fine=(200,), content=ElementTree.tostring(document))

    def _listed(self) -> list[tuple[str, str]]:
        text = self.ask("GET", self.ticket["part_url"], fine=(200,)).text
        return re.findall(r"<PartNumber>(\d+)</PartNumber>.*?<ETag>(.*?)</ETag>", text, re.DOTALL)


class AzureBlocks(Base):
    """Blocks of an Azure blob; Get Block List tells what is there."""

    def next_pieces(self, content: bytes) -> list[int]:
        answer = self.ask("GET", f"{self.url}&comp=blocklist&blocklisttype=uncommitted", fine=(200, 404))
        there = set(re.findall(r"<Name>(.*?)</Name>", answer.text))
        return [start for start in range(0, len(content), PIECE) if _block_id(start) not in there]

    def request(self, start: int, stop: int, size: int | None) -> Request:
        url = f"{self.url}&comp=block&blockid={_block_id(start).replace('=', '%3D')}"
        return Request("PUT", url, {}, (201,))

    def complete(self, content: bytes) -> None:
        listed = "".join(f"<Latest>{_block_id(start)}</Latest>" for start in range(0, len(content), PIECE))
        self.ask("PUT", f"{self.url}&comp=blocklist", fine=(201,), content=f"<BlockList>{listed}</BlockList>".encode())


class GoogleSession(Base):
    """Chunks of a Google resumable session; a status query tells how far it is."""

    def begin(self, size: int | None) -> None:
        self.ask("POST", fine=(200, 201), headers={"x-goog-resumable": "start"})

    def next_pieces(self, content: bytes) -> list[int]:
        answer = self.ask("PUT", fine=(200, 308), headers={"Content-Range": f"bytes */{len(content)}"})
        if answer.status_code == 200:
            return []
        last = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("range", ""))
        return list(range(int(last[1]) + 1 if last else 0, len(content), PIECE))

    def request(self, start: int, stop: int, size: int | None) -> Request:
        told = "*" if start == stop else f"{start}-{stop - 1}"
        headers = {"Content-Range": f"bytes {told}/{'*' if size is None else size}"}
        return Request("PUT", self.url, headers, (200, 308))

    def tell_size(self, size: int) -> None:
        self.ask("PUT", fine=(200,), headers={"Content-Range": f"bytes */{size}"})


class Tus(Base):
    """PATCHes of tus 1.0; HEAD tells how far it is."""

    def begin(self, size: int | None) -> None:
        told = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
        self.ask("POST", fine=(201,), headers={**_TUS, **told})

    def next_pieces(self, content: bytes) -> list[int]:
        answer = self.ask("HEAD", fine=(200, 204), headers=_TUS)
        return list(range(int(answer.headers["upload-offset"]), len(content), PIECE))

    def request(self, start: int, stop: int, size: int | None) -> Request:
        headers = {**_TUS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        return Request("PATCH", self.url, headers, (204,))

    def tell_size(self, size: int) -> None:
        request = self.request(size, size, size)
        self.ask("PATCH", fine=(204,), headers={**request.headers, "Upload-Length": str(size)})


class Draft(Base):
    """Appends of the IETF draft; HEAD tells how far it is."""

    def begin(self, size: int | None) -> None:
        self.ask("POST", fine=(200, 201, 204), headers={**_DRAFT, "Upload-Complete": "?0"})

    def next_pieces(self, content: bytes) -> list[int]:
        answer = self.ask("HEAD", fine=(200, 204), headers=_DRAFT)
        if answer.headers["upload-complete"] == "?1":
            return []
        return list(range(int(answer.headers["upload-offset"]), len(content), PIECE))

    def request(self, start: int, stop: int, size: int | None) -> Request:
        headers = {
            **_DRAFT,
            "Upload-Offset": str(start),
            "Upload-Complete": "?1" if stop == size else "?0",
            "Content-Type": "application/partial-upload",
        }
        return Request("PATCH", self.url, headers, (200, 201, 204))

    def tell_size(self, size: int) -> None:
        self.ask("PATCH", fine=(200,), headers=self.request(size, size, size).headers)


SENDERS: dict[str, Callable[[dict[str, Any]], Sender]] = {
    "s3": S3Parts,
    "azure": AzureBlocks,
    "google": GoogleSession,
    "tus": Tus,
    "ietf": Draft,
}
"""Those that need not begin anew."""


def _block_id(start: int) -> str:
    return base64.b64encode(f"{start:016d}".encode()).decode()
