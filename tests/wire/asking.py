"""Asking for tickets as users of the presigned flow do, and sending to their URLs as someone who has no key."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

SMALL_PART = 64 * 1024
"""The smallest part size that may be asked for (bytes)."""


def send(url: str, content: Any = None, method: str = "PUT", **options: Any) -> httpx.Response:
    """Send to a signed URL: no key, no cookies, no proxy."""
    return httpx.request(method, url, content=content, trust_env=False, timeout=30, **options)


def fetch(http: httpx.Client, s3_key: str, **options: Any) -> httpx.Response:
    """GET the address that ``s3_key`` promises, without the key."""
    return httpx.get(f"{str(http.base_url).rstrip('/')}/{s3_key}", trust_env=False, timeout=30, **options)


def new_folder(http: httpx.Client) -> str:
    """Return the id of a folder that nothing else uses."""
    answer = http.post("/v1/folders", json={"name": f"folder {uuid.uuid4()}"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ask(http: httpx.Client, *files: dict[str, Any], folder: str | None = None) -> list[dict[str, Any]]:
    """Return the tickets for ``files``, in a folder of their own unless one is named."""
    answer = http.post(f"/v1/files/{folder or new_folder(http)}", json={"filesMetadata": files})
    assert answer.status_code == 200, answer.text
    tickets: list[dict[str, Any]] = answer.json()["urls"]
    return tickets


def ask_one(http: httpx.Client, size: int, **more: Any) -> dict[str, Any]:
    """Return the ticket of one file of ``size`` bytes."""
    (ticket,) = ask(http, {"name": "a.bin", "size": size, **more})
    return ticket


def confirm(http: httpx.Client, *ids: str) -> httpx.Response:
    """Confirm files by id."""
    return http.post("/v1/files/confirm-upload", json={"ids": ids})


def confirmed(http: httpx.Client, ticket: dict[str, Any]) -> bytes:
    """Confirm a ticket's file and return what is served of it."""
    answer = confirm(http, ticket["id"])
    assert answer.status_code == 200, answer.text
    return fetch(http, ticket["s3Key"]).content


def open_ticket(http: httpx.Client, **promise: Any) -> dict[str, Any]:
    """Return a ticket of the native API, which need not promise a size: pass ``size``, ``max_size``, ``parts``, ``sha256``."""
    answer = http.post("/api/uploads", json={"name": "a.bin", **promise})
    assert answer.status_code == 201, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


def finish(http: httpx.Client, ticket: dict[str, Any]) -> httpx.Response:
    """Complete an upload of the native API with all that has arrived."""
    return http.post(f"/api/uploads/{ticket['id']}/complete")


def part_url(ticket: dict[str, Any], number: object) -> str:
    """Return where a native ticket takes a part."""
    return f"{ticket['part_url']}&partNumber={number}"


@dataclass(frozen=True)
class Multipart:
    """A multipart upload of the presigned flow; its parts are numbered from 1."""

    http: httpx.Client
    folder: str
    size: int
    part_size: int
    id: str
    upload_id: str
    s3_key: str
    urls: dict[int, str]

    @property
    def names(self) -> dict[str, str]:
        """What every call about this upload must name."""
        return {"id": self.id, "uploadId": self.upload_id}

    def whole(self, **query: str) -> str:
        """Ask for the URL of the whole upload, at which a client names parts itself, and return it with further parameters."""
        upload_id = urlsplit(self.urls[1]).path.split("/")[2]
        answer = self.http.post(f"/api/uploads/{upload_id}/urls")
        assert answer.status_code == 200, answer.text
        return "&".join([str(answer.json()["url"]), *(f"{name}={value}" for name, value in query.items())])

    def piece(self, content: bytes, number: int) -> bytes:
        """Return the part of ``content`` that belongs to ``number``."""
        return content[(number - 1) * self.part_size : number * self.part_size]

    def put(self, number: int, content: bytes) -> str:
        """Send one part; return its ETag."""
        answer = send(self.urls[number], content)
        assert answer.status_code == 200, answer.text
        etag = answer.headers["etag"]
        assert etag == etag_of(content)
        return str(etag)

    def put_all(self, content: bytes) -> dict[int, str]:
        """Send every part; return their ETags by number."""
        return {number: self.put(number, self.piece(content, number)) for number in self.urls}

    def complete(self, etags: dict[int, str]) -> httpx.Response:
        """Ask for completion with these parts, in the order given."""
        parts = [{"partNumber": number, "etag": etag} for number, etag in etags.items()]
        return self.call("complete", parts=parts)

    def call(self, word: str, **more: Any) -> httpx.Response:
        """POST to one of the upload's addresses."""
        return self.http.post(f"/v1/files/multipart/{self.folder}/{word}", json={**self.names, **more})

    def parts(self) -> httpx.Response:
        """Ask which parts have arrived."""
        return self.http.get(f"/v1/files/multipart/{self.folder}/{self.upload_id}/parts")

    def fetch(self, **options: Any) -> httpx.Response:
        """GET what is served of the file."""
        return fetch(self.http, self.s3_key, **options)


def initiate(http: httpx.Client, size: int, part_size: int | None = SMALL_PART, **more: Any) -> Multipart:
    """Begin a multipart upload in a folder of its own."""
    folder = new_folder(http)
    asked = {"name": "large.bin", "size": size, **more}
    if part_size is not None:
        asked["partSize"] = part_size
    answer = http.post(f"/v1/files/multipart/{folder}/initiate", json=asked)
    assert answer.status_code == 200, answer.text
    begun = answer.json()
    urls = {entry["partNumber"]: entry["url"] for entry in begun["urls"]}
    assert list(urls) == list(range(1, len(urls) + 1))
    return Multipart(http, folder, size, begun["partSize"], begun["id"], begun["uploadId"], begun["s3Key"], urls)


def etag_of(content: bytes) -> str:
    """Return the ETag that S3 gives a part or a plain PUT: its MD5 in quotes."""
    return f'"{hashlib.md5(content).hexdigest()}"'
