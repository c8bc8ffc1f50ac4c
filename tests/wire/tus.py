"""Requests of tus 1.0.0 as raw HTTP, one of them sent piece by piece. Knows no server."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx

from wire.asking import open_ticket, send
from wire.slow import SlowRequest

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def call(method: str, url: str, content: Any = None, **headers: str) -> httpx.Response:
    """Send one request; ``headers`` are named with underscores. Whatever comes back says that it is of tus."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = send(url, content, method, headers={**VERSION, **named})
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer


def ticket(http: httpx.Client, **promise: Any) -> dict[str, Any]:
    """Return a ticket whose file is there as soon as the last byte is."""
    return open_ticket(http, **{"auto_complete": True, **promise})


def create(url: str, length: int | None, content: Any = None, **headers: str) -> str:
    """Create an upload on a signed URL; return where it goes on. A length of None is told later."""
    said = {"Upload_Defer_Length": "1"} if length is None else {"Upload_Length": str(length)}
    answer = call("POST", url, content, **said, **headers, **(BYTES if content is not None else {}))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def patch(url: str, offset: int, content: Any, **headers: str) -> httpx.Response:
    """Send bytes."""
    return call("PATCH", url, content, **BYTES, Upload_Offset=str(offset), **headers)


def offset_of(url: str) -> int:
    """Ask where to go on."""
    answer = call("HEAD", url)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


def metadata(**values: str) -> str:
    """Return what `Upload-Metadata` says."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def checksum(content: bytes, algorithm: str = "sha1") -> str:
    """Return what `Upload-Checksum` says."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def stored(http: httpx.Client, ticket: dict[str, Any]) -> bytes:
    """Return the bytes of the file that a ticket has become."""
    answer = http.get(f"/api/files/{ticket['file_id']}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


def is_there(http: httpx.Client, ticket: dict[str, Any]) -> bool:
    """Whether a ticket has become a file."""
    return http.get(f"/api/files/{ticket['file_id']}").status_code == 200


class SlowPatch(SlowRequest):
    """One PATCH."""

    def __init__(self, url: str, offset: int, size: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(url, size, "PATCH", {**VERSION, **BYTES, "Upload-Offset": str(offset), **named})
