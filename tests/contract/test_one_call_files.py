"""Inspecting, listing and deleting in the one-call flow, and its errors: one envelope with the documented codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import fetch, file_part, nothing_left, send_form
from support.live_server import LiveServer

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

UNKNOWN = "01a1fd9d-19ef-7684-9702-777d6e6cde0f"


def upload(http: httpx.Client, content: bytes = b"abc", **fields: Any) -> dict[str, Any]:
    answer = http.post("/v1/files", files={"file": ("a.txt", content)}, data=fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"], error["retry"]


def test_the_list_is_newest_first_and_pages_are_stable_under_inserts(make_server: MakeServer) -> None:
    server = make_server()
    with server.client() as http:
        uploaded = [upload(http, str(number).encode())["file_id"] for number in range(7)]
        first = http.get("/v1/files?limit=3").json()
        upload(http, b"meanwhile")
        second = http.get("/v1/files", params={"limit": 3, "cursor": first["next_cursor"]}).json()
        upload(http, b"again")
        third = http.get("/v1/files", params={"limit": 3, "cursor": second["next_cursor"]}).json()
    pages = [first, second, third]
    assert [file["file_id"] for page in pages for file in page["files"]] == uploaded[::-1]
    assert [len(page["files"]) for page in pages] == [3, 3, 1]
    assert third["next_cursor"] is None


def test_a_full_last_page_says_that_it_is_the_last(make_server: MakeServer) -> None:
    with make_server().client() as http:
        assert http.get("/v1/files").json() == {"files": [], "next_cursor": None}
        upload(http)
        assert http.get("/v1/files?limit=1").json()["next_cursor"] is None


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "٣", "1" * 30])
def test_a_limit_is_a_number_from_1_to_1000(http: httpx.Client, limit: str) -> None:
    assert error_of(http.get("/v1/files", params={"limit": limit})) == (400, "invalid_parameter", "never")


@pytest.mark.parametrize("cursor", ["x", "!!!!", "W10", "WyJhIiwiYiJd", "WyJcdWQ4MDAiXQ", "\x00", "é", "a" * 3000])
def test_a_cursor_that_was_not_handed_out_is_refused(http: httpx.Client, cursor: str) -> None:
    assert error_of(http.get("/v1/files", params={"cursor": cursor})) == (400, "invalid_parameter", "never")


def test_deleting_ends_access_at_once_and_deleting_again_finds_nothing(http: httpx.Client) -> None:
    file = upload(http)
    answer = http.delete(f"/v1/files/{file['file_id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert fetch(file["url"]).status_code == 410
    assert error_of(http.delete(f"/v1/files/{file['file_id']}")) == (404, "not_found", "never")
    assert error_of(http.get(f"/v1/files/{file['file_id']}")) == (404, "not_found", "never")
    assert file["file_id"] not in [found["file_id"] for found in http.get("/v1/files").json()["files"]]


@pytest.mark.parametrize("id", [UNKNOWN, "x", "x" * 2000, "%00", "..%2f..", "%ff", "0"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_id_is_not_found(http: httpx.Client, method: str, id: str) -> None:
    assert error_of(http.request(method, f"/v1/files/{id}")) == (404, "not_found", "never")


def test_a_request_id_is_echoed_or_made(http: httpx.Client) -> None:
    for path in ("/v1/files", f"/v1/files/{UNKNOWN}", "/v1/nothing", "/healthz"):
        assert http.get(path, headers={"X-Request-Id": "job-17/a"}).headers["x-request-id"] == "job-17/a"
        assert len(http.get(path).headers["x-request-id"]) >= 16
    error = http.get(f"/v1/files/{UNKNOWN}", headers={"X-Request-Id": "job-17/a"}).json()["error"]
    assert error["request_id"] == "job-17/a"


@pytest.mark.parametrize("id", ["x" * 129, "a b", '"', "<a>", "a;b"])
def test_a_request_id_that_could_do_harm_is_replaced(http: httpx.Client, id: str) -> None:
    answer = http.get(f"/v1/files/{UNKNOWN}", headers={"X-Request-Id": id})
    assert answer.headers["x-request-id"] != id
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_each_documented_code_is_answered_in_the_envelope(make_server: MakeServer) -> None:
    server = make_server(max_file_size="1KB")
    with server.client() as http:
        gone = upload(http, expires_in="1")
        reader = http.post("/api/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
        with server.client(reader) as weak, server.client("ff_nobody") as nobody:
            answers = {
                "unauthorized": send_form(nobody, file_part(b"a")),
                "forbidden": send_form(weak, file_part(b"a")),
                "missing_file": send_form(http),
                "invalid_expiry": http.post("/v1/files", files={"file": b"a"}, data={"expires_in": "x"}),
                "file_too_large": send_form(http, file_part(bytes(1001))),
                "unsupported_type": http.post("/v1/files", content=b"a", headers={"Content-Type": "text/plain"}),
                "not_found": http.get(f"/v1/files/{UNKNOWN}"),
                "method_not_allowed": http.put("/v1/files", content=b""),
            }
            while (last := http.get(f"/v1/files/{gone['file_id']}")).status_code == 200:
                pass
            answers["gone"] = last
    found = {code: error_of(answer) for code, answer in answers.items()}
    assert found == {
        "unauthorized": (401, "unauthorized", "never"),
        "forbidden": (403, "forbidden", "never"),
        "missing_file": (400, "missing_file", "never"),
        "invalid_expiry": (400, "invalid_expiry", "never"),
        "file_too_large": (413, "file_too_large", "never"),
        "unsupported_type": (415, "unsupported_type", "never"),
        "not_found": (404, "not_found", "never"),
        "method_not_allowed": (405, "method_not_allowed", "never"),
        "gone": (410, "gone", "never"),
    }
    assert answers["unauthorized"].headers["www-authenticate"].startswith("Bearer")
    nothing_left(server)


def test_the_host_of_the_request_or_the_base_url_is_in_the_url(http: httpx.Client, make_server: MakeServer) -> None:
    answer = http.post("/v1/files", files={"file": b"a"}, headers={"Host": "files.example:81"})
    assert answer.json()["url"].startswith("http://files.example:81/f/")
    with make_server(base_url="https://files.example/under/").client() as fixed:
        assert upload(fixed)["url"].startswith("https://files.example/under/f/")


def test_a_key_is_taken_in_every_form(server: LiveServer) -> None:
    key = server.root_key
    forms: list[dict[str, str]] = [
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer {key}"},
        {"Authorization": key},
        {"X-API-Key": key},
        {"api-key": key},
        {"X-API-Key": key, "api-key": key, "Authorization": f"Bearer {key}"},
    ]
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        assert [http.get("/v1/files", headers=form).status_code for form in forms] == [200] * len(forms)


def test_credentials_that_disagree_are_refused(server: LiveServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {server.root_key}", "X-API-Key": "ff_other"}
        assert error_of(http.get("/v1/files", headers=headers)) == (400, "conflicting_credentials", "never")
        of_signed = http.get("/v1/files/signed-url?filename=a.txt", headers={**headers, "user-id": "alice"})
        assert (of_signed.status_code, "more than one API key" in of_signed.json()["detail"]) == (400, True)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic dXNlcjpwYXNz", "Bearer ff_nobody", "Bearer \xff\xfe"])
def test_no_usable_credential_is_unauthorized(server: LiveServer, header: str) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        answer = http.get("/v1/files", headers=[(b"Authorization", header.encode("latin-1"))])
        assert error_of(answer) == (401, "unauthorized", "never")
