"""The limits in force wherever a file comes in: those of server, organization, workspace, key and end user, at the time of use."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from contract.edge import first_words, head_of
from fileferry.db import events
from fileferry.db.opening import open_database
from fileferry.model import EVENT_TYPES
from support.live_server import LiveServer
from unit.service import ROOT_KEY, Service

LIMIT = 10


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("limits"))
    yield found
    found.close()


class Tenant:
    """A new organization with a workspace and a key, whose limits a test sets."""

    def __init__(self, service: Service) -> None:
        self.service, self.slug = service, f"o{uuid.uuid4().hex[:12]}"
        self.organization = service.request("POST", "/api/organizations", json={"slug": self.slug}).json()["id"]
        made = service.request(
            "POST",
            "/api/keys",
            params={"organization": self.slug},
            json={"name": "a key", "scopes": ["upload", "read", "delete"]},
        ).json()
        self.key_id, self.key = made["id"], made["key"]

    def limit(self, whose: str, **limits: Any) -> dict[str, Any]:
        """Set limits of one of those who have some."""
        address = {
            "organization": f"/api/organizations/{self.slug}",
            "end_user": f"/api/organizations/{self.slug}",
            "workspace": f"/api/workspaces/default?organization={self.slug}",
            "key": f"/api/keys/{self.key_id}?organization={self.slug}",
        }[whose]
        member = "end_user_limits" if whose == "end_user" else "limits"
        answer = self.service.request("PATCH", address, json={member: limits})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def asks(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask with the key."""
        return self.service.request(method, url, key=self.key, **options)

    def puts(self, content: bytes, path: str = "a.txt", **options: Any) -> httpx.Response:
        """Put a file."""
        return self.asks("PUT", f"/api/upload/{path}", content=content, **options)

    def ticket(self, **asked: Any) -> dict[str, Any]:
        """Ask for a ticket."""
        answer = self.asks("POST", "/api/uploads", json={"path": "a.txt", **asked}, headers=asked.pop("headers", {}))
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def events(self) -> list[dict[str, Any]]:
        """Return what the outbox has of the organization."""

        async def read() -> list[Any]:
            database = open_database(self.service.settings)
            try:
                return await database.read(events.list_after, self.organization, 0, 1000, EVENT_TYPES)
            finally:
                await database.close()

        return [{"type": event.type, **event.data} for event in self.service._run(read())]


@pytest.fixture
def tenant(service: Service) -> Tenant:
    return Tenant(service)


async def _chunks(content: bytes) -> Any:
    yield content


USER = {"user-id": "alice"}
# Every way that bytes come in by in one call, each with a content of its own length.
ONE_CALL: dict[str, Callable[[Tenant, bytes], httpx.Response]] = {
    "PUT": lambda t, content: t.puts(content, headers=USER),
    "PUT without a length": lambda t, content: t.asks(
        "PUT", "/api/upload/a.txt", content=_chunks(content), headers=USER
    ),
    "POST": lambda t, content: t.asks("POST", "/api/upload/a.txt", content=content, headers=USER),
    "form": lambda t, content: t.asks("POST", "/v1/files", files={"file": ("a.txt", content)}, headers=USER),
    "JSON": lambda t, content: t.asks(
        "POST", "/v1/files", json={"filename": "a.txt", "base64": base64.b64encode(content).decode()}, headers=USER
    ),
    "organizations form": lambda t, content: t.asks(
        "POST", f"/v1/organizations/{t.slug}/files/upload", files={"file": ("a.txt", content)}, headers=USER
    ),
}
# Every way that a size is promised by.
TICKETS: dict[str, Callable[[Tenant, int], httpx.Response]] = {
    "native": lambda t, size: t.asks("POST", "/api/uploads", json={"name": "a.txt", "size": size}, headers=USER),
    "native maximum": lambda t, size: t.asks(
        "POST", "/api/uploads", json={"name": "a.txt", "max_size": size}, headers=USER
    ),
    "tus": lambda t, size: t.asks(
        "POST", "/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(size), **USER}
    ),
    "organizations": lambda t, size: t.asks(
        "POST",
        f"/v1/organizations/{t.slug}/files/upload-url",
        json={"filename": "a.txt", "file_size": size, "mime_type": "text/plain"},
        headers=USER,
    ),
}
WHOSE = ["organization", "workspace", "key", "end_user"]


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("way", ONE_CALL)
def test_a_file_over_the_limit_is_refused_and_one_within_is_not(tenant: Tenant, way: str, whose: str) -> None:
    tenant.limit(whose, max_size=LIMIT)
    before = tenant.service.blobs()
    refused = ONE_CALL[way](tenant, b"x" * (LIMIT + 1))
    assert refused.status_code == 413, refused.text
    assert ONE_CALL[way](tenant, b"x" * LIMIT).status_code in (200, 201)
    assert tenant.service.blobs() == before


