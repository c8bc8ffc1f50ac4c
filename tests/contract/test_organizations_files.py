"""The organizations flow: listing, inspecting and deleting files, and who may do what in which organization."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from contract.edge import fetch
from contract.organization import PDF, Tenant, answered, deliver, refusal
from support.live_server import LiveServer


@pytest.fixture
def tenant(http: httpx.Client) -> Tenant:
    """An organization with nothing in it."""
    return Tenant.new(http)


@pytest.fixture
def stranger(tenant: Tenant, server: LiveServer) -> Iterator[Tenant]:
    """The organization as seen with the key of another one."""
    with Tenant.new(tenant.http).client(server, "admin") as other:
        yield tenant.seen_by(other)


def test_an_organization_without_files_has_one_empty_page(tenant: Tenant) -> None:
    assert tenant.list() == {"files": [], "total": 0, "page": 1, "limit": 50, "has_more": False}


def test_files_are_listed_in_pages_newest_first(tenant: Tenant) -> None:
    made = [tenant.upload(name=f"{number}.pdf") for number in range(5)]
    newest_first = made[::-1]
    pages = [tenant.list(page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [page["files"] for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:], []]
    assert [page["has_more"] for page in pages] == [True, True, False, False]
    assert {page["total"] for page in pages} == {5}
    assert [(page["page"], page["limit"]) for page in pages] == [(1, 2), (2, 2), (3, 2), (4, 2)]


def test_registered_and_direct_uploads_are_in_one_list(tenant: Tenant) -> None:
    registered, direct = tenant.put(), tenant.upload()
    assert tenant.list()["files"] == [direct, registered]


@pytest.mark.parametrize("name", ["page", "limit"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "²", "99999999999"])
def test_a_page_that_cannot_be_is_refused(tenant: Tenant, name: str, value: str) -> None:
    answer = tenant.http.get(tenant.files, params={name: value})
    assert refusal(answer) == (400, "INVALID_FIELD_VALUE", {"field": name, "value": value})


def test_a_page_has_at_most_a_hundred_files(tenant: Tenant) -> None:
    assert tenant.list(limit=100)["limit"] == 100
    assert refusal(tenant.http.get(tenant.files, params={"limit": 101}))[0] == 400


def test_a_deleted_file_is_gone_everywhere(tenant: Tenant) -> None:
    file = tenant.put()
    deleted = tenant.deletes(file["id"])
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert refusal(tenant.gets(file["id"]))[:2] == (404, "NOT_FOUND")
    assert refusal(tenant.deletes(file["id"]))[:2] == (404, "NOT_FOUND")
    assert fetch(file["url"]).status_code == 410
    assert tenant.list()["total"] == 0


def test_an_unknown_file_is_not_found(tenant: Tenant) -> None:
    for file_id in (str(uuid.uuid4()), "nonsense", "file_abc123"):
        assert refusal(tenant.gets(file_id))[:2] == (404, "NOT_FOUND")
        assert refusal(tenant.deletes(file_id))[:2] == (404, "NOT_FOUND")


def test_a_file_says_who_made_it(tenant: Tenant, server: LiveServer) -> None:
    key = {"name": "press", "scopes": ["upload"], "user": {"name": "Ada"}}
    made = tenant.http.post("/api/keys", json=key, params={"organization": tenant.slug}).json()
    with server.client(made["key"]) as http:
        ada = tenant.seen_by(http)
        for file in (ada.put(), ada.upload()):
            assert file["created_by"] == file["createdBy"] == made["user_id"]


def test_another_organization_is_denied_like_one_that_is_not_there(stranger: Tenant) -> None:
    nowhere = Tenant(stranger.http, "", "org_nowhere")
    for tenant in (stranger, nowhere):
        expected = (403, "ORGANIZATION_ACCESS_DENIED", {"organization_id": tenant.slug})
        assert refusal(tenant.asks()) == expected
        assert refusal(tenant.registers({"gcs_path": "files/a/b/c"})) == expected
        assert refusal(tenant.uploads()) == expected
        assert refusal(tenant.http.get(tenant.files)) == expected
        assert refusal(tenant.gets(str(uuid.uuid4()))) == expected
        assert refusal(tenant.deletes(str(uuid.uuid4()))) == expected


def test_the_denial_is_in_the_words_of_the_flow(stranger: Tenant) -> None:
    error = stranger.asks().json()["error"]
    assert error["message"] == "You do not have access to this organization"
    assert error["type"] == "client_error"


def test_the_root_key_is_denied_an_organization_that_is_not_there(http: httpx.Client) -> None:
    assert refusal(Tenant(http, "", "org_nowhere").asks())[:2] == (403, "ORGANIZATION_ACCESS_DENIED")


def test_files_of_one_organization_are_not_found_through_another(tenant: Tenant) -> None:
    file = tenant.put()
    other = Tenant.new(tenant.http)
    assert refusal(other.gets(file["id"]))[:2] == (404, "NOT_FOUND")
    assert refusal(other.deletes(file["id"]))[:2] == (404, "NOT_FOUND")
    assert other.list()["total"] == 0
    assert tenant.gets(file["id"]).status_code == 200


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "api-key"])
def test_the_key_goes_in_any_of_its_headers(tenant: Tenant, server: LiveServer, header: str) -> None:
    headers = {header: server.root_key}
    assert httpx.get(f"{server.url}{tenant.files}", headers=headers, trust_env=False).status_code == 200


def test_without_a_good_key_nothing_is_told(tenant: Tenant, server: LiveServer) -> None:
    for address in (tenant.files, "/v1/organizations/org_nowhere/files"):
        for headers in ({}, {"X-API-Key": "ff_wrong"}):
            answer = httpx.get(f"{server.url}{address}", headers=headers, trust_env=False)
            assert refusal(answer)[:2] == (401, "UNAUTHORIZED")
            assert answer.headers["www-authenticate"]


def test_each_call_needs_its_scope(tenant: Tenant, server: LiveServer) -> None:
    file = tenant.put()
    session = tenant.ask()
    deliver(session, PDF)
    with tenant.client(server, "read") as http:
        reader = tenant.seen_by(http)
        assert reader.gets(file["id"]).status_code == 200
        assert reader.list()["total"] == 1
        for answer in (reader.asks(), reader.uploads(), reader.registers(session), reader.deletes(file["id"])):
            assert refusal(answer)[:2] == (403, "FORBIDDEN")
    with tenant.client(server, "upload") as http:
        uploader = tenant.seen_by(http)
        assert answered(uploader.registers(session), 201)["id"] == session["file_id"]
        assert uploader.uploads().status_code == 201
        for answer in (uploader.gets(file["id"]), uploader.http.get(tenant.files), uploader.deletes(file["id"])):
            assert refusal(answer)[:2] == (403, "FORBIDDEN")
    with tenant.client(server, "delete") as http:
        assert tenant.seen_by(http).deletes(file["id"]).status_code == 204


def test_what_is_not_here_is_told_in_the_same_envelope(tenant: Tenant) -> None:
    assert refusal(tenant.http.get(f"{tenant.files}/a/b"))[:2] == (404, "NOT_FOUND")
    wrong = tenant.http.put(tenant.files)
    assert refusal(wrong)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in wrong.headers["allow"]


def test_the_request_id_that_was_sent_is_the_trace_id(tenant: Tenant) -> None:
    answer = tenant.http.get(f"{tenant.files}/nonsense", headers={"X-Request-Id": "trace-7"})
    assert answer.json()["error"]["trace_id"] == "trace-7"
