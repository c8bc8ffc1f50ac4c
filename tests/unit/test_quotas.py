"""Quotas: what is kept never exceeds them, whatever comes at once, and what is counted is what counting anew would find."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fileferry.db import usage
from fileferry.db.usage import Usage
from unit.service import Service

SLUG = "tenant"
USERS = (None, "alice", "bob")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("quotas"))
    yield found
    found.close()


class Tenant:
    """A new organization with a key, whose quotas a test sets."""

    def __init__(self, service: Service, slug: str) -> None:
        self.service, self.slug = service, slug
        made = service.request("POST", "/api/organizations", json={"slug": slug})
        assert made.status_code == 201, made.text
        self.id = made.json()["id"]
        asked = {"name": "a key", "scopes": ["upload", "read", "delete", "admin"]}
        self.key_id, self.key = self.make_key(asked)

    def make_key(self, asked: dict[str, Any]) -> tuple[str, str]:
        made = self.service.request("POST", f"/api/keys?organization={self.slug}", json=asked).json()
        return made["id"], made["key"]

    def limit(self, whose: str, **limits: Any) -> dict[str, Any]:
        address = {
            "workspace": f"/api/workspaces/default?organization={self.slug}",
            "key": f"/api/keys/{self.key_id}?organization={self.slug}",
        }.get(whose, f"/api/organizations/{self.slug}")
        member = "end_user_limits" if whose == "end_user" else "limits"
        answer = self.service.request("PATCH", address, json={member: limits})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def asks(self, method: str, url: str, user: str | None = None, **options: Any) -> httpx.Response:
        headers = {**({"user-id": user} if user else {}), **options.pop("headers", {})}
        return self.service.request(method, url, key=self.key, headers=headers, **options)

    def puts(self, content: Any, path: str = "a.txt", user: str | None = None, **options: Any) -> httpx.Response:
        return self.asks("PUT", f"/api/upload/{path}", user, content=content, **options)

    def kept(self, whose: str) -> dict[str, int]:
        address = {
            "workspace": f"/api/workspaces/default?organization={self.slug}",
            "key": f"/api/keys/{self.key_id}?organization={self.slug}",
        }.get(whose, f"/api/organizations/{self.slug}")
        shown: dict[str, int] = self.service.request("GET", address).json()["usage"]
        return shown


_slugs = (f"{SLUG}{number}" for number in range(10**6))


@pytest.fixture
def tenant(service: Service) -> Tenant:
    return Tenant(service, next(_slugs))


def rows_and_counts(service: Service) -> tuple[dict[str, Usage], dict[str, Usage]]:
    """Return what is recorded, and what counting anew finds."""

    async def read() -> tuple[dict[str, Usage], dict[str, Usage]]:
        database = service._engine.database
        rows = await database.read(usage.list_all)
        return rows, {subject: await database.read(usage.count, subject) for subject in rows}

    found: tuple[dict[str, Usage], dict[str, Usage]] = service._run(read())
    return found


@pytest.mark.parametrize("whose", ["organization", "workspace", "key", "end_user"])
def test_bytes_are_limited_together(tenant: Tenant, whose: str) -> None:
    tenant.limit(whose, max_bytes=10)
    assert tenant.puts(b"123456", "a.txt", "alice").status_code == 201
    assert tenant.puts(b"7890", "b.txt", "alice").status_code == 201
    refused = tenant.puts(b"1", "c.txt", "alice")
    assert refused.status_code == 403
    told = refused.json()
    assert (told["code"], told["limit"], told["subject"]) == ("quota_exceeded", "max_bytes", whose)
    others = tenant.puts(b"1", "bobs.txt", "bob")
    assert others.status_code == (201 if whose == "end_user" else 403)
    assert tenant.asks("DELETE", f"/api/files/path/{'a.txt'}").status_code == 204
    # It can be restored, and so is kept.
    assert tenant.puts(b"1", "c.txt", "alice").status_code == 403


@pytest.mark.parametrize("whose", ["organization", "workspace", "key", "end_user"])
def test_files_are_limited_together(tenant: Tenant, whose: str) -> None:
    tenant.limit(whose, max_files=2)
    first = tenant.puts(b"1", "a.txt", "alice").json()
    assert tenant.puts(b"2", "a.txt", "alice").status_code == 200
    refused = tenant.puts(b"3", "a.txt", "alice")
    assert (refused.status_code, refused.json()["limit"]) == (403, "max_files")
    assert tenant.asks("DELETE", f"/api/files/{first['id']}?permanent=true").status_code == 204
    assert tenant.puts(b"3", "a.txt", "alice").status_code == 201


def test_what_expires_is_rejected_or_trimmed_gives_its_room_back(tenant: Tenant) -> None:
    tenant.limit("organization", max_files=1)
    assert tenant.puts(b"1", "a.txt", params={"expires_in": "1h"}).status_code == 201
    assert tenant.puts(b"1", "b.txt").status_code == 403
    tenant.service.pass_time(hours=2)
    tenant.service.sweep()
    tenant.limit("key", types=["application/pdf"])
    assert tenant.puts(b"MZ" + bytes(99), "b.pdf").status_code == 201
    assert tenant.puts(b"%PDF-1.7", "c.pdf").status_code == 403
    tenant.service.process()
    assert tenant.puts(b"%PDF-1.7", "c.pdf").status_code == 201
    tenant.service.process()
    tenant.service.request("PATCH", f"/api/workspaces/default?organization={tenant.slug}", json={"keep_versions": 1})
    tenant.limit("key", types=None)
    assert tenant.puts(b"%PDF-1.7 again", "c.pdf").status_code == 200, "the version before it goes"


def test_a_quota_below_what_is_kept_takes_nothing_away_and_lets_nothing_in(tenant: Tenant) -> None:
    made = [tenant.puts(b"12345", f"{number}.txt").json()["id"] for number in range(3)]
    shown = tenant.limit("organization", max_bytes=12)
    assert shown["usage"] == {"bytes": 15, "files": 3}
    assert tenant.puts(b"", "empty.txt").status_code == 403
    assert tenant.asks("GET", f"/api/files/{made[0]}/content").status_code == 200
    assert tenant.asks("DELETE", f"/api/files/{made[0]}?permanent=true").status_code == 204
    assert tenant.puts(b"12", "small.txt").status_code == 201
    assert tenant.kept("organization") == {"bytes": 12, "files": 3}
    assert tenant.limit("organization", max_bytes=None)["usage"] is None


def test_a_ticket_is_refused_where_there_is_no_room_and_completion_where_there_is_none_by_then(tenant: Tenant) -> None:
    tenant.limit("key", max_bytes=10)
    assert tenant.asks("POST", "/api/uploads", json={"path": "a.txt", "size": 11}).status_code == 403
    tickets = [tenant.asks("POST", "/api/uploads", json={"path": f"{name}.txt", "size": 6}).json() for name in "ab"]
    for ticket in tickets:
        assert tenant.service.request("PUT", ticket["url"], key=None, content=b"123456").status_code == 200
    completed = [tenant.asks("POST", f"/api/uploads/{ticket['id']}/complete") for ticket in tickets]
    assert [answer.status_code for answer in completed] == [200, 403]
    assert tenant.asks("DELETE", f"/api/files/{tickets[0]['file_id']}?permanent=true").status_code == 204
    assert tenant.asks("POST", f"/api/uploads/{tickets[1]['id']}/complete").status_code == 200


def test_an_upload_that_completes_itself_is_sent_again_once_there_is_room(tenant: Tenant) -> None:
    tenant.limit("workspace", max_bytes=10)
    ticket = tenant.asks("POST", "/api/uploads", json={"path": "a.txt", "auto_complete": True}).json()
    other = tenant.puts(b"1234567890", "b.txt").json()["id"]
    refused = tenant.service.request("PUT", ticket["url"], key=None, content=b"1")
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert tenant.asks("DELETE", f"/api/files/{other}?permanent=true").status_code == 204
    assert tenant.service.request("PUT", ticket["url"], key=None, content=b"1").status_code == 200
    assert tenant.kept("workspace") == {"bytes": 1, "files": 1}


def test_a_body_without_a_length_is_refused_in_the_midst(tenant: Tenant) -> None:
    tenant.limit("organization", max_bytes=1024)
    before = tenant.service.blobs()
    kept_meanwhile: list[int] = []

    async def body() -> Any:
        for _ in range(64):
            kept_meanwhile.append(sum(path.stat().st_size for path in tenant.service.blobs()))
            yield bytes(1024 * 1024)

    assert tenant.puts(body(), "a.bin").status_code == 403
    assert max(kept_meanwhile) <= 32 * 1024 * 1024, "what is drained after the answer is kept nowhere"
    assert tenant.service.blobs() == before


def test_a_batch_of_tickets_is_judged_together(tenant: Tenant) -> None:
    tenant.limit("organization", max_files=3)
    folder = tenant.asks("POST", "/v1/folders", json={"name": "batch"}).json()["id"]

    def asked(count: int) -> int:
        described = [{"name": f"{number}.txt", "size": 1} for number in range(count)]
        return tenant.asks("POST", f"/v1/files/{folder}", json={"filesMetadata": described}).status_code

    assert (asked(4), asked(3)) == (403, 200)


def test_a_repeated_request_is_answered_though_nothing_more_has_room(tenant: Tenant) -> None:
    tenant.limit("key", max_files=1)
    again = {"Idempotency-Key": "one"}
    first = tenant.puts(b"1", headers=again)
    assert tenant.puts(b"1", headers=again).json()["id"] == first.json()["id"]


FLOWS: dict[str, Callable[[Tenant], httpx.Response]] = {
    "native": lambda t: t.puts(b"1"),
    "tickets": lambda t: t.asks("POST", "/api/uploads", json={"path": "a.txt"}),
    "one call": lambda t: t.asks("POST", "/v1/files", files={"file": ("a.txt", b"1")}),
    "organizations": lambda t: t.asks(
        "POST", f"/v1/organizations/{t.slug}/files/upload", files={"file": ("a.txt", b"1")}
    ),
    "workspaces": lambda t: t.asks("PUT", f"/file/v2/orgs/{t.slug}/workspaces/default/files/path/a.txt"),
    "tus": lambda t: t.asks("POST", "/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1"}),
}


@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_tells_of_it_in_its_own_words(tenant: Tenant, flow: str) -> None:
    tenant.limit("organization", max_files=0)
    answer = FLOWS[flow](tenant)
    assert answer.status_code == 403
    assert "quota_exceeded" in answer.text.lower()


def test_many_at_once_do_not_overshoot(tenant: Tenant) -> None:
    tenant.limit("organization", max_files=5)
    tenant.limit("key", max_bytes=1000)

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(tenant.service._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            headers = {"X-API-Key": tenant.key}
            sent = [client.put(f"/api/upload/{number}.txt", content=b"1", headers=headers) for number in range(40)]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    statuses = tenant.service._run(all_at_once())
    assert sorted(statuses) == [201] * 5 + [403] * 35
    assert tenant.kept("organization") == {"bytes": 5, "files": 5}


def test_only_who_has_a_quota_is_counted(tenant: Tenant) -> None:
    before, _counts = rows_and_counts(tenant.service)
    tenant.puts(b"1", user="alice")
    after, _counts = rows_and_counts(tenant.service)
    assert after == before
    tenant.limit("end_user", max_files=5)
    tenant.puts(b"1", user="alice")
    counted, _counts = rows_and_counts(tenant.service)
    assert counted.keys() - before.keys() == {f"end_user:{tenant.id}:alice"}
    tenant.limit("end_user", max_files=None)
    assert rows_and_counts(tenant.service)[0] == before


def test_an_end_user_whose_name_has_a_colon_is_counted_apart(tenant: Tenant) -> None:
    tenant.limit("end_user", max_files=1)
    assert tenant.puts(b"1", "a.txt", "a").status_code == 201
    assert tenant.puts(b"1", "b.txt", "a:b").status_code == 201
    assert tenant.puts(b"1", "c.txt", "a:b").status_code == 403


@pytest.mark.parametrize("seed", range(6))
def test_what_is_counted_is_what_is_kept_after_any_history(tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    paths = [f"folder/{number}.txt" for number in range(4)]
    known: list[str] = []

    def put() -> None:
        answer = tenant.puts(
            bytes(chance.randrange(50)),
            chance.choice(paths),
            chance.choice(USERS),
            params={"expires_in": "1h"} if chance.random() < 0.3 else {},
        )
        assert answer.status_code in (200, 201, 403, 409), answer.text
        known.extend([answer.json()["id"]] if answer.is_success else [])

    def hand_off() -> None:
        answer = tenant.asks("POST", "/api/upload/h.txt", chance.choice(USERS), content=bytes(chance.randrange(50)))
        known.extend([answer.json()["id"]] if answer.is_success else [])

    def upload() -> None:
        asked = {"path": chance.choice(paths), "auto_complete": chance.random() < 0.5}
        ticket = tenant.asks("POST", "/api/uploads", chance.choice(USERS), json=asked)
        if ticket.is_success:
            tenant.service.request("PUT", ticket.json()["url"], key=None, content=bytes(chance.randrange(50)))
            tenant.asks("POST", f"/api/uploads/{ticket.json()['id']}/complete")

    def of_known(method: str, rest: str = "", **options: Any) -> Callable[[], None]:
        def ask() -> None:
            if known:
                answer = tenant.asks(method, f"/api/files/{chance.choice(known)}{rest}", **options)
                assert answer.status_code < 500, answer.text

        return ask

    def end_a_version() -> None:
        if known:
            file = chance.choice(known)
            listed = tenant.asks("GET", f"/api/files/{file}/versions").json().get("versions", [])
            if listed:
                version = chance.choice(listed)["version_id"]
                tenant.asks("DELETE", f"/api/files/{file}/versions/{version}")

    def change_a_limit() -> None:
        whose = chance.choice(["organization", "workspace", "key", "end_user"])
        name, most = chance.choice([("max_files", 15), ("max_bytes", 400)])
        tenant.limit(whose, **{name: chance.choice([None, most, most])})

    def keep_fewer() -> None:
        changes = {"keep_versions": chance.choice([None, 1, 2])}
        tenant.service.request("PATCH", f"/api/workspaces/default?organization={tenant.slug}", json=changes)

    def pass_time() -> None:
        tenant.service.pass_time(hours=chance.choice([1, 40 * 24]))
        tenant.service.sweep()

    moves = [
        *[put] * 6,
        *[hand_off, upload, change_a_limit, tenant.service.process] * 2,
        of_known("DELETE"),
        of_known("DELETE", "?permanent=true"),
        of_known("POST", "/restore"),
        of_known("PATCH", json={"expires_in": "30m"}),
        end_a_version,
        keep_fewer,
        pass_time,
        lambda: tenant.service.scan(fix=True) and None,
    ]
    seen = 0
    for _ in range(60):
        chance.choice(moves)()
        rows, counts = rows_and_counts(tenant.service)
        assert rows == counts
        seen += len(rows)
    assert seen, "nobody was ever counted"
