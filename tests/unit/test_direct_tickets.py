"""Clients that send to the store and fetch from it themselves: the store holds them to the ticket, and the engine to the bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import httpx
import pytest

from fileferry.blobs.s3 import Client, Credentials, S3Store, parse
from fileferry.blobs.s3.objects import Objects
from fileferry.engine.files.verification import Verified
from fileferry.engine.receiving.completion import Completion
from fileferry.errors import Unavailable
from support.object_stores import SeaweedFS
from unit.service import Service

pytestmark = pytest.mark.service("seaweedfs")
MIB = 1024 * 1024
CONTENT = os.urandom(100_000)


@pytest.fixture(scope="module")
def service(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("direct"), redirect="auto", **seaweedfs.settings(is_public=True))
    yield made
    made.close()


def in_bucket(service: Service, use: Any) -> Any:
    """Run ``use`` of the service's objects."""

    async def run() -> Any:
        settings = service.settings
        location = parse(settings.store or "")
        client = Client(location, Credentials(settings.s3_access_key_id or "", settings.s3_secret_access_key or ""))
        try:
            return await use(Objects(client, location.prefix))
        finally:
            await client.close()

    return service._run(run())


async def unfinished(objects: Objects) -> list[str]:
    return [found[0] async for found in objects.list_unfinished("blobs/")]


async def names(objects: Objects) -> list[str]:
    return [found.key async for found in objects.list("blobs/")]


def tickets(service: Service, folder: str, *files: dict[str, Any]) -> list[dict[str, Any]]:
    answer = service.request("POST", f"/v1/files/{folder}", json={"filesMetadata": list(files)})
    assert answer.status_code == 200, answer.text
    urls: list[dict[str, Any]] = answer.json()["urls"]
    return urls


def described(name: str = "a.bin", content: bytes = CONTENT, **more: str) -> dict[str, Any]:
    return {"name": name, "size": len(content), **more}


def verified(service: Service) -> list[Verified]:
    async def run() -> list[Verified]:
        return [found async for found in service._engine.verifier.run()]

    found: list[Verified] = service._run(run())
    return found


def confirm(service: Service, *ids: str) -> httpx.Response:
    return service.request("POST", "/v1/files/confirm-upload", json={"ids": list(ids)})


def test_a_ticket_is_a_url_of_the_store_that_takes_just_what_was_promised(
    service: Service, folder: str, web: httpx.Client, seaweedfs: SeaweedFS
) -> None:
    (ticket,) = tickets(service, folder, described(checksum=hashlib.sha256(CONTENT).hexdigest()))
    assert ticket["url"].startswith(seaweedfs.endpoint)
    assert web.put(ticket["url"], content=CONTENT[:-1]).status_code == 403
    assert web.put(ticket["url"], content=CONTENT + b"!").status_code == 403
    copied = web.put(ticket["url"], content=CONTENT, headers={"x-amz-copy-source": "/tests/identity"})
    assert copied.status_code == 403
    not_yet = confirm(service, ticket["id"])
    assert (not_yet.status_code, ticket["id"] in not_yet.text) == (409, True)
    assert web.put(ticket["url"], content=CONTENT).status_code == 200
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert (file["size"], file["uploaded"]) == (len(CONTENT), True)
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT
    assert confirm(service, ticket["id"]).json()["files"] == [file]
    # It can be changed by nobody now.
    assert web.put(ticket["url"], content=bytes(len(CONTENT))).status_code == 404
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT


def test_all_or_none_are_confirmed(service: Service, folder: str, web: httpx.Client) -> None:
    sent, missing = tickets(service, folder, described("sent"), described("missing"))
    web.put(sent["url"], content=CONTENT).raise_for_status()
    refused = confirm(service, sent["id"], missing["id"])
    assert refused.status_code == 409
    assert missing["id"] in refused.text
    assert sent["id"] not in refused.text
    web.put(missing["url"], content=CONTENT).raise_for_status()
    assert len(confirm(service, sent["id"], missing["id"]).json()["files"]) == 2


def test_a_large_file_goes_to_the_store_in_parts(service: Service, folder: str, web: httpx.Client) -> None:
    content = os.urandom(11 * MIB)
    asked = {**described("large", content), "partSize": 5 * MIB}
    ticket = service.request("POST", f"/v1/files/multipart/{folder}/initiate", json=asked).json()
    parts = [content[start : start + 5 * MIB] for start in range(0, len(content), 5 * MIB)]
    assert [part["partNumber"] for part in ticket["urls"]] == [1, 2, 3]
    told = {"id": ticket["id"], "uploadId": ticket["uploadId"]}
    tags = {}
    for part in (ticket["urls"][2], ticket["urls"][0]):
        tags[part["partNumber"]] = web.put(part["url"], content=parts[part["partNumber"] - 1]).headers["etag"]
    listed = service.request("GET", f"/v1/files/multipart/{folder}/{ticket['uploadId']}/parts").json()["parts"]
    assert [(part["partNumber"], part["etag"], part["size"]) for part in listed] == [
        (1, tags[1], 5 * MIB),
        (3, tags[3], MIB),
    ]
    assert confirm(service, ticket["id"]).status_code == 409
    fresh = service.request("POST", f"/v1/files/multipart/{folder}/urls", json={**told, "partNumbers": [2]}).json()
    tags[2] = web.put(fresh["urls"][0]["url"], content=parts[1]).headers["etag"]
    wrong = [{"partNumber": number, "etag": tags[1]} for number in (1, 2, 3)]
    refused = service.request("POST", f"/v1/files/multipart/{folder}/complete", json={**told, "parts": wrong})
    assert refused.status_code == 400
    right = {**told, "parts": [{"partNumber": number, "etag": tags[number]} for number in (1, 2, 3)]}
    made = service.request("POST", f"/v1/files/multipart/{folder}/complete", json=right)
    assert made.status_code == 200, made.text
    again = service.request("POST", f"/v1/files/multipart/{folder}/complete", json=right)
    assert again.json() == made.json()
    assert web.get(service.fetch(f"/{made.json()['s3Key']}").headers["location"]).content == content


