"""Rights that end while a body comes: what it was to do by them is not done, whichever way it comes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from unit.service import Service

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
SCOPES = ["upload", "read", "delete", "admin"]
CONTENT = b"the first half, the second half"


class Holder:
    """Who has a key, and loses it or some of its rights in the midst of a request."""

    def __init__(self, service: Service) -> None:
        self.service = service
        made = service.request("POST", "/api/keys", json={"name": "a key", "scopes": SCOPES})
        assert made.status_code == 201, made.text
        self.id, self.key = made.json()["id"], made.json()["key"]

    def asks(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask with the key."""
        return self.service.request(method, url, key=self.key, **options)

    def ticket(self, **asked: Any) -> dict[str, Any]:
        """Ask for a ticket."""
        answer = self.asks("POST", "/api/uploads", json={"path": "a.txt", "size": len(CONTENT), **asked})
        assert answer.status_code == 201, answer.text
        ticket: dict[str, Any] = answer.json()
        return ticket

    def sends(self, method: str, url: str, content: bytes = CONTENT, **options: Any) -> httpx.Response:
        """Send a body to a signed URL, half of it before the key is revoked."""
        return self.service.request(method, url, key=None, content=self.loses_the_key(content), **options)

    async def loses_the_key(self, content: bytes = CONTENT) -> AsyncIterator[bytes]:
        """Send half of a body, and the rest a while after the key was revoked."""
        async for piece in self._sends(content, "DELETE"):
            yield piece

    async def loses(self, rights: dict[str, Any], content: bytes) -> AsyncIterator[bytes]:
        """Send half of a body, and the rest a while after the key was changed."""
        async for piece in self._sends(content, "PATCH", json=rights):
            yield piece

    async def rotates(self, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        """Send half of a body, and the rest a while after the key got another secret."""
        async for piece in self._sends(CONTENT, "POST", "/rotate", json=asked):
            yield piece

    async def _sends(self, content: bytes, method: str, call: str = "", **options: Any) -> AsyncIterator[bytes]:
        half = len(content) // 2
        yield content[:half]
        self.service.pass_time(seconds=10)
        answer = await self.service.ask(method, f"/api/keys/{self.id}{call}", **options)
        assert answer.is_success, answer.text
        yield content[half:]


@pytest.fixture
def holder(service: Service) -> Holder:
    return Holder(service)


FILES = "/v1/organizations/default/files"
JSON = {"Content-Type": "application/json"}
NEW_KEY = {"name": "wanted", "scopes": SCOPES}
# What words of a request make that are no bytes of a file, and where it would be seen.
MADE: dict[str, tuple[dict[str, Any], str]] = {
    "/api/keys": (NEW_KEY, "/api/keys"),
    "/api/webhooks": ({"url": "https://wanted.example/"}, "/api/webhooks"),
    "/api/workspaces": ({"name": "wanted"}, "/api/workspaces"),
    "/api/folders": ({"path": "wanted"}, "/api/folders"),
    "/api/uploads": ({"path": "wanted/a.txt"}, "/api/folders"),
    "/v1/files": ({"filename": "wanted", "base64": base64.b64encode(CONTENT).decode()}, FILES),
}


@pytest.mark.parametrize("url", MADE)
def test_words_that_come_slowly_make_nothing_once_their_key_is_revoked(holder: Holder, url: str) -> None:
    asked, listing = MADE[url]
    answer = holder.asks("POST", url, content=holder.loses_the_key(json.dumps(asked).encode()), headers=JSON)
    assert (answer.status_code, "wanted" in answer.text) == (401, False)
    assert "wanted" not in holder.service.request("GET", listing).text
    assert holder.service.request("POST", url, json=asked).status_code == 201, "another key may"
    assert "wanted" in holder.service.request("GET", listing).text


@pytest.mark.parametrize("rights", [{"scopes": ["admin"]}, {"limits": {"max_size": 5}}, {"path_prefix": "inbox"}])
def test_words_that_come_slowly_make_nothing_by_rights_that_have_changed(
    holder: Holder, rights: dict[str, Any]
) -> None:
    slow = holder.loses(rights, json.dumps(NEW_KEY).encode())
    assert holder.asks("POST", "/api/keys", content=slow, headers=JSON).status_code == 401
    assert "wanted" not in holder.service.request("GET", "/api/keys").text


def test_words_that_come_slowly_are_heeded_where_nothing_has_changed(holder: Holder) -> None:
    slow = holder.loses({"name": "a key"}, json.dumps(NEW_KEY).encode())
    assert holder.asks("POST", "/api/keys", content=slow, headers=JSON).status_code == 201


def test_a_name_is_no_right(holder: Holder) -> None:
    slow = holder.loses({"name": "another name"}, json.dumps(NEW_KEY).encode())
    assert holder.asks("POST", "/api/keys", content=slow, headers=JSON).status_code == 201


@pytest.mark.parametrize(("grace", "status"), [(None, 401), ("1h", 201)])
def test_a_secret_that_was_rotated_away_ends_like_a_key(holder: Holder, grace: str | None, status: int) -> None:
    slow = holder.rotates({} if grace is None else {"grace": grace})
    assert holder.asks("PUT", "/api/upload/a.txt", content=slow).status_code == status
    assert holder.service.request("GET", FILES).json()["total"] == (status == 201)


@pytest.mark.parametrize("rights", [{"scopes": ["read"]}, {"path_prefix": "inbox"}])
def test_what_comes_with_the_creation_of_a_tus_upload_needs_the_right_to_the_end(
    holder: Holder, rights: dict[str, Any]
) -> None:
    named = base64.b64encode(b"a.txt").decode()
    headers = {**BYTES, "Upload-Length": str(len(CONTENT)), "Upload-Metadata": f"path {named}"}
    answer = holder.asks("POST", "/tus", headers=headers, content=holder.loses(rights, CONTENT))
    assert answer.status_code == 403, answer.text
    assert holder.service.request("GET", FILES).json()["total"] == 0


@pytest.mark.parametrize(
    ("url", "field"), [("/v1/files", "metadata"), ("/v1/organizations/default/files/upload", "purpose")]
)
def test_a_form_whose_key_is_revoked_before_its_file_comes_brings_none(holder: Holder, url: str, field: str) -> None:
    said = f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{{"a": "{"a" * 200}"}}\r\n'
    file = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n--b--\r\n'
    assert len(said) > len(file), "it is not there yet by half"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    slow = holder.loses_the_key((said + file).encode())
    assert holder.asks("POST", url, content=slow, headers=headers).status_code == 401
    assert holder.service.request("GET", FILES).json()["total"] == 0


def _whole(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(auto_complete=True)
    return ticket, holder.sends("PUT", ticket["url"])


def _part(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(parts=True)
    return ticket, holder.sends("PUT", f"{ticket['part_url']}&partNumber=1")


def _list_of_parts(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(parts=True)
    url = f"{ticket['part_url']}&partNumber=1"
    etag = holder.service.request("PUT", url, key=None, content=CONTENT).headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    listed = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    return ticket, holder.sends("POST", ticket["part_url"], listed)


def _stream(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(auto_complete=True)
    begun = {**TUS, "Upload-Length": str(len(CONTENT))}
    made = holder.service.request("POST", ticket["url"], key=None, headers=begun).headers["location"]
    return ticket, holder.sends("PATCH", made, headers=BYTES)


def _block(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(auto_complete=True)
    return ticket, holder.sends("PUT", f"{ticket['url']}&comp=block&blockid=QUFB")


def _list_of_blocks(holder: Holder) -> tuple[dict[str, Any], httpx.Response]:
    ticket = holder.ticket(auto_complete=True)
    block = f"{ticket['url']}&comp=block&blockid=QUFB"
    assert holder.service.request("PUT", block, key=None, content=CONTENT).status_code == 201
    listed = b"<BlockList><Latest>QUFB</Latest></BlockList>"
    return ticket, holder.sends("PUT", f"{ticket['url']}&comp=blocklist", listed)


WAYS: dict[str, Callable[[Holder], tuple[dict[str, Any], httpx.Response]]] = {
    "plain PUT": _whole,
    "S3 part": _part,
    "S3 list of parts": _list_of_parts,
    "tus": _stream,
    "Azure block": _block,
    "Azure list of blocks": _list_of_blocks,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_to_a_url_is_refused_once_its_key_is_revoked(holder: Holder, way: str) -> None:
    ticket, answer = WAYS[way](holder)
    assert answer.status_code == 403, answer.text
    holder.service.process()
    assert holder.service.request("GET", f"/api/files/{ticket['file_id']}").status_code == 404
    assert holder.service.request("GET", "/api/files/path/a.txt").status_code == 404


def test_an_upload_that_began_in_time_may_go_on_after_the_end_of_its_url(holder: Holder) -> None:
    ticket, request = holder.ticket(auto_complete=True), holder.service.request

    async def slow() -> AsyncIterator[bytes]:
        yield CONTENT[:9]
        holder.service.pass_time(hours=25)
        yield CONTENT[9:]

    assert request("PUT", ticket["url"], key=None, content=slow()).status_code == 200
    assert request("PUT", ticket["url"], key=None, content=CONTENT).status_code == 403, "its time is over"
    assert holder.asks("GET", f"/api/files/{ticket['file_id']}/content").content == CONTENT


@pytest.mark.parametrize("whose", ["of the ticket", "of the URL"])
def test_a_url_needs_the_key_of_its_ticket_and_that_of_who_asked_for_it(holder: Holder, whose: str) -> None:
    other = Holder(holder.service)
    ticket = holder.ticket(auto_complete=True)
    url = other.asks("POST", f"/api/uploads/{ticket['id']}/urls", json={}).json()["url"]
    assert f"skoid={other.id}" in url
    loser = holder if whose == "of the ticket" else other
    assert holder.service.request("PUT", url, key=None, content=loser.loses_the_key()).status_code == 403
    assert holder.service.request("GET", f"/api/files/{ticket['file_id']}").status_code == 404


@pytest.mark.parametrize("asked", [{}, {"grace": "10m"}], ids=["at once", "with its grace"])
def test_a_url_ends_with_the_secret_that_asked_for_it(holder: Holder, asked: dict[str, str]) -> None:
    service, ticket = holder.service, holder.ticket(auto_complete=True)
    google = service.request("POST", ticket["url"], key=None, headers={"x-goog-resumable": "start"}).headers["location"]
    assert service.request("POST", f"/api/keys/{holder.id}/rotate", json=asked).is_success
    if asked:
        assert service.request("HEAD", ticket["url"], key=None, headers=TUS).status_code == 200
        service.pass_time(minutes=10)
    for url in (ticket["url"], google):
        assert service.request("PUT", url, key=None, content=CONTENT).status_code == 403
