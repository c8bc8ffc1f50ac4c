"""Events and webhooks tell the URL and the metadata of the file, so that who is told need not ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.receiver import receiving
from unit.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path / "data", base_url="http://service", webhook_networks="127.0.0.0/8")
    yield found
    found.close()


def told(service: Service) -> list[dict[str, Any]]:
    page = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"}).json()
    return [event["data"] | {"type": event["type"]} for event in page["events"]]


def test_an_event_has_the_url_and_the_metadata_of_its_version(service: Service) -> None:
    for content in (b"first", b"second"):
        service.upload(content, "a b.txt", metadata=json.dumps({"said": content.decode()}))
    first, second = told(service)
    assert [service.fetch(event["url"]).content for event in (first, second)] == [b"first", b"second"]
    assert [event["metadata"] for event in (first, second)] == [{"said": "first"}, {"said": "second"}]


def test_what_happens_to_a_whole_file_has_the_metadata_and_no_url(service: Service) -> None:
    file = service.upload(b"x", "a.txt", metadata='{"order": 17}')
    service.request("DELETE", f"/api/files/{file['id']}")
    deleted = told(service)[-1]
    assert (deleted["type"], deleted["metadata"], deleted["url"]) == ("file.deleted", {"order": 17}, None)


def test_a_rejection_has_the_metadata_of_what_is_rejected(service: Service) -> None:
    asked = {"name": "k", "scopes": ["upload", "read"], "limits": {"types": ["image/png"]}}
    key = service.request("POST", "/api/keys", json=asked).json()["key"]
    service.upload(b"fine", "a.png", metadata='{"said": "fine"}')
    sent = {
        "content": b"MZ" + bytes(100),
        "headers": {"Content-Type": "image/png"},
        "params": {"metadata": '{"said": "bad"}'},
    }
    assert service.request("PUT", "/api/upload/a.png", key=key, **sent).json()["status"] == "processing"
    service.process()
    rejected = told(service)[-1]
    assert (rejected["type"], rejected["metadata"]) == ("file.rejected", {"said": "bad"})


@pytest.mark.parametrize(("address", "is_known"), [("http://service", True), (None, False)])
def test_a_webhook_has_the_url_where_the_service_knows_its_own(
    tmp_path: Path, address: str | None, is_known: bool
) -> None:
    known = {} if address is None else {"base_url": address}
    service = Service(tmp_path / "data", webhook_networks="127.0.0.0/8", **known)
    with receiving() as receiver:
        secret = service.request("POST", "/api/webhooks", json={"url": receiver.url}).json()["secret"]
        file = service.upload(b"x", "a.txt", metadata='{"order": 17}')
        service.deliver()
        data = receiver.received[0].verified(secret, service.now)["data"]
    service.close()
    assert data["metadata"] == {"order": 17}
    assert data["url"] == (file["url"] if is_known else None)
