"""Clients that send to a bucket of Google and fetch from it themselves: no URL leads to what the engine has verified.

The emulator is behind what verifies signatures as Google's documents say; Google itself was not asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from google.resumable_media.requests import ResumableUpload

from fileferry.blobs.google.direct import GoogleUploads
from unit.direct_flows import CONTENT, confirm, names, ticket_of
from unit.service import Service

if TYPE_CHECKING:
    from support.google_front import Google

pytestmark = pytest.mark.service("google")
MIB = 1024 * 1024
PART = 65536


@pytest.fixture(scope="module")
def service(google: Google, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("direct"), redirect="auto", **google.settings(is_public=True))
    yield made
    made.close()


def test_a_ticket_is_a_url_of_the_store_and_what_it_brought_can_be_changed_by_nobody(
    service: Service, folder: str, web: httpx.Client, google: Google
) -> None:
    ticket = ticket_of(service, folder, checksum=hashlib.sha256(CONTENT).hexdigest())
    assert ticket["url"].startswith(google.endpoint)
    assert confirm(service, ticket["id"]).status_code == 409
    for other in (CONTENT[:-1], CONTENT + b"!"):
        assert web.put(ticket["url"], content=other).status_code == 403
    # Clients may say a type, which changes nothing, and send a further time.
    for _ in range(2):
        assert web.put(ticket["url"], content=CONTENT, headers={"content-type": "text/html"}).status_code == 200
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert (file["size"], file["uploaded"]) == (len(CONTENT), True)
    assert confirm(service, ticket["id"]).json()["files"] == [file]
    assert names(service, google, "parts/") == []
    path, _, query = ticket["url"].partition("?")
    (whole,) = names(service, google)
    prefix = path.partition("/parts/")[0]
    assert web.put(f"{prefix}/{whole}?{query}", content=CONTENT).status_code == 403
    # The URL still puts what it was for, and nobody reads that.
    assert web.put(ticket["url"], content=bytes(len(CONTENT))).status_code == 200
    assert confirm(service, ticket["id"]).json()["files"] == [file]
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT
    assert web.get(ticket["url"]).status_code == 403
    assert web.put(ticket["url"], content=CONTENT, headers={"x-goog-acl": "public-read"}).status_code == 403


def test_what_a_url_brings_late_is_swept(
    service: Service, folder: str, web: httpx.Client, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = ticket_of(service, folder, "late")
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    confirm(service, ticket["id"]).raise_for_status()
    service.sweep()  # from here on nothing knows of the ticket
    web.put(ticket["url"], content=bytes(len(CONTENT))).raise_for_status()
    assert len(names(service, google, "parts/")) >= 1
    monkeypatch.setattr(service._engine.store, "_abandoned", timedelta(0))
    service._run(service._engine.sweeper.scan(fix=True))
    assert names(service, google, "parts/") == []
    assert service.request("GET", f"/{ticket['s3Key']}?redirect=0", key=None).content == CONTENT


def test_other_bytes_than_were_promised_are_not_kept(
    service: Service, folder: str, web: httpx.Client, google: Google
) -> None:
    before = names(service, google, "")
    ticket = ticket_of(service, folder, "wrong", checksum=hashlib.sha256(b"other").hexdigest())
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    assert confirm(service, ticket["id"]).json()["error"]["code"] == "digest_mismatch"
    assert service.fetch(f"/{ticket['s3Key']}").status_code == 404
    service.sweep()
    assert names(service, google, "") == before


def test_what_is_never_confirmed_is_given_up(service: Service, folder: str, web: httpx.Client, google: Google) -> None:
    before = names(service, google, "")
    ticket = ticket_of(service, folder, "left")
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    service.pass_time(days=6)
    service.sweep()
    assert len(names(service, google, "")) == len(before) + 2  # the part, and the note that it may come
    service.pass_time(days=2)
    service.sweep()
    assert names(service, google, "") == before
    assert confirm(service, ticket["id"]).status_code == 410


def test_what_is_sent_while_it_is_confirmed_twice_does_not_replace_what_was_verified(
    service: Service, folder: str, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = ticket_of(service, folder, "twice")
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    complete = GoogleUploads.complete

    async def overtaken(self: GoogleUploads, key: str, name: str, parts: Any) -> None:
        """Complete as one does whom another has overtaken: what was sent has been composed, and is sent anew."""
        await complete(self, key, name, parts)
        web.put(ticket["url"], content=bytes(len(CONTENT))).raise_for_status()
        await complete(self, key, name, parts)

    monkeypatch.setattr(GoogleUploads, "complete", overtaken)
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT


def test_a_large_file_of_the_presigned_api_goes_there_in_parts_listed_by_their_etags(
    service: Service, folder: str, web: httpx.Client, google: Google
) -> None:
    content = os.urandom(11 * MIB)
    asked = {"name": "large", "size": len(content), "partSize": 5 * MIB}
    ticket = service.request("POST", f"/v1/files/multipart/{folder}/initiate", json=asked).json()
    parts = []
    for part in ticket["urls"]:
        assert part["url"].startswith(google.endpoint)
        number = part["partNumber"]
        answer = web.put(part["url"], content=content[(number - 1) * 5 * MIB : number * 5 * MIB]).raise_for_status()
        parts.append({"partNumber": number, "etag": answer.headers["etag"]})
    told = {"id": ticket["id"], "uploadId": ticket["uploadId"], "parts": parts}
    wrong = [*parts[:2], {**parts[2], "etag": parts[1]["etag"]}]
    complete = f"/v1/files/multipart/{folder}/complete"
    assert service.request("POST", complete, json={**told, "parts": wrong}).status_code == 400
    file = service.request("POST", complete, json=told).raise_for_status().json()
    assert hashlib.md5(service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content).digest() == (
        hashlib.md5(content).digest()
    )


def test_a_large_file_of_the_native_api_goes_there_in_parts_in_any_order(service: Service, web: httpx.Client) -> None:
    content = os.urandom(2 * PART + 1000)
    asked = {"name": "large", "size": len(content), "part_size": PART, "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    parts = {part["part_number"]: part for part in ticket["direct"]}
    for number in (3, 1, 1):
        part = content[(number - 1) * PART : number * PART]
        web.put(parts[number]["url"], content=part).raise_for_status()
    seen = service.request("GET", f"/api/uploads/{ticket['id']}").json()
    assert [(part["part_number"], part["size"]) for part in seen["parts"]] == [(1, PART), (3, 1000)]
    assert service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).status_code == 409
    web.put(seen["direct"][1]["url"], content=content[PART : 2 * PART]).raise_for_status()
    file = service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).raise_for_status().json()
    assert web.get(service.fetch(file["url"]).headers["location"]).content == content


def session_of(
    service: Service, size: int = len(CONTENT), **headers: str | bytes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask the organizations API where to send a file; return what was said, and what was answered."""
    said = {"filename": "clip.mp4", "file_size": size, "mime_type": "video/mp4"}
    asked = service.request("POST", "/v1/organizations/default/files/upload-url", json=said, headers=headers)
    return said, asked.raise_for_status().json()