@pytest.mark.parametrize("whose", WHOSE)
def test_a_large_body_over_the_limit_is_refused_before_it_comes(
    server: LiveServer, http: httpx.Client, whose: str
) -> None:
    slug = f"o{uuid.uuid4().hex[:12]}"
    http.post("/api/organizations", json={"slug": slug})
    asked = {"name": "a key", "scopes": ["upload"]}
    made = http.post(f"/api/keys?organization={slug}", json=asked).json()
    address = {
        "workspace": f"/api/workspaces/default?organization={slug}",
        "key": f"/api/keys/{made['id']}?organization={slug}",
    }.get(whose, f"/api/organizations/{slug}")
    member = "end_user_limits" if whose == "end_user" else "limits"
    assert http.patch(address, json={member: {"max_size": LIMIT}}).status_code == 200
    words = (f"Content-Length: {1024 * 1024}", "user-id: alice", "Content-Type: text/plain")
    head = head_of(server, "PUT", "/api/upload/a.txt", *words, key=made["key"])
    assert first_words(server, head).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("way", TICKETS)
def test_no_ticket_promises_more_than_the_limit(tenant: Tenant, way: str, whose: str) -> None:
    tenant.limit(whose, max_size=LIMIT)
    assert TICKETS[way](tenant, LIMIT + 1).status_code == 413
    assert TICKETS[way](tenant, LIMIT).status_code in (200, 201)


def test_a_ticket_tells_the_limit_in_force(tenant: Tenant) -> None:
    tenant.limit("key", max_size="1kB")
    tenant.limit("organization", max_size=LIMIT)
    assert tenant.ticket()["max_size"] == LIMIT
    asked = {"filename": "a.txt", "file_size": 1, "mime_type": "text/plain"}
    told = tenant.asks("POST", f"/v1/organizations/{tenant.slug}/files/upload-url", json=asked).json()
    assert told["max_file_size"] == LIMIT


@pytest.mark.parametrize("whose", ["organization", "workspace", "key"])
def test_a_limit_that_was_narrowed_after_the_ticket_holds_when_bytes_come(tenant: Tenant, whose: str) -> None:
    open_end, exact = tenant.ticket(path="open.txt"), tenant.ticket(path="exact.txt", size=LIMIT + 1)
    tenant.limit(whose, max_size=LIMIT)
    for ticket in (open_end, exact):
        refused = tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * (LIMIT + 1))
        assert refused.status_code == 413, refused.text
    assert tenant.service.request("PUT", open_end["url"], key=None, content=b"x" * LIMIT).status_code == 200


def test_a_limit_that_was_narrowed_holds_for_every_protocol(tenant: Tenant) -> None:
    tickets = {name: tenant.ticket(path=f"{name}.txt") for name in ("tus", "block", "part", "stream")}
    tenant.limit("key", max_size=LIMIT)
    content, tus = b"x" * (LIMIT + 1), {"Tus-Resumable": "1.0.0"}

    def sends(name: str, method: str, query: str = "", **options: Any) -> int:
        url = tickets[name]["url"] + query
        return tenant.service.request(method, url, key=None, **options).status_code

    assert sends("tus", "POST", headers={**tus, "Upload-Length": str(len(content))}) == 413
    block = base64.b64encode(b"0001").decode()
    assert sends("block", "PUT", f"&comp=block&blockid={block}", content=content) == 413
    assert sends("part", "PUT", f"&partNumber=1&uploadId={tickets['part']['id']}", content=content) == 413
    draft = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
    assert sends("stream", "POST", content=content, headers=draft) == 413


def test_a_limit_that_was_narrowed_while_bytes_waited_holds_at_completion(tenant: Tenant) -> None:
    ticket = tenant.ticket(size=LIMIT + 1)
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * (LIMIT + 1)).status_code == 200
    tenant.limit("organization", max_size=LIMIT)
    assert tenant.asks("POST", f"/api/uploads/{ticket['id']}/complete").status_code == 413
    tenant.limit("organization", max_size=None)
    assert tenant.asks("POST", f"/api/uploads/{ticket['id']}/complete").status_code == 200