def test_other_bytes_than_were_promised_are_not_kept(service: Service, folder: str, web: httpx.Client) -> None:
    (ticket,) = tickets(service, folder, described("wrong", checksum=hashlib.md5(b"other").hexdigest()))
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    refused = confirm(service, ticket["id"])
    assert refused.json()["error"]["code"] == "digest_mismatch", refused.text
    assert confirm(service, ticket["id"]).status_code in (409, 410)
    assert service.fetch(f"/{ticket['s3Key']}").status_code == 404
    before = in_bucket(service, names)
    service.sweep()
    assert len(in_bucket(service, names)) < len(before)


@pytest.mark.parametrize("name", ["sha256", "crc32c"])
def test_the_store_takes_no_other_bytes_than_the_digest_in_the_url_says(
    service: Service, folder: str, web: httpx.Client, name: str
) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest() if name == "sha256" else f"{google_crc32c.value(CONTENT):08x}"
    (ticket,) = tickets(service, folder, described("pinned", checksum=digest))
    assert web.put(ticket["url"], content=bytes(len(CONTENT))).status_code == 400
    assert confirm(service, ticket["id"]).status_code == 409
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT


def test_what_the_store_has_verified_is_not_read_again(
    seaweedfs: SeaweedFS, tmp_path: Path, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    whole = S3Store.read

    def counted(self: S3Store, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        read.append(length)
        return whole(self, key, start, length)

    monkeypatch.setattr(S3Store, "read", counted)
    crc32c = f"{google_crc32c.value(CONTENT):08x}"
    service = Service(tmp_path, sha256_size="64KiB", **seaweedfs.settings(is_public=True))
    try:
        folder = service.request("POST", "/v1/folders", json={"name": "direct"}).json()["id"]
        for name, digest, bytes_read in (
            ("verified.txt", crc32c, 4096),
            ("another.txt", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)),
            ("unknown.txt", None, len(CONTENT)),
        ):
            (ticket,) = tickets(service, folder, described(name, **({} if digest is None else {"checksum": digest})))
            web.put(ticket["url"], content=CONTENT).raise_for_status()
            read.clear()
            assert confirm(service, ticket["id"]).status_code == 200
            assert read == [bytes_read], name
            service.process()
            (found,) = [file for file in service.request("GET", "/api/files").json()["files"] if file["name"] == name]
            assert found["crc32c"] == crc32c
        assert [version.fault for version in verified(service)] == [None, None, None]
    finally:
        service.close()


@pytest.mark.parametrize("asked", [{"direct": True, "auto_complete": True}, {"direct": True, "max_size": 10**6}, {}])
def test_what_cannot_go_there_comes_here(service: Service, asked: dict[str, Any]) -> None:
    size = {} if "max_size" in asked else {"size": len(CONTENT)}
    ticket = service.request("POST", "/api/uploads", json={"name": "here", **size, **asked}).json()
    assert ticket["direct"] is None


def test_what_is_small_goes_to_the_database(service: Service, folder: str, seaweedfs: SeaweedFS) -> None:
    (ticket,) = tickets(service, folder, described(content=b"few bytes"))
    assert not ticket["url"].startswith(seaweedfs.endpoint)


@pytest.mark.parametrize("by", ["direct", "url"])
def test_a_native_ticket_has_both_ways_and_either_brings_the_file(service: Service, web: httpx.Client, by: str) -> None:
    asked = {"name": f"{by}.bin", "size": len(CONTENT), "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    (part,) = ticket["direct"]
    assert (part["part_number"], part["size"]) == (1, len(CONTENT))
    if by == "direct":
        web.put(part["url"], content=CONTENT).raise_for_status()
    else:
        assert service.request("PUT", ticket["url"].replace("http://service", ""), content=CONTENT).is_success
        web.put(part["url"], content=bytes(len(CONTENT))).raise_for_status()
    file = service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={})
    assert file.status_code == 200, file.text
    assert service.request("GET", f"/api/files/{file.json()['id']}/content").content == CONTENT
    assert file.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_crash_after_the_store_has_all_loses_nothing(
    service: Service, folder: str, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ticket,) = tickets(service, folder, described("crash"))
    web.put(ticket["url"], content=CONTENT).raise_for_status()

    def crash(*_: object) -> None:
        raise Unavailable("The process has died.")

    with monkeypatch.context() as patch:
        patch.setattr(Completion, "receive", crash)
        assert confirm(service, ticket["id"]).status_code == 503
    assert service.scan(fix=True).bytes_without_row == []
    assert confirm(service, ticket["id"]).json()["files"][0]["size"] == len(CONTENT)


def test_what_is_never_confirmed_is_given_up_and_what_is_under_way_is_not(
    service: Service, folder: str, web: httpx.Client
) -> None:
    service.sweep()
    before = set(in_bucket(service, unfinished))
    sent, unsent = tickets(service, folder, described("sent"), described("unsent"))
    web.put(sent["url"], content=CONTENT).raise_for_status()
    service.pass_time(days=6)
    service.sweep()
    assert len(set(in_bucket(service, unfinished)) - before) == 2
    service.pass_time(days=2)
    service.sweep()
    assert set(in_bucket(service, unfinished)) <= before
    assert confirm(service, sent["id"]).status_code == 410
    assert unsent["id"] in confirm(service, unsent["id"]).text


def uploaded(service: Service, **parameters: str) -> dict[str, Any]:
    return service.upload(CONTENT, "report é.pdf", **parameters)


def test_who_fetches_by_a_link_is_sent_to_the_store(service: Service, web: httpx.Client) -> None:
    file = uploaded(service)
    told = service.fetch(file["url"])
    assert (told.status_code, told.headers["cache-control"], told.content) == (307, "no-store", b"")
    assert told.headers["access-control-allow-origin"] == "*"
    answer = web.get(told.headers["location"])
    here = service.request("GET", f"{file['url']}?redirect=0", key=None)
    assert (here.status_code, answer.content) == (200, CONTENT)
    for name in ("content-type", "content-disposition", "cache-control", "content-length"):
        assert answer.headers[name] == here.headers[name]
    part = service.request("GET", file["url"], key=None, headers={"Range": "bytes=5-9"})
    assert web.get(part.headers["location"], headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    tag = here.headers["etag"]
    assert service.request("GET", file["url"], key=None, headers={"If-None-Match": tag}).status_code == 304
    assert service.request("HEAD", file["url"], key=None).headers["content-length"] == str(len(CONTENT))


def test_an_organization_says_whether_its_files_are_fetched_past_the_server(service: Service) -> None:
    file = uploaded(service)

    def told(wish: str | None, query: str = "") -> int:
        answer = service.request("PATCH", "/api/organizations/default", json={"redirect": wish})
        assert answer.json()["redirect"] == wish
        return service.fetch(file["url"] + query).status_code

    assert [told("never"), told("never", "?redirect=1"), told("auto"), told("auto", "?redirect=0")] == [
        200,
        307,
        307,
        200,
    ]
    other = service.request("POST", "/api/organizations", json={"slug": "followers"}).json()["id"]
    service.request("PATCH", f"/api/organizations/{other}", json={"redirect": "never"})
    assert told(None) == 307
    administrator = service.request(
        "POST", "/api/keys", params={"organization": "default"}, json={"name": "a", "scopes": ["admin"]}
    ).json()["key"]
    asked = {"json": {"redirect": "auto"}, "key": administrator}
    assert service.request("PATCH", "/api/organizations/default", **asked).status_code == 200
    assert service.request("PATCH", "/api/organizations/followers", **asked).status_code == 404
    assert told(None) == 307


def test_who_shows_a_key_or_has_few_fetches_is_not_sent_away(service: Service) -> None:
    file = uploaded(service)
    assert service.request("GET", file["url"]).content == CONTENT
    assert service.request("GET", f"/api/files/{file['id']}/content").content == CONTENT
    counted = uploaded(service, expires_after_fetches="1")
    assert service.fetch(f"{counted['url']}?redirect=1").content == CONTENT
    assert service.fetch(counted["url"]).status_code == 410


def test_the_stores_url_lives_no_longer_than_the_file(service: Service) -> None:
    file = uploaded(service, expires_in="90")
    service.pass_time(seconds=30)
    query = httpx.URL(service.fetch(file["url"]).headers["location"]).params
    assert 58 <= int(query["X-Amz-Expires"]) <= 60
    service.pass_time(seconds=59)
    assert service.fetch(file["url"]).status_code == 200
    service.pass_time(seconds=2)
    assert service.fetch(file["url"]).status_code == 410


def test_nobody_is_sent_to_a_store_that_is_not_known_to_be_public(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    service = Service(tmp_path, redirect="auto", **seaweedfs.settings())
    try:
        folder = service.request("POST", "/v1/folders", json={"name": "direct"}).json()["id"]
        (ticket,) = tickets(service, folder, described())
        assert ticket["url"].startswith("http://service/")
        assert service.fetch(f"{uploaded(service)['url']}?redirect=1").content == CONTENT
    finally:
        service.close()
