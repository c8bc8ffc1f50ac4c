"""Batches: uploads that become files together or not at all, and the manifest of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from unit.service import ROOT_KEY, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("batches"), base_url="https://files.example.com")
    yield service
    service.close()


def open_batch(service: Service, *files: dict[str, Any], key: str = ROOT_KEY, **asked: Any) -> dict[str, Any]:
    answer = service.request("POST", "/api/batches", key=key, json={"files": [*files], **asked})
    assert answer.status_code == 201, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


def commit(service: Service, batch: dict[str, Any], key: str = ROOT_KEY) -> httpx.Response:
    return service.request("POST", f"/api/batches/{batch['id']}/commit", key=key)


def send(service: Service, batch: dict[str, Any], number: int, content: bytes) -> None:
    assert service.request("PUT", batch["uploads"][number]["url"], key=None, content=content).status_code == 200


def paths(service: Service) -> set[str]:
    return {file["path"] for file in service.request("GET", "/api/files?limit=1000").json()["files"]}


def test_a_batch_becomes_files_with_its_commit_and_not_before(service: Service) -> None:
    batch = open_batch(service, {"path": "set/one.txt"}, {"path": "set/two.txt", "size": 3}, url_style="short")
    assert all(len(upload["url"]) <= 80 for upload in batch["uploads"])
    send(service, batch, 0, b"first")
    early = commit(service, batch)
    assert (early.status_code, early.json()["code"]) == (409, "not_uploaded")
    assert early.json()["ids"] == [batch["uploads"][1]["file_id"]]
    seen = service.request("GET", f"/api/batches/{batch['id']}").json()
    assert (seen["missing"], seen["committed_at"]) == ([batch["uploads"][1]["id"]], None)
    send(service, batch, 1, b"two")
    assert not paths(service) & {"set/one.txt", "set/two.txt"}
    done = commit(service, batch).json()
    assert [file["path"] for file in done["files"]] == ["set/one.txt", "set/two.txt"]
    assert paths(service) >= {"set/one.txt", "set/two.txt"}


def test_its_manifest_tells_of_its_files_to_whoever_has_its_url(service: Service) -> None:
    batch = open_batch(service, {"name": "a.txt"}, {"name": "b.txt"})
    for number, content in enumerate((b"abc", b"defg")):
        send(service, batch, number, content)
    done = commit(service, batch).json()
    assert len(done["manifest_url"]) <= 80
    manifest = service.fetch(done["manifest_url"]).json()
    assert [(file["path"], file["size"]) for file in manifest["files"]] == [("a.txt", 3), ("b.txt", 4)]
    assert [service.fetch(file["url"]).content for file in manifest["files"]] == [b"abc", b"defg"]
    again = commit(service, batch).json()
    assert again["manifest_url"] != done["manifest_url"]
    assert service.fetch(again["manifest_url"]).json() == manifest
    assert again["committed_at"] == done["committed_at"]
    service.request("DELETE", f"/api/files/{done['files'][0]['id']}")
    assert service.fetch(done["manifest_url"]).status_code == 410


def test_a_manifest_ends_with_the_key_that_asked_for_it(service: Service) -> None:
    made = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload", "read"]}).json()
    batch = open_batch(service, {"name": "a.txt"}, key=made["key"])
    send(service, batch, 0, b"abc")
    url = commit(service, batch, made["key"]).json()["manifest_url"]
    assert service.fetch(url).status_code == 200
    service.request("DELETE", f"/api/keys/{made['id']}")
    assert service.fetch(url).json()["code"] == "link_refused"


def test_one_file_that_may_not_come_lets_none_come(service: Service) -> None:
    before = service.request("GET", "/metrics", key=None)
    assert before.status_code == 200
    answer = service.request("POST", "/api/batches", json={"files": [{"name": "a"}, {"name": "b", "size": 2**62}]})
    assert answer.status_code == 413
    for files in ([], [{}], [{"name": "a", "path": "b"}], [{"name": "a"}] * 1001):
        assert service.request("POST", "/api/batches", json={"files": files}).status_code == 400


def test_a_batch_that_is_given_up_takes_nothing(service: Service) -> None:
    batch = open_batch(service, {"name": "a.txt"}, {"name": "b.txt"})
    send(service, batch, 0, b"abc")
    assert service.request("DELETE", f"/api/batches/{batch['id']}").status_code == 204
    assert commit(service, batch).status_code == 410
    assert service.request("PUT", batch["uploads"][1]["url"], key=None, content=b"abc").status_code == 410
    done = open_batch(service, {"name": "a.txt"})
    send(service, done, 0, b"abc")
    assert commit(service, done).status_code == 200
    assert service.request("DELETE", f"/api/batches/{done['id']}").status_code == 409


def test_nobody_else_sees_a_batch(service: Service) -> None:
    batch = open_batch(service, {"path": "inside/a.txt"}, {"path": "outside/b.txt"})
    organization = service.request("POST", "/api/organizations", json={"slug": "others"}).json()["id"]
    asked = {"name": "k", "scopes": ["upload", "read", "delete"]}
    other = service.request("POST", "/api/keys", json=asked, params={"organization": organization}).json()["key"]
    confined = service.request("POST", "/api/keys", json={**asked, "path_prefix": "inside"}).json()["key"]
    for key in (other, confined):
        for method, path in (("GET", ""), ("POST", "/commit"), ("DELETE", "")):
            answer = service.request(method, f"/api/batches/{batch['id']}{path}", key=key)
            assert answer.status_code == 404, answer.text
    assert open_batch(service, {"path": "inside/c.txt"}, key=confined)["missing"]
