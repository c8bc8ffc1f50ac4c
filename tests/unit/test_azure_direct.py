"""Clients that send to a container of Azure and fetch from it themselves: no URL leads to what the engine has verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fileferry.blobs.azure.direct import AzureUploads
from fileferry.blobs.objects import pieces
from unit.direct_flows import CONTENT, confirm, names, ticket_of
from unit.service import Service

if TYPE_CHECKING:
    from support.node import Azurite

pytestmark = pytest.mark.service("azurite")
MIB = 1024 * 1024
PART = 65536


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("direct"), redirect="auto", **azurite.settings(is_public=True))
    yield made
    made.close()


def test_a_ticket_is_a_url_of_the_store_and_what_it_brought_can_be_changed_by_nobody(
    service: Service, folder: str, web: httpx.Client, azurite: Azurite
) -> None:
    ticket = ticket_of(service, folder, checksum=hashlib.sha256(CONTENT).hexdigest())
    assert ticket["url"].startswith(azurite.endpoint)
    assert confirm(service, ticket["id"]).status_code == 409
    # The store takes a body of any length, and it is no file then.
    for other in (CONTENT[:-1], CONTENT + b"!"):
        assert web.put(ticket["url"], content=other).status_code == 201
        assert confirm(service, ticket["id"]).status_code == 409
    assert web.put(ticket["url"], content=CONTENT).status_code == 201
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert (file["size"], file["uploaded"]) == (len(CONTENT), True)
    assert confirm(service, ticket["id"]).json()["files"] == [file]
    whole = ticket["url"].partition("?")[0].replace("/incoming", "/whole")
    for url in (ticket["url"], f"{whole}?{ticket['url'].partition('?')[2]}"):
        web.put(url, content=bytes(len(CONTENT)))
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT
    assert web.get(ticket["url"]).status_code == 403


def test_other_bytes_than_were_promised_are_not_kept(
    service: Service, folder: str, web: httpx.Client, azurite: Azurite
) -> None:
    before = names(service, azurite)
    ticket = ticket_of(service, folder, "wrong", checksum=hashlib.sha256(b"other").hexdigest())
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    assert confirm(service, ticket["id"]).json()["error"]["code"] == "digest_mismatch"
    assert service.fetch(f"/{ticket['s3Key']}").status_code == 404
    service.sweep()
    assert names(service, azurite) == before


def test_what_is_never_confirmed_is_given_up(
    service: Service, folder: str, web: httpx.Client, azurite: Azurite
) -> None:
    before = names(service, azurite)
    ticket = ticket_of(service, folder, "left")
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    service.pass_time(days=6)
    service.sweep()
    assert len(names(service, azurite)) == len(before) + 1
    service.pass_time(days=2)
    service.sweep()
    assert names(service, azurite) == before
    assert confirm(service, ticket["id"]).status_code == 410


def test_what_a_holder_of_a_url_does_beside_sending_keeps_nobody_from_cleaning_up(
    service: Service, folder: str, web: httpx.Client, azurite: Azurite
) -> None:
    before = names(service, azurite)
    leased, retyped = ticket_of(service, folder, "leased")["url"], ticket_of(service, folder, "retyped")["url"]
    lease = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
    blob, _, query = leased.partition("?")
    signature = query.partition("&sv=")[2]
    web.put(f"{blob}?comp=lease&sv={signature}", headers=lease).raise_for_status()
    blob, _, query = retyped.partition("?")
    page = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "0"}
    web.put(f"{blob}?sv={query.partition('&sv=')[2]}", headers=page).raise_for_status()
    assert service.scan(fix=True).bytes_without_row == []
    service.pass_time(days=8)
    service.sweep()
    assert names(service, azurite) == before


def test_what_is_sent_while_it_is_confirmed_twice_does_not_replace_what_was_verified(
    service: Service, folder: str, web: httpx.Client, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = ticket_of(service, folder, "twice")
    web.put(ticket["url"], content=CONTENT).raise_for_status()
    complete = AzureUploads.complete

    async def overtaken(self: AzureUploads, key: str, name: str, parts: Any) -> None:
        """Complete as one does whom another has overtaken: what was sent has been copied, and is sent anew."""
        await complete(self, key, name, parts)
        await self._objects.put(pieces.incoming(key), b"")
        (url,) = await self.urls(key, name, [(1, len(CONTENT))], timedelta(minutes=1))
        web.put(url, content=bytes(len(CONTENT))).raise_for_status()
        await complete(self, key, name, parts)

    monkeypatch.setattr(AzureUploads, "complete", overtaken)
    (file,) = confirm(service, ticket["id"]).json()["files"]
    assert service.request("GET", f"/{file['s3Key']}?redirect=0", key=None).content == CONTENT


def test_a_large_file_goes_there_in_parts_that_nobody_has_to_list(
    service: Service, web: httpx.Client, azurite: Azurite
) -> None:
    content = os.urandom(2 * PART + 1000)
    asked = {"name": "large", "size": len(content), "part_size": PART, "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    parts = {part["part_number"]: part for part in ticket["direct"]}
    assert [part["size"] for part in parts.values()] == [PART, PART, 1000]
    for number in (3, 1, 1):
        part = content[(number - 1) * PART : number * PART]
        web.put(parts[number]["url"], content=part).raise_for_status()
    seen = service.request("GET", f"/api/uploads/{ticket['id']}").json()
    assert [(part["part_number"], part["size"]) for part in seen["parts"]] == [(1, PART), (3, 1000)]
    assert service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).status_code == 409
    web.put(seen["direct"][1]["url"], content=content[PART : 2 * PART]).raise_for_status()
    file = service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).raise_for_status().json()
    assert web.get(service.fetch(file["url"]).headers["location"]).content == content


def test_parts_that_a_client_has_to_list_come_here_as_the_store_does_not_name_them(
    service: Service, folder: str
) -> None:
    asked = {"name": "large", "size": 11 * MIB, "partSize": 5 * MIB}
    ticket = service.request("POST", f"/v1/files/multipart/{folder}/initiate", json=asked).json()
    assert all(part["url"].startswith("http://service/") for part in ticket["urls"])


@pytest.mark.parametrize("by", ["direct", "url"])
def test_a_native_ticket_has_both_ways_and_either_brings_the_file(service: Service, web: httpx.Client, by: str) -> None:
    asked = {"name": f"{by}.bin", "size": len(CONTENT), "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    (part,) = ticket["direct"]
    if by == "direct":
        web.put(part["url"], content=CONTENT).raise_for_status()
    else:
        assert service.request("PUT", ticket["url"].replace("http://service", ""), content=CONTENT).is_success
        web.put(part["url"], content=bytes(len(CONTENT))).raise_for_status()
    file = service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={})
    assert file.status_code == 200, file.text
    assert service.request("GET", f"/api/files/{file.json()['id']}/content").content == CONTENT


def test_who_fetches_by_a_link_is_sent_to_the_store(service: Service, web: httpx.Client, azurite: Azurite) -> None:
    file = service.upload(CONTENT, "report é.pdf")
    told = service.fetch(file["url"])
    assert (told.status_code, told.headers["cache-control"]) == (307, "no-store")
    assert told.headers["location"].startswith(azurite.endpoint)
    answer = web.get(told.headers["location"])
    here = service.request("GET", f"{file['url']}?redirect=0", key=None)
    assert (here.status_code, answer.content) == (200, CONTENT)
    for name in ("content-type", "content-disposition", "cache-control", "content-length"):
        assert answer.headers[name] == here.headers[name]
    assert web.get(told.headers["location"], headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert service.request("GET", file["url"]).content == CONTENT, "a key is not shown to the store"
    counted = service.upload(CONTENT, "counted", expires_after_fetches="1")
    assert service.fetch(f"{counted['url']}?redirect=1").content == CONTENT


def test_the_stores_url_lives_no_longer_than_the_file(service: Service) -> None:
    file = service.upload(CONTENT, expires_in="90")
    service.pass_time(seconds=30)
    ends = httpx.URL(service.fetch(file["url"]).headers["location"]).params["se"]
    # The store has a clock of its own, which no test moves.
    assert 0 < (datetime.fromisoformat(ends) - datetime.now(UTC)).total_seconds() <= 60