def test_an_end_users_upload_that_is_too_long_is_over_and_says_so(tenant: Tenant) -> None:
    tenant.limit("end_user", max_size=LIMIT)
    ticket = tenant.asks("POST", "/api/uploads", json={"name": "a.txt"}, headers=USER).json()
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * (LIMIT + 1)).status_code == 413
    assert tenant.asks("GET", f"/api/uploads/{ticket['id']}", headers=USER).json()["state"] == "aborted"
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x").status_code == 410
    (told,) = tenant.events()
    assert (told["type"], told["file_id"], told["reason"]) == ("file.rejected", ticket["file_id"], "size_mismatch")
    assert (told["status"], told["end_user"]) == ("rejected", "alice")


def test_an_end_users_part_of_the_wrong_size_ends_nothing(tenant: Tenant) -> None:
    mebi = 1024 * 1024
    asked = {"name": "a.txt", "size": 6 * mebi, "part_size": 5 * mebi}
    ticket = tenant.asks("POST", "/api/uploads", json=asked, headers=USER).json()
    url = f"{ticket['part_url']}&partNumber=2"
    assert tenant.service.request("PUT", url, key=None, content=bytes(2 * mebi)).status_code == 413
    assert tenant.asks("GET", f"/api/uploads/{ticket['id']}", headers=USER).json()["state"] == "open"


def test_anothers_upload_that_is_too_long_may_be_sent_again(tenant: Tenant) -> None:
    ticket = tenant.ticket(size=LIMIT)
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * (LIMIT + 1)).status_code == 413
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * LIMIT).status_code == 200
    assert tenant.events() == []


def test_an_end_users_upload_that_is_too_long_by_completion_is_over(tenant: Tenant) -> None:
    asked = {"name": "a.txt", "size": LIMIT + 1}
    ticket = tenant.asks("POST", "/api/uploads", json=asked, headers=USER).json()
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"x" * (LIMIT + 1)).status_code == 200
    tenant.limit("end_user", max_size=LIMIT)
    assert tenant.asks("POST", f"/api/uploads/{ticket['id']}/complete", headers=USER).status_code == 413
    assert tenant.asks("POST", f"/api/uploads/{ticket['id']}/complete", headers=USER).status_code == 410
    assert [told["type"] for told in tenant.events()] == ["file.rejected"]


@pytest.mark.parametrize("whose", ["organization", "workspace", "key"])
def test_a_type_that_is_not_allowed_is_refused_by_its_name(tenant: Tenant, whose: str) -> None:
    tenant.limit(whose, types=["application/pdf"])
    assert tenant.puts(b"MZ", "a.exe").status_code == 415
    assert tenant.asks("POST", "/v1/files", files={"file": ("a.exe", b"MZ")}).status_code == 415
    assert tenant.asks("POST", "/api/uploads", json={"path": "a.exe"}).status_code == 415
    assert tenant.puts(b"%PDF-1.7", "a.pdf").status_code == 201


def test_a_type_that_is_not_allowed_is_rejected_by_its_content(tenant: Tenant) -> None:
    ticket = tenant.ticket(path="a.pdf", auto_complete=True)
    tenant.limit("organization", types=["application/pdf"])
    sent = tenant.service.request("PUT", ticket["url"], key=None, content=b"MZ" + bytes(100))
    assert sent.status_code == 200
    tenant.service.process()
    shown = tenant.asks("GET", f"/api/files/{ticket['file_id']}").json()
    assert (shown["status"], shown["reason"]) == ("rejected", "type_not_allowed")


def _left(answer: httpx.Response, service: Service) -> timedelta:
    return datetime.fromisoformat(answer.json()["expires_at"]) - service.now


@pytest.mark.parametrize("whose", ["organization", "workspace", "key"])
def test_no_file_lives_longer_than_the_limit(tenant: Tenant, whose: str) -> None:
    tenant.limit(whose, max_retention="7d")
    week = timedelta(days=7)
    assert _left(tenant.puts(b"a"), tenant.service) == week
    assert _left(tenant.puts(b"a", params={"expires_in": "1d"}), tenant.service) == timedelta(days=1)
    assert tenant.puts(b"a", params={"expires_in": "8d"}).status_code == 400
    assert tenant.asks("POST", "/api/uploads", json={"path": "a.txt", "expires_in": "8d"}).status_code == 400
    file = tenant.puts(b"a", "b.txt").json()["id"]
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "8d"}).status_code == 400
    kept = tenant.asks("PATCH", f"/api/files/{file}", json={"expires_at": None})
    assert _left(kept, tenant.service) == week