def register(service: Service, said: dict[str, Any], upload: dict[str, Any]) -> httpx.Response:
    told = {**said, "gcs_path": upload["gcs_path"], "file_id": upload["file_id"]}
    return service.request("POST", "/v1/organizations/default/files", json=told)


def test_the_session_of_the_organizations_api_is_the_stores(
    service: Service, web: httpx.Client, google: Google
) -> None:
    said, upload = session_of(service, origin="https://a-page.example")
    url = upload["upload_url"]
    assert url.startswith(f"{google.endpoint}/upload/storage/v1/b/")
    assert register(service, said, upload).status_code == 409
    assert web.put(url, content=CONTENT + b"!").status_code == 400
    web.put(url, content=CONTENT, headers={"content-type": "video/mp4"}).raise_for_status()
    file = register(service, said, upload).raise_for_status().json()
    assert (file["size"], file["mime_type"], file["status"]) == (len(CONTENT), "video/mp4", "completed")
    web.put(url, content=bytes(len(CONTENT)))
    path = httpx.URL(file["url"]).raw_path.decode()
    assert service.request("GET", f"{path}?redirect=0", key=None).content == CONTENT
    assert names(service, google, "parts/") == []


def test_a_page_of_a_strange_origin_gets_a_session_all_the_same(service: Service, google: Google) -> None:
    assert session_of(service, origin=b"https://\xe9.example")[1]["upload_url"].startswith(google.endpoint)


