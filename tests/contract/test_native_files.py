"""The native API's files: inspecting, changing, deleting and listing them, and the errors as problem+json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.edge import fetch
from contract.test_native_uploads import problem

UNKNOWN = "01a1fd9d-19ef-7684-9702-777d6e6cde0f"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return f"{tmp_path.parent.name}/{tmp_path.name}"


@pytest.fixture
def file(http: httpx.Client, folder: str) -> dict[str, Any]:
    made: dict[str, Any] = http.put(f"/api/upload/{folder}/a.txt?expires_in=1h", content=b"abc").json()
    return made


def test_a_change_changes_what_is_given_only(http: httpx.Client, file: dict[str, Any], folder: str) -> None:
    answer = http.patch(f"/api/files/{file['id']}", json={"name": "b.txt", "metadata": {"a": [1]}})
    changed = answer.json()
    assert answer.status_code == 200
    assert (changed["name"], changed["path"], changed["metadata"]) == ("b.txt", f"{folder}/b.txt", {"a": [1]})
    for same in ("id", "version_id", "etag", "created_at", "expires_at", "size", "sha256"):
        assert changed[same] == file[same]
    assert changed["modified_at"] >= file["modified_at"]
    assert http.get(f"/api/files/{file['id']}").json() == changed


def test_both_the_old_and_the_new_url_serve_a_renamed_file(http: httpx.Client, file: dict[str, Any]) -> None:
    renamed = http.patch(f"/api/files/{file['id']}", json={"name": "b.txt"}).json()
    for url in (file["url"], renamed["url"]):
        assert 'filename="b.txt"' in fetch(url).headers["content-disposition"]


def test_an_expiry_can_be_set_moved_and_taken_away(http: httpx.Client, file: dict[str, Any]) -> None:
    path = f"/api/files/{file['id']}"
    assert http.patch(path, json={"expires_at": None}).json()["expires_at"] is None
    at = "2199-01-01T00:00:00.000Z"
    assert http.patch(path, json={"expires_at": at}).json()["expires_at"] == at
    assert http.patch(path, json={"expires_in": 60}).json()["expires_at"] < at


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "invalid_name"),
        ({"name": ".."}, "invalid_name"),
        ({"name": "a\nb"}, "invalid_name"),
        ({"name": "x" * 256}, "invalid_name"),
        ({"name": None}, "invalid_parameter"),
        ({"metadata": [1]}, "invalid_parameter"),
        ({"metadata": {"a": "x" * 20_000}}, "invalid_metadata"),
        ({"expires_in": "x"}, "invalid_expiry"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_expiry"),
        ({"expires_in": "1h", "expires_at": "2199-01-01T00:00:00Z"}, "invalid_expiry"),
        ({"size": 5}, "invalid_parameter"),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(
    http: httpx.Client, file: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    problem(http.patch(f"/api/files/{file['id']}", json=changes), 400, code)
    assert http.get(f"/api/files/{file['id']}").json() == file


def test_a_name_that_makes_the_path_too_long_is_refused(http: httpx.Client, folder: str) -> None:
    deep = "/".join(["x" * 200] * 4)
    file = http.put(f"/api/upload/{deep}/{folder}/a", content=b"").json()
    problem(http.patch(f"/api/files/{file['id']}", json={"name": "y" * 255}), 400, "invalid_name")


def test_a_name_that_is_taken_is_a_conflict(http: httpx.Client, file: dict[str, Any], folder: str) -> None:
    http.put(f"/api/upload/{folder}/b.txt", content=b"b")
    problem(http.patch(f"/api/files/{file['id']}", json={"name": "b.txt"}), 409, "conflict")
    assert http.patch(f"/api/files/{file['id']}", json={"name": "a.txt"}).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b'{"name": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_nonsense_is_the_clients_mistake(http: httpx.Client, file: dict[str, Any], body: bytes) -> None:
    assert http.patch(f"/api/files/{file['id']}", content=body).status_code == 400


def test_a_deleted_file_is_gone_and_frees_its_path(http: httpx.Client, file: dict[str, Any], folder: str) -> None:
    path = f"/api/files/{file['id']}"
    answer = http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(http.delete(path), 404, "not_found")
    problem(http.get(path), 404, "not_found")
    problem(http.patch(path, json={}), 404, "not_found")
    problem(http.get(f"{path}/content"), 404, "not_found")
    problem(fetch(file["url"]), 410, "gone")
    assert http.get("/api/files", params={"prefix": folder}).json()["files"] == []
    fresh = http.put(f"/api/upload/{folder}/a.txt", content=b"new")
    assert fresh.status_code == 201
    assert fresh.json()["id"] != file["id"]
    problem(fetch(file["url"]), 410, "gone")


def test_every_version_of_a_deleted_file_is_gone(http: httpx.Client, file: dict[str, Any], folder: str) -> None:
    newer = http.put(f"/api/upload/{folder}/a.txt", content=b"newer").json()
    http.delete(f"/api/files/{file['id']}")
    assert [fetch(url).status_code for url in (file["url"], newer["url"])] == [410, 410]


@pytest.mark.parametrize("id", [UNKNOWN, "x", "x" * 2000, "%00", "%ff"])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/content")])
def test_an_unknown_id_is_not_found(http: httpx.Client, method: str, path: str, id: str) -> None:
    problem(http.request(method, f"/api/files/{id}{path}", content=b"{}"), 404, "not_found")


def test_the_list_is_by_path_below_a_prefix_and_pages_meet(http: httpx.Client, folder: str) -> None:
    names = ["a", "a b", "a/1", "a/2", "a0", "b", "ä", "報", "\U0001f600", "\uffff", "\ud7ff"]
    for name in names:
        assert http.put(f"/api/upload/{folder}/{name}", content=b"").status_code == 201
    http.post(f"/api/upload/{folder}/b", content=b"")  # a hand-off with the same path as another

    def listed(prefix: str, limit: int) -> list[str]:
        paths: list[str] = []
        cursor = None
        while True:
            parameters = {"prefix": f"{folder}/{prefix}", "limit": limit} | ({"cursor": cursor} if cursor else {})
            page = http.get("/api/files", params=parameters).json()
            assert len(page["files"]) <= limit
            paths += [file["path"].removeprefix(folder + "/") for file in page["files"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return paths

    everything = sorted([*names, "b"], key=lambda name: name.encode())
    for limit in (1, 2, 5, 1000):
        assert listed("", limit) == everything
    for prefix in ("a", "a/", "ä", "\uffff", "\U0001f600", "nothing"):
        assert listed(prefix, 2) == [name for name in everything if name.startswith(prefix)]


def test_a_prefix_may_end_below_the_surrogates(http: httpx.Client) -> None:
    assert http.get("/api/files", params={"prefix": "\ud7ff"}).json()["files"] == []


def test_wildcards_in_a_prefix_are_letters(http: httpx.Client, file: dict[str, Any], folder: str) -> None:
    for prefix in (f"{folder[:-1]}_", f"{folder[:-1]}%", "*", "%"):
        assert http.get("/api/files", params={"prefix": prefix}).json()["files"] == []


@pytest.mark.parametrize(
    "parameters", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "WyJhIl0"}], ids=str
)
def test_a_page_that_cannot_be_is_refused(http: httpx.Client, parameters: dict[str, str]) -> None:
    assert "parameter" in problem(http.get("/api/files", params=parameters), 400, "invalid_parameter")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_misspelt_parameter_of_an_upload_is_told(http: httpx.Client, method: str) -> None:
    refused = http.request(method, "/api/upload/a.txt?expires_after_fetchs=1", content=b"x")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "expires_after_fetchs")
    assert "expires_after_fetches" in refused.json()["detail"]


def test_an_unknown_address_and_method_are_told(http: httpx.Client) -> None:
    problem(http.get("/api/nothing"), 404, "not_found")
    assert http.get("/").json()["service"] == "fileferry"
    answer = http.put("/api/keys", content=b"")
    problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
