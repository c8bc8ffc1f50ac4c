"""The audit log: who did what, which secrets it never holds, who may read it, and for how long it is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from unit.service import ROOT_KEY, Service


def records(service: Service, key: str = ROOT_KEY, **asked: str) -> list[dict[str, Any]]:
    """Return the audit log of the default organization, or of that of a key, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "3", **asked, **({"cursor": cursor} if cursor else {})}
        answer = service.request("GET", "/api/audit", key=key, params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["records"]
        cursor = page["next_cursor"]
    return found


def last(service: Service, type: str) -> dict[str, Any]:
    """Return the newest record of a type."""
    return records(service, types=type)[-1]


def make_key(service: Service, **asked: Any) -> dict[str, Any]:
    """Make a key of the default organization."""
    answer = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload", "read"], **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_what_is_done_to_a_file_names_key_address_and_request(service: Service) -> None:
    key = make_key(service, scopes=["upload", "read", "delete"])
    sent = {"key": key["key"], "headers": {"X-Request-Id": "of-this-test"}}
    file = service.request("PUT", "/api/upload/a", content=b"abc", **sent).json()
    service.request("PATCH", f"/api/files/{file['id']}", json={"name": "b"}, **sent)
    service.request("DELETE", f"/api/files/{file['id']}", **sent)
    found = [record for record in records(service) if record["subject_id"] == file["id"]]
    assert [record["type"] for record in found] == ["file.ready", "file.changed", "file.deleted"]
    for record in found:
        assert record["actor"] == {"key": key["id"], "client": "127.0.0.1", "request_id": "of-this-test"}
    assert [record["data"]["path"] for record in found] == ["a", "b", "b"]


def test_bytes_by_a_signed_url_are_told_of_with_the_key_that_it_was_made_with(service: Service) -> None:
    key = make_key(service)
    ticket = service.request("POST", "/api/uploads", key=key["key"], json={"name": "a", "auto_complete": True}).json()
    service.request("PUT", ticket["url"], key=None, content=b"abc", headers={"X-Request-Id": "by-url"})
    assert last(service, "file.ready")["actor"] == {"key": key["id"], "client": "127.0.0.1", "request_id": "by-url"}


def test_what_was_checked_later_is_told_of_with_the_key_that_brought_it(make_service: Callable[..., Service]) -> None:
    service = make_service(allowed_types="text/plain")
    key = make_key(service)
    service.request("PUT", "/api/upload/a.txt", key=key["key"], content=b"abc")
    service.process()
    assert last(service, "file.ready")["actor"] == {"key": key["id"]}


def test_fetches_that_are_written_together_keep_who_made_each(service: Service) -> None:
    file = service.upload()
    for name in ("one", "two"):
        service.request("GET", file["url"], key=None, headers={"X-Request-Id": name})
    service.write_fetches()
    told = [record["actor"]["request_id"] for record in records(service, types="file.fetched")]
    assert told == ["one", "two"]


def test_what_happens_by_itself_was_asked_for_by_nobody(service: Service) -> None:
    service.upload(expires_in="1h")
    service.pass_time(hours=2)
    service.sweep()
    assert last(service, "file.expired")["actor"] is None


def test_an_end_user_is_named(service: Service) -> None:
    key = make_key(service, on_behalf_of=["*"])
    answer = service.request("PUT", "/api/upload/a", key=key["key"], content=b"abc", headers={"user-id": "ada"})
    assert answer.is_success, answer.text
    service.process()
    assert last(service, "file.ready")["actor"]["end_user"] == "ada"


def test_uploads_that_share_a_commit_are_told_of_with_their_own_keys(service: Service) -> None:
    made = [make_key(service, name=f"k{number}") for number in range(8)]

    async def upload_all() -> None:
        async def upload(key: dict[str, Any]) -> None:
            answer = await service.ask("PUT", f"/api/upload/{key['id']}", key=key["key"], content=b"abc")
            assert answer.status_code == 201

        await asyncio.gather(*(upload(key) for key in made))

    service._run(upload_all())
    found = {record["data"]["path"]: record["actor"]["key"] for record in records(service, types="file.ready")}
    assert found == {key["id"]: key["id"] for key in made}


def do_everything(service: Service) -> list[str]:
    """Do each thing once that administrators do, and return all the secrets that were shown."""
    key = make_key(service)
    service.request("PATCH", f"/api/keys/{key['id']}", json={"name": "other"})
    rotated = service.request("POST", f"/api/keys/{key['id']}/rotate", json={}).json()
    service.request("DELETE", f"/api/keys/{key['id']}")
    hook = service.request("POST", "/api/webhooks", json={"url": "https://receiver.example/"}).json()
    service.request("PATCH", f"/api/webhooks/{hook['id']}", json={"enabled": False})
    renewed = service.request("POST", f"/api/webhooks/{hook['id']}/rotate", json={}).json()
    service.request("DELETE", f"/api/webhooks/{hook['id']}")
    space = service.request("POST", "/api/workspaces", json={"name": "w"}).json()
    service.request("PATCH", f"/api/workspaces/{space['id']}", json={"keep_versions": 3})
    service.request("DELETE", f"/api/workspaces/{space['id']}")
    folder = service.request("POST", "/api/folders", json={"path": "f"}).json()
    service.request("DELETE", f"/api/folders/{folder['id']}")
    service.request("PATCH", "/api/organizations/default", json={"limits": {"max_files": 7}})
    return [key["key"], rotated["key"], hook["secret"], renewed["secret"]]


def test_what_administrators_do_is_recorded_without_secrets(service: Service) -> None:
    shown = do_everything(service)
    found = records(service)
    assert [record["type"] for record in found] == [
        *("key.created", "key.changed", "key.rotated", "key.revoked"),
        *("webhook.created", "webhook.changed", "webhook.rotated", "webhook.deleted"),
        *("workspace.created", "workspace.changed", "workspace.deleted"),
        *("folder.created", "folder.deleted"),
        "organization.changed",
    ]
    text = json.dumps(found)
    assert not [secret for secret in shown if secret in text or secret[12:] in text]


def test_a_new_organization_has_that_in_its_own_log(service: Service) -> None:
    made = service.request("POST", "/api/organizations", json={"slug": "acme", "name": "Acme"}).json()
    (record,) = records(service, organization="acme")
    assert (record["type"], record["subject_id"]) == ("organization.created", made["id"])


def test_those_who_listen_to_files_are_not_told(service: Service) -> None:
    hook = service.request("POST", "/api/webhooks", json={"url": "https://receiver.example/"}).json()
    do_everything(service)
    service.upload(path="a")
    answer = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"}).json()
    assert [event["type"] for event in answer["events"]] == ["file.ready"]
    service.deliver()
    sent = service.request("GET", f"/api/webhooks/{hook['id']}/deliveries").json()["deliveries"]
    assert [delivery["type"] for delivery in sent] == ["file.ready"]


@pytest.mark.parametrize(
    "asked",
    [{"scopes": ["read"]}, {"scopes": ["admin"], "path_prefix": "in"}, {"scopes": ["admin"], "on_behalf_of": ["*"]}],
)
def test_only_administrators_of_the_whole_organization_read_it(service: Service, asked: dict[str, Any]) -> None:
    key = make_key(service, **asked)
    headers = {"user-id": "ada"} if "on_behalf_of" in asked else {}
    assert service.request("GET", "/api/audit", key=key["key"], headers=headers).status_code == 403


def test_another_organization_is_told_nothing(service: Service) -> None:
    service.upload()
    service.request("POST", "/api/organizations", json={"slug": "acme", "name": "Acme"})
    key = service.request("POST", "/api/keys?organization=acme", json={"name": "k", "scopes": ["admin"]}).json()
    assert {record["type"] for record in records(service, key["key"])} == {"organization.created", "key.created"}


def test_it_is_kept_longer_than_events_are_told(service: Service) -> None:
    first = service.upload(path="a")
    service.pass_time(days=31)
    service.upload(path="b")
    service.sweep()
    page = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"}).json()
    assert page["reset"]
    assert [event["data"]["path"] for event in page["events"]] == ["b"]
    assert records(service)[0]["subject_id"] == first["id"]
    service.pass_time(days=60)
    service.sweep()
    assert [record["data"]["path"] for record in records(service, types="file.ready")] == ["b"]


def test_it_is_read_from_a_time_on(service: Service) -> None:
    service.upload(path="a")
    service.pass_time(days=2)
    service.upload(path="b")
    for since, expected in (
        ("2030-01-01T00:00:00Z", ["a", "b"]),
        ("2030-01-02T00:00:00+00:00", ["b"]),
        ("2030-02-01T00:00:00Z", []),
    ):
        assert [record["data"]["path"] for record in records(service, since=since)] == expected


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2030-01-01T00:00:00"}, "since"),
        ({"types": ""}, "types"),
        ({"types": "key.created,"}, "types"),
        ({"cursor": "WyJ4Il0"}, "cursor"),
        ({"cursor": "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OSJd"}, "cursor"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_name(service: Service, asked: dict[str, str], parameter: str) -> None:
    answer = service.request("GET", "/api/audit", params=asked)
    assert answer.status_code == 400
    assert answer.json()["parameter"] == parameter