def test_a_session_goes_on_where_it_was_by_googles_own_client(service: Service, web: httpx.Client) -> None:
    content = os.urandom(3 * 262144 + 5)
    said, upload = session_of(service, len(content))
    total = len(content)
    first = {"content-range": f"bytes 0-262143/{total}"}
    answer = web.put(upload["upload_url"], content=content[:262144], headers=first)
    assert (answer.status_code, answer.headers["range"]) == (308, "bytes=0-262143")
    session = ResumableUpload(upload["upload_url"], 262144, checksum=None)
    session._resumable_url, session._stream, session._content_type = upload["upload_url"], BytesIO(content), "video/mp4"
    session._total_bytes = total
    with requests.Session() as transport:
        session.recover(transport)
        while not session.finished:
            session.transmit_next_chunk(transport)
    file = register(service, said, upload).raise_for_status().json()
    assert web.get(service.fetch(file["url"]).headers["location"]).content == content


def test_a_session_that_is_never_registered_leaves_nothing(service: Service, web: httpx.Client, google: Google) -> None:
    service.pass_time(days=8)
    service.sweep()  # what other tests have left
    before = names(service, google, "")
    said, upload = session_of(service)
    web.put(upload["upload_url"], content=CONTENT).raise_for_status()
    service.pass_time(days=8)
    service.sweep()
    assert names(service, google, "") == before
    assert register(service, said, upload).status_code in (404, 410)


def test_a_store_without_sessions_leaves_them_to_the_server(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service._engine.store.direct_uploads, "_has_sessions", False)
    assert session_of(service)[1]["upload_url"].startswith("http://service/u/")
    monkeypatch.undo()
    assert session_of(service, 100)[1]["upload_url"].startswith("http://service/u/"), "a small file is no object"


def test_who_fetches_by_a_link_is_sent_to_the_store(service: Service, web: httpx.Client, google: Google) -> None:
    file = service.upload(CONTENT, "report é.pdf")
    told = service.fetch(file["url"])
    assert (told.status_code, told.headers["cache-control"]) == (307, "no-store")
    assert told.headers["location"].startswith(google.endpoint)
    answer = web.get(told.headers["location"])
    here = service.request("GET", f"{file['url']}?redirect=0", key=None)
    assert (here.status_code, answer.content) == (200, CONTENT)
    for name in ("content-type", "content-disposition", "content-length"):
        assert answer.headers[name] == here.headers[name]
    assert web.get(told.headers["location"], headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert service.request("GET", file["url"]).content == CONTENT, "a key is not shown to the store"
    address = httpx.URL(told.headers["location"])
    harmed = address.copy_set_param("response-content-type", "text/html")
    assert web.get(harmed).status_code == 403


def test_the_stores_url_lives_no_longer_than_the_file(service: Service) -> None:
    file = service.upload(CONTENT, expires_in="90")
    service.pass_time(seconds=30)
    params = httpx.URL(service.fetch(file["url"]).headers["location"]).params
    begins = datetime.strptime(params["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    # The store has a clock of its own, which no test moves.
    assert (datetime.now(UTC) - begins).total_seconds() < 60
    assert 0 < int(params["X-Goog-Expires"]) <= 60
