"""Requests of a Google resumable session as raw HTTP, one of them sent piece by piece. Knows no server."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import google_crc32c
import httpx

from wire.asking import send
from wire.slow import SlowRequest

INITIATE = {"x-goog-resumable": "start"}


def initiate(url: str, size: int | None = None, content: Any = b"", **headers: str) -> httpx.Response:
    """Initiate a session as a signed URL of Google's is used; ``headers`` are named with underscores."""
    said = {} if size is None else {"x-upload-content-length": str(size)}
    return send(url, content, "POST", headers={**INITIATE, **said, **dashed(headers)})


def put(url: str, content_range: str, content: Any = b"", method: str = "PUT", **headers: str) -> httpx.Response:
    """Send one request of a session; ``content_range`` is what follows ``bytes``."""
    return send(url, content, method, headers={"Content-Range": f"bytes {content_range}", **dashed(headers)})


def piece(url: str, content: bytes, start: int, stop: int, total: object, **headers: str) -> httpx.Response:
    """Send the bytes of ``content`` from ``start`` to before ``stop``."""
    return put(url, f"{start}-{stop - 1}/{total}", content[start:stop], **headers)


def ask(url: str, **headers: str) -> httpx.Response:
    """Ask how far a session is."""
    return put(url, "*/*", **headers)


def persisted(answer: httpx.Response) -> int:
    """Return how many bytes an answer says are there, having checked that it says that the session goes on."""
    assert (answer.status_code, answer.content) == (308, b""), answer.text
    assert "location" not in answer.headers
    if "range" not in answer.headers:
        return 0
    start, _, last = answer.headers["range"].removeprefix("bytes=").partition("-")
    assert start == "0"
    return int(last) + 1


def finished(answer: httpx.Response, content: bytes) -> dict[str, Any]:
    """Return the object resource of an answer, having checked that it and the headers are about ``content``."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = answer.json()
    hashes = (crc32c(content), md5(content))
    assert (found["size"], found["crc32c"], found["md5Hash"]) == (str(len(content)), *hashes)
    assert answer.headers["x-goog-hash"] == f"crc32c={hashes[0]},md5={hashes[1]}"
    assert answer.headers["x-goog-stored-content-length"] == str(len(content))
    assert answer.headers["x-goog-generation"] == found["generation"]
    assert answer.headers["etag"] == f'"{found["etag"]}"'
    return found


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Fail unless the answer is this error in Google's envelope."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["message"] == error["errors"][0]["message"]
    assert error["errors"][0]["domain"] == "global"
    assert error["errors"][0]["reason"]
    (detail,) = error["details"]
    assert (detail["code"], detail["request_id"]) == (code, answer.headers["x-request-id"])


def crc32c(content: bytes) -> str:
    """Return a CRC32C as Google writes it."""
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def md5(content: bytes) -> str:
    """Return an MD5 as Google writes it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def dashed(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with the names that they have on the wire."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


class SlowPiece(SlowRequest):
    """One PUT of a session."""

    def __init__(self, url: str, content_range: str, size: int | None) -> None:
        super().__init__(url, size, "PUT", {"Content-Range": f"bytes {content_range}"})