def test_no_file_lives_longer_than_the_limit_however_often_that_is_asked_for(tenant: Tenant) -> None:
    tenant.limit("key", max_retention="1d")
    file = tenant.puts(b"a", params={"expires_in": "1h"}).json()["id"]
    tenant.service.pass_time(minutes=30)
    half_an_hour_less = timedelta(hours=23, minutes=30)
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "1d"}).status_code == 400
    assert (
        _left(tenant.asks("PATCH", f"/api/files/{file}", json={"expires_at": None}), tenant.service)
        == half_an_hour_less
    )
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "23h"}).status_code == 200
    tenant.service.pass_time(hours=23)
    assert tenant.asks("GET", f"/api/files/{file}").status_code == 410


def test_a_file_that_is_older_than_a_new_limit_can_be_ended_sooner_and_lives_no_longer(tenant: Tenant) -> None:
    file = tenant.puts(b"a").json()["id"]
    tenant.service.pass_time(days=30)
    tenant.limit("key", max_retention="7d")
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_at": None}).status_code == 400
    sooner = tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "2h"})
    assert _left(sooner, tenant.service) == timedelta(hours=2)
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "3h"}).status_code == 400
    assert tenant.asks("PATCH", f"/api/files/{file}", json={"expires_in": "1h"}).status_code == 200


def test_a_life_that_was_promised_is_shortened_where_the_limit_was_narrowed(tenant: Tenant) -> None:
    ticket = tenant.ticket(expires_in="30d", auto_complete=True)
    tenant.limit("key", max_retention="1d")
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"a").status_code == 200
    assert _left(tenant.asks("GET", f"/api/files/{ticket['file_id']}"), tenant.service) == timedelta(days=1)


def test_a_key_that_was_revoked_while_its_request_went_on_brings_nothing(tenant: Tenant) -> None:
    async def body() -> Any:
        yield b"begun"
        tenant.service.pass_time(seconds=10)
        engine = tenant.service._app
        await _revoke(engine, tenant)
        yield b" and ended"

    answer = tenant.asks("PUT", "/api/upload/a.txt", content=body())
    assert answer.status_code == 401
    assert tenant.service.request("GET", f"/api/files?organization={tenant.slug}").json()["files"] == []


async def _revoke(app: Any, tenant: Tenant) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        url = f"/api/keys/{tenant.key_id}?organization={tenant.slug}"
        assert (await client.delete(url, headers={"X-API-Key": ROOT_KEY})).status_code == 204


def test_limits_are_shown_and_merged(tenant: Tenant) -> None:
    assert tenant.limit("key", max_size="10MiB", types=["text/csv"])["limits"]["max_size"] == 10 * 1024**2
    shown = tenant.limit("key", max_size=None)["limits"]
    assert (shown["max_size"], shown["types"]) == (None, ["text/csv"])
    read = tenant.service.request("GET", f"/api/keys/{tenant.key_id}?organization={tenant.slug}").json()
    assert read["limits"] == shown


def test_who_may_set_limits(tenant: Tenant) -> None:
    admin = {"name": "admin", "scopes": ["admin"]}
    key = tenant.service.request("POST", f"/api/keys?organization={tenant.slug}", json=admin).json()["key"]

    def status(url: str, changes: dict[str, Any]) -> int:
        return tenant.service.request("PATCH", url, key=key, json=changes).status_code

    own = f"/api/organizations/{tenant.slug}"
    assert status(own, {"limits": {"max_size": None}}) == 403
    assert status(own, {"end_user_limits": {"max_size": 5}}) == 200
    assert status("/api/organizations/default", {"end_user_limits": {"max_size": 5}}) == 404
    assert status("/api/workspaces/default", {"limits": {"max_size": 5}}) == 200
    assert status("/api/workspaces/default", {"limits": {"requests": "1/minute"}}) == 400
    assert tenant.asks("PATCH", own, json={"end_user_limits": {}}).status_code == 403


@pytest.mark.parametrize(
    "limits",
    [{"max_size": -1}, {"max_size": "big"}, {"max_retention": "soon"}, {"types": "a/b"}, {"requests": "x"}, {"no": 1}],
)
def test_limits_that_cannot_be_are_refused(tenant: Tenant, limits: dict[str, Any]) -> None:
    url = f"/api/keys/{tenant.key_id}?organization={tenant.slug}"
    assert tenant.service.request("PATCH", url, json={"limits": limits}).status_code == 400
