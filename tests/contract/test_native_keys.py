"""Keys and organizations over the native API: what a key may do, when it ends, and that tenants never see each other."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.edge import eventually, fetch
from contract.test_native_uploads import problem
from fileferry.engine.access.keys import is_well_formed
from support.live_server import LiveServer


def make_key(http: httpx.Client, *scopes: str, organization: str | None = None, **more: Any) -> dict[str, Any]:
    parameters = {"organization": organization} if organization else {}
    answer = http.post("/api/keys", json={"name": "a key", "scopes": scopes, **more}, params=parameters)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def status_with(server: LiveServer, key: str, method: str = "GET", path: str = "/api/files", **more: Any) -> int:
    with server.client(key) as http:
        return http.request(method, path, **more).status_code


def test_a_new_key_is_described_and_its_secret_shown_once(http: httpx.Client) -> None:
    made = make_key(http, "upload", "read")
    assert re.fullmatch(r"ff_[0-9A-Za-z]{43,}", made["key"])
    assert is_well_formed(made["key"])
    assert made["key"].startswith(made["prefix"])
    assert len(made["prefix"]) < 16
    assert sorted(made["scopes"]) == ["read", "upload"]
    assert (made["expires_at"], made["revoked_at"]) == (None, None)
    shown = http.get(f"/api/keys/{made['id']}")
    assert shown.json() == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in http.get("/api/keys?limit=1000").text


@pytest.mark.parametrize("scope", ["upload", "read", "delete", "admin"])
def test_a_scope_opens_its_verbs_and_no_others(http: httpx.Client, server: LiveServer, scope: str) -> None:
    file = http.put(f"/api/upload/{uuid.uuid4()}", content=b"abc").json()
    key = make_key(http, scope)["key"]
    verbs = [
        ("upload", "PUT", "/api/upload/by-scope"),
        ("upload", "POST", "/api/upload/by-scope"),
        ("read", "GET", "/api/files"),
        ("read", "GET", "/v1/files"),
        ("read", "GET", f"/api/files/{file['id']}"),
        ("read", "GET", f"/v1/files/{file['id']}"),
        ("read", "GET", f"/api/files/{file['id']}/content"),
        ("admin", "GET", "/api/keys"),
        ("admin", "POST", "/api/keys"),
        ("delete", "DELETE", f"/api/files/{file['id']}"),
    ]
    bodies = {"POST": b'{"name": "a", "scopes": ["read"]}'}
    for needed, method, path in verbs:
        status = status_with(server, key, method, path, content=bodies.get(method, b""))
        assert (status == 403) == (scope not in (needed, "admin")), (scope, method, path, status)
        assert status < 500


def test_a_change_shows_the_file_and_so_needs_both_scopes(http: httpx.Client, server: LiveServer) -> None:
    file = http.put(f"/api/upload/{uuid.uuid4()}", content=b"abc").json()
    for scopes, status in ((["upload"], 403), (["read"], 403), (["upload", "read"], 200)):
        key = make_key(http, *scopes)["key"]
        assert status_with(server, key, "PATCH", f"/api/files/{file['id']}", content=b"{}") == status


def test_only_the_root_key_makes_organizations(http: httpx.Client, server: LiveServer) -> None:
    with server.client(make_key(http, "admin")["key"]) as admin:
        problem(admin.post("/api/organizations", json={"slug": "mine"}), 403, "forbidden")


def test_a_revoked_key_ends_at_once(http: httpx.Client, server: LiveServer) -> None:
    made = make_key(http, "read")
    assert status_with(server, made["key"]) == 200
    answer = http.delete(f"/api/keys/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert status_with(server, made["key"]) == 401
    assert http.get(f"/api/keys/{made['id']}").json()["revoked_at"]
    problem(http.post(f"/api/keys/{made['id']}/rotate", json={}), 404, "not_found")


def test_a_rotated_key_has_a_new_secret_and_the_old_one_ends(http: httpx.Client, server: LiveServer) -> None:
    made = make_key(http, "read")
    renewed = http.post(f"/api/keys/{made['id']}/rotate")
    assert renewed.status_code == 201
    assert renewed.json()["id"] == made["id"]
    assert [status_with(server, key) for key in (made["key"], renewed.json()["key"])] == [401, 200]


def test_a_rotated_key_is_good_for_its_grace(http: httpx.Client, server: LiveServer) -> None:
    made = make_key(http, "read")
    # In real time: a server in a process of its own has a clock of its own.
    renewed = http.post(f"/api/keys/{made['id']}/rotate", json={"grace": "2s"}).json()
    assert [status_with(server, key) for key in (made["key"], renewed["key"])] == [200, 200]
    eventually(lambda: status_with(server, made["key"]) == 401)
    assert status_with(server, renewed["key"]) == 200


def test_revoking_ends_the_secret_that_was_in_grace_too(http: httpx.Client, server: LiveServer) -> None:
    made = make_key(http, "read")
    renewed = http.post(f"/api/keys/{made['id']}/rotate", json={"grace": "1h"}).json()
    http.delete(f"/api/keys/{made['id']}")
    assert [status_with(server, key) for key in (made["key"], renewed["key"])] == [401, 401]


def test_an_expired_key_is_unauthorized(http: httpx.Client, server: LiveServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    made = make_key(http, "read", expires_in="1s")
    assert made["expires_at"] > made["created_at"]
    eventually(lambda: status_with(server, made["key"]) == 401)


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["root"]},
        {"name": "a", "scopes": "read"},
        {"name": "", "scopes": ["read"]},
        {"name": "x" * 256, "scopes": ["read"]},
        {"scopes": ["read"]},
        {"name": "a", "scopes": ["read"], "key": "ff_mine"},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_is_refused(http: httpx.Client, asked: dict[str, Any]) -> None:
    problem(http.post("/api/keys", json=asked), 400, "invalid_parameter")


@pytest.mark.parametrize("expires_in", ["x", "0", -1])
def test_a_key_needs_a_life_that_can_be(http: httpx.Client, expires_in: Any) -> None:
    answer = http.post("/api/keys", json={"name": "a", "scopes": ["read"], "expires_in": expires_in})
    problem(answer, 400, "invalid_expiry")


def test_keys_are_listed_in_pages(http: httpx.Client, organization: dict[str, Any]) -> None:
    made = [make_key(http, "read", organization=organization["slug"])["id"] for _ in range(5)]
    listed: list[str] = []
    parameters: dict[str, Any] = {"organization": organization["slug"], "limit": 2}
    while True:
        page = http.get("/api/keys", params=parameters).json()
        listed += [key["id"] for key in page["keys"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert listed == made


@pytest.fixture
def organization(http: httpx.Client, tmp_path: Path) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]", "-", f"{tmp_path.parent.name}-{tmp_path.name}".lower())[-60:].strip("-")
    answer = http.post("/api/organizations", json={"slug": slug})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_an_organization_is_found_by_id_and_slug(http: httpx.Client, organization: dict[str, Any]) -> None:
    assert organization["is_default"] is False
    for name in (organization["id"], organization["slug"]):
        assert http.get(f"/api/organizations/{name}").json() == organization
    assert organization in http.get("/api/organizations?limit=1000").json()["organizations"]
    problem(http.post("/api/organizations", json={"slug": organization["slug"]}), 409, "conflict")
    problem(http.post("/api/organizations", json={"slug": "other-a", "id": organization["id"]}), 409, "conflict")


def test_an_organization_may_bring_its_id(http: httpx.Client) -> None:
    id = str(uuid.uuid4())
    made = http.post("/api/organizations", json={"slug": f"o{id[:8]}", "name": "Örg", "id": id.upper()}).json()
    assert (made["id"], made["name"]) == (id, "Örg")


@pytest.mark.parametrize(
    "slug", ["", "A", "-a", "a-", "a b", "a/b", "ä", "a" * 65, "..", "a.b", "a\n", str(uuid.UUID(int=7)), "7" * 32]
)
def test_a_slug_that_cannot_be_is_refused(http: httpx.Client, slug: str) -> None:
    problem(http.post("/api/organizations", json={"slug": slug}), 400, "invalid_parameter")


def test_a_slug_of_the_published_form_is_taken(http: httpx.Client) -> None:
    slug = f"org_{uuid.uuid4().hex[:8]}"
    assert http.post("/api/organizations", json={"slug": slug}).status_code == 201


def test_one_organization_never_sees_another(
    http: httpx.Client, server: LiveServer, organization: dict[str, Any]
) -> None:
    ours = http.put(f"/api/upload/{organization['slug']}/ours", content=b"ours").json()
    our_key = make_key(http, "admin")
    their_key = make_key(http, "admin", organization=organization["slug"])
    assert their_key["organization_id"] == organization["id"]
    with server.client(their_key["key"]) as theirs:
        made = theirs.put(f"/api/upload/{organization['slug']}/ours", content=b"theirs")
        assert made.status_code == 201
        assert made.json()["organization_id"] == organization["id"]
        for method, path in [
            ("GET", f"/api/files/{ours['id']}"),
            ("GET", f"/api/files/{ours['id']}/content"),
            ("PATCH", f"/api/files/{ours['id']}"),
            ("DELETE", f"/api/files/{ours['id']}"),
            ("GET", f"/api/keys/{our_key['id']}"),
            ("DELETE", f"/api/keys/{our_key['id']}"),
            ("POST", f"/api/keys/{our_key['id']}/rotate"),
            ("GET", "/api/organizations/default"),
            ("GET", f"/api/organizations/{ours['organization_id']}"),
            ("GET", "/api/files?organization=default"),
            ("PUT", "/api/upload/x?organization=default"),
            ("PUT", f"/api/upload/x?workspace={ours['workspace_id']}"),
            ("GET", f"/api/files?workspace={ours['workspace_id']}"),
        ]:
            problem(theirs.request(method, path, content=b"{}"), 404, "not_found")
        for method in ("GET", "DELETE"):
            answer = theirs.request(method, f"/v1/files/{ours['id']}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert [file["id"] for file in theirs.get("/v1/files").json()["files"] if "id" in file] == []
        assert [file["file_id"] for file in theirs.get("/v1/files").json()["files"]] == [made.json()["id"]]
        assert [file["id"] for file in theirs.get("/api/files").json()["files"]] == [made.json()["id"]]
        assert [key["id"] for key in theirs.get("/api/keys").json()["keys"]] == [their_key["id"]]
        assert theirs.get("/api/organizations").json()["organizations"] == [organization]
        # A page of theirs cannot be begun at a cursor of ours, nor an Idempotency-Key of ours be asked about.
        cursor = http.get("/api/files?limit=1").json()["next_cursor"]
        assert ours["id"] not in theirs.get("/api/files", params={"cursor": cursor}).text
    assert fetch(ours["url"]).content == b"ours"
    assert http.get(f"/api/files/{ours['id']}").status_code == 200


def test_an_idempotency_key_is_of_one_key_only(http: httpx.Client, server: LiveServer, tmp_path: Path) -> None:
    headers = {"Idempotency-Key": str(tmp_path)}
    ids = set()
    for secret in (make_key(http, "upload")["key"], make_key(http, "upload")["key"]):
        with server.client(secret) as client:
            ids.add(client.post("/api/upload/a", content=b"abc", headers=headers).json()["id"])
    assert len(ids) == 2
