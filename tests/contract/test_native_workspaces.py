"""Workspaces and versions over the native API: paths, versions by number, deleting and restoring, moving, what is kept."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from contract.edge import eventually, fetch, nothing_left
from contract.test_native_keys import make_key
from contract.test_native_uploads import problem
from support.live_server import LiveServer, MakeServer

UNKNOWN = "01a1fd9d-19ef-7684-9702-777d6e6cde0f"
LARGER_THAN_A_ROW = 100_000

Put = Callable[..., dict[str, Any]]


@pytest.fixture
def workspace(http: httpx.Client) -> dict[str, Any]:
    """A workspace that is the test's own."""
    answer = http.post("/api/workspaces", json={"name": f"w {uuid.uuid4()} ü"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
def put(http: httpx.Client, workspace: dict[str, Any]) -> Put:
    """Uploads bytes to a path of the workspace."""

    def upload(path: str, content: bytes, **parameters: str) -> dict[str, Any]:
        where = {"workspace": workspace["id"], **parameters}
        answer = http.put(f"/api/upload/{quote(path)}", params=where, content=content)
        assert answer.is_success, answer.text
        file: dict[str, Any] = answer.json()
        return file

    return upload


def at(http: httpx.Client, workspace: dict[str, Any], path: str, **parameters: str) -> httpx.Response:
    return http.get(f"/api/files/path/{quote(path)}", params={"workspace": workspace["name"], **parameters})


def versions_of(http: httpx.Client, file: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"/api/files/{file['id']}/versions").json()["versions"]
    return found


def listed(http: httpx.Client, workspace: dict[str, Any], **parameters: str) -> list[str]:
    files = http.get("/api/files", params={"workspace": workspace["id"], **parameters}).json()["files"]
    return [file["path"] for file in files]


def ticket_for(http: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = http.post("/api/uploads", json=asked)
    assert answer.status_code == 201, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


def send(ticket: dict[str, Any], content: bytes) -> None:
    assert httpx.put(ticket["url"], content=content, trust_env=False).status_code == 200


def test_a_workspace_is_found_by_id_and_name_and_listed(http: httpx.Client, workspace: dict[str, Any]) -> None:
    assert (workspace["is_default"], workspace["keep_versions"], workspace["keep_versions_for"]) == (False, None, None)
    for name in (workspace["id"], workspace["name"], workspace["id"].upper()):
        assert http.get(f"/api/workspaces/{quote(name)}").json() == workspace
    pages, cursor = [], ""
    while cursor is not None:
        page = http.get("/api/workspaces", params={"limit": 3, "cursor": cursor}).json()
        cursor = page["next_cursor"]
        pages += page["workspaces"]
    assert workspace in pages
    assert len({found["id"] for found in pages}) == len(pages)
    assert [found["name"] for found in pages if found["is_default"]] == ["default"]


def test_a_workspace_may_bring_its_id_and_what_it_keeps(http: httpx.Client) -> None:
    id = str(uuid.uuid4())
    asked = {"name": f"w-{id[:8]}", "id": id.upper(), "keep_versions": 3, "keep_versions_for": "30d"}
    made = http.post("/api/workspaces", json=asked).json()
    assert (made["id"], made["keep_versions"], made["keep_versions_for"]) == (id, 3, 30 * 86400)
    for again in ({"name": f"v-{id[:8]}", "id": id}, {"name": asked["name"]}):
        problem(http.post("/api/workspaces", json=again), 409, "conflict")


def test_what_a_workspace_keeps_can_be_changed(http: httpx.Client, workspace: dict[str, Any]) -> None:
    address = f"/api/workspaces/{workspace['id']}"
    assert http.patch(address, json={"keep_versions": 5}).json() == workspace | {"keep_versions": 5}
    changed = http.patch(address, json={"keep_versions_for": 3600, "keep_versions": None}).json()
    assert changed == workspace | {"keep_versions_for": 3600}
    assert http.patch(address, json={"keep_versions_for": None}).json() == workspace
    assert http.patch(address, json={}).json() == workspace


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "invalid_parameter"),
        ({"name": ""}, "invalid_parameter"),
        ({"name": "a/b"}, "invalid_parameter"),
        ({"name": "a:b"}, "invalid_parameter"),
        ({"name": UNKNOWN}, "invalid_parameter"),
        ({"name": "a", "id": "b"}, "invalid_parameter"),
        ({"name": "a", "keep_versions": 0}, "invalid_parameter"),
        ({"name": "a", "keep_versions": "2"}, "invalid_parameter"),
        ({"name": "a", "keep_versions_for": "soon"}, "invalid_expiry"),
        ({"name": "a", "keep": 1}, "invalid_parameter"),
    ],
)
def test_a_workspace_that_cannot_be_is_refused(http: httpx.Client, asked: dict[str, Any], code: str) -> None:
    problem(http.post("/api/workspaces", json=asked), 400, code)


def test_a_workspace_is_of_one_organization_and_made_by_its_administrators(
    http: httpx.Client, server: LiveServer, workspace: dict[str, Any]
) -> None:
    slug = f"o{uuid.uuid4().hex}"
    organization = http.post("/api/organizations", json={"slug": slug}).json()
    name = workspace["name"]
    theirs = http.post("/api/workspaces", params={"organization": slug}, json={"name": name}).json()
    assert theirs["organization_id"] == organization["id"]
    assert http.get(f"/api/workspaces/{quote(name)}", params={"organization": slug}).json() == theirs
    with server.client(make_key(http, "admin", organization=slug)["key"]) as other:
        problem(other.get(f"/api/workspaces/{workspace['id']}"), 404, "not_found")
        problem(other.patch(f"/api/workspaces/{workspace['id']}", json={"keep_versions": 1}), 404, "not_found")
        assert other.get(f"/api/workspaces/{quote(name)}").json() == theirs
        problem(other.get("/api/files/path/a", params={"workspace": workspace["id"]}), 404, "not_found")
    with server.client(make_key(http, "upload", "read", "delete")["key"]) as worker:
        assert worker.get(f"/api/workspaces/{workspace['id']}").json() == workspace
        problem(worker.post("/api/workspaces", json={"name": "a"}), 403, "forbidden")
        problem(worker.patch(f"/api/workspaces/{workspace['id']}", json={"keep_versions": 1}), 403, "forbidden")


@pytest.mark.parametrize("path", ["a.txt", "Berichte 2026/ü ø.pdf", "100%/a+b&c=d?e#f.txt", "%2F/%41", "a/" * 30 + "b"])
def test_a_file_is_found_at_its_path_as_it_was_written(
    http: httpx.Client, workspace: dict[str, Any], put: Put, path: str
) -> None:
    file = put(path, b"abc")
    assert file["path"] == path
    assert at(http, workspace, path).json() == file
    assert http.get(f"/api/files/path/{quote(path, safe='')}", params={"workspace": workspace["id"]}).json() == file
    problem(at(http, workspace, path.swapcase()), 404, "not_found")
    problem(http.get(f"/api/files/path/{quote(path)}"), 404, "not_found")


@pytest.mark.parametrize("path", ["a//b", "a/%2e/b", "a/%2e%2e/b", "a%00", "%ff", "x" * 256, "a/"])
def test_a_path_that_cannot_be_is_a_clear_400(http: httpx.Client, path: str) -> None:
    for method in ("GET", "DELETE"):
        target = f"/api/files/path/{path}".encode()
        request = http.build_request(method, "/")
        request.url = request.url.copy_with(raw_path=target)
        problem(http.send(request), 400, "invalid_name")


def test_versions_are_told_and_served_by_their_number(http: httpx.Client, put: Put, workspace: dict[str, Any]) -> None:
    files = [put("a.txt", body) for body in (b"1", b"22", b"333")]
    file = files[-1]
    assert len({one["id"] for one in files}) == 1
    versions = versions_of(http, file)
    assert [version["version_id"] for version in versions] == [one["version_id"] for one in reversed(files)]
    assert [version["is_current"] for version in versions] == [True, False, False]
    for version, one, body in zip(versions, reversed(files), (b"333", b"22", b"1"), strict=True):
        assert {name: version[name] for name in ("size", "etag", "url", "sha256", "crc32c")} == {
            name: one[name] for name in ("size", "etag", "url", "sha256", "crc32c")
        }
        chosen = {"version_id": version["version_id"]}
        by_id = http.get(f"/api/files/{file['id']}", params=chosen).json()
        assert (by_id["size"], by_id["version_id"]) == (len(body), version["version_id"])
        assert at(http, workspace, "a.txt", **chosen).json() == by_id
        assert http.get(f"/api/files/{file['id']}/content", params=chosen).content == body
        assert fetch(version["url"]).content == body
    assert http.get(f"/api/files/{file['id']}/content").content == b"333"


def test_numbers_grow_over_all_files_of_a_workspace(put: Put) -> None:
    numbers = [int(put(path, b"x")["version_id"]) for path in ("a", "b", "a", "c", "b")]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("number", ["0", "1", str(2**63 - 1)])
def test_a_version_that_is_not_of_this_file_is_not_found(http: httpx.Client, put: Put, number: str) -> None:
    file, other = put("a", b"1"), put("b", b"2")
    for version in (number, other["version_id"]):
        for path in (f"/api/files/{file['id']}", f"/api/files/{file['id']}/content"):
            problem(http.get(path, params={"version_id": version}), 404, "not_found")
        problem(http.delete(f"/api/files/{file['id']}/versions/{version}"), 404, "not_found")


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "٣", "9" * 19, "9" * 100])
def test_a_version_that_is_no_number_is_refused(http: httpx.Client, put: Put, number: str) -> None:
    file = put("a", b"1")
    problem(http.get(f"/api/files/{file['id']}", params={"version_id": number}), 400, "invalid_parameter")


def test_a_version_is_there_once_it_is_complete_and_not_before(
    http: httpx.Client, put: Put, workspace: dict[str, Any]
) -> None:
    old = put("a", b"old")
    ticket = ticket_for(http, path="a", workspace=workspace["id"], size=3)
    assert ticket["file_id"] == old["id"]
    assert int(ticket["version_id"]) > int(old["version_id"])
    promised = {"version_id": ticket["version_id"]}
    for step in (lambda: None, lambda: send(ticket, b"new")):
        step()
        problem(http.get(f"/api/files/{old['id']}", params=promised), 404, "not_found")
        assert at(http, workspace, "a").json() == old
        assert len(versions_of(http, old)) == 1
    done = http.post(f"/api/uploads/{ticket['id']}/complete").json()
    assert (done["id"], done["version_id"]) == (old["id"], ticket["version_id"])
    assert http.get(f"/api/files/{old['id']}", params=promised).json() == done
    assert fetch(old["url"]).content == b"old"


def test_two_uploads_of_one_path_both_become_versions_in_the_order_they_completed(
    http: httpx.Client, workspace: dict[str, Any]
) -> None:
    first, second = (ticket_for(http, path="a", workspace=workspace["id"]) for _ in range(2))
    assert first["file_id"] == second["file_id"]
    for ticket in (second, first):
        send(ticket, ticket["version_id"].encode())
        http.post(f"/api/uploads/{ticket['id']}/complete").raise_for_status()
    file = at(http, workspace, "a").json()
    assert file["version_id"] == first["version_id"]
    assert [version["version_id"] for version in versions_of(http, file)] == [
        first["version_id"],
        second["version_id"],
    ]


@pytest.mark.parametrize("content", [b"", b"new", bytes(LARGER_THAN_A_ROW)])
def test_an_upload_that_completes_itself_needs_no_further_call(
    http: httpx.Client, workspace: dict[str, Any], content: bytes
) -> None:
    ticket = ticket_for(http, path="in/a", workspace=workspace["id"], auto_complete=True)
    assert ticket["auto_complete"] is True
    send(ticket, content)
    file = at(http, workspace, "in/a").json()
    assert (file["id"], file["version_id"], file["size"]) == (ticket["file_id"], ticket["version_id"], len(content))
    assert http.get(f"/api/uploads/{ticket['id']}").json()["state"] == "completed"
    assert http.post(f"/api/uploads/{ticket['id']}/complete").json() == file


def test_a_ticket_for_a_file_makes_its_new_version_wherever_it_is_by_then(
    http: httpx.Client, put: Put, workspace: dict[str, Any]
) -> None:
    file = put("a.txt", b"1")
    ticket = ticket_for(http, file=file["id"], size=2)
    assert (ticket["file_id"], ticket["path"]) == (file["id"], "a.txt")
    http.patch(f"/api/files/{file['id']}", json={"path": "b.txt"}).raise_for_status()
    send(ticket, b"22")
    done = http.post(f"/api/uploads/{ticket['id']}/complete").json()
    assert (done["id"], done["path"], done["size"]) == (file["id"], "b.txt", 2)
    assert listed(http, workspace) == ["b.txt"]


@pytest.mark.parametrize(
    "asked",
    [
        {"file": UNKNOWN, "name": "a"},
        {"file": UNKNOWN, "path": "a"},
        {"file": UNKNOWN, "folder": UNKNOWN},
        {"name": "a", "path": "a"},
        {"folder": UNKNOWN},
        {},
    ],
)
def test_a_ticket_is_for_one_thing(http: httpx.Client, asked: dict[str, Any]) -> None:
    problem(http.post("/api/uploads", json=asked), 400, "invalid_parameter")


def test_a_ticket_for_a_file_that_is_not_there_is_refused(http: httpx.Client, put: Put) -> None:
    problem(http.post("/api/uploads", json={"file": UNKNOWN}), 404, "not_found")
    file = put("a", b"1")
    http.delete(f"/api/files/{file['id']}")
    problem(http.post("/api/uploads", json={"file": file["id"]}), 404, "not_found")


def test_a_move_keeps_id_and_versions_and_makes_folders(
    http: httpx.Client, put: Put, workspace: dict[str, Any]
) -> None:
    old, file = put("a.txt", b"1"), put("a.txt", b"2")
    moved = http.patch(f"/api/files/{file['id']}", json={"path": "/new/deep/b.txt"}).json()
    assert (moved["path"], moved["name"]) == ("new/deep/b.txt", "b.txt")
    for same in ("id", "version_id", "etag", "created_at"):
        assert moved[same] == file[same]
    assert [version["version_id"] for version in versions_of(http, moved)] == [file["version_id"], old["version_id"]]
    assert at(http, workspace, "new/deep/b.txt").json() == moved
    problem(at(http, workspace, "a.txt"), 404, "not_found")
    folders = http.get("/api/folders", params={"workspace": workspace["id"]}).json()["folders"]
    assert {folder["path"]: folder["id"] for folder in folders} == {
        "new": folders[0]["id"],
        "new/deep": moved["folder_id"],
    }
    assert fetch(old["url"]).content == b"1"


def test_a_move_to_a_taken_path_or_to_no_path_changes_nothing(
    http: httpx.Client, put: Put, workspace: dict[str, Any]
) -> None:
    file = put("a", b"1")
    put("b", b"2")
    address = f"/api/files/{file['id']}"
    problem(http.patch(address, json={"path": "b"}), 409, "conflict")
    for changes, code in [
        ({"path": "c", "name": "d"}, "invalid_parameter"),
        ({"path": None}, "invalid_parameter"),
        ({"path": ""}, "invalid_name"),
        ({"path": "c/../d"}, "invalid_name"),
        ({"path": "c/"}, "invalid_name"),
    ]:
        problem(http.patch(address, json=changes), 400, code)
    assert at(http, workspace, "a").json() == file


@pytest.mark.parametrize("by", ["id", "path"])
def test_a_deleted_file_is_gone_at_once_and_comes_back_whole(
    http: httpx.Client, put: Put, workspace: dict[str, Any], by: str
) -> None:
    old, file = put("in/a.txt", b"1"), put("in/a.txt", b"2")
    versions = versions_of(http, file)
    address = {"id": f"/api/files/{file['id']}", "path": f"/api/files/path/in/a.txt?workspace={workspace['id']}"}[by]
    assert http.delete(address).status_code == 204
    problem(http.delete(address), 404, "not_found")
    problem(http.get(f"/api/files/{file['id']}"), 404, "not_found")
    assert [fetch(one["url"]).status_code for one in (old, file)] == [410, 410]
    assert listed(http, workspace) == []
    (deleted,) = http.get("/api/files", params={"workspace": workspace["id"], "deleted": "true"}).json()["files"]
    assert (deleted["id"], deleted["status"]) == (file["id"], "deleted")
    assert deleted["deleted_at"] < deleted["restorable_until"]
    restored = http.post(f"/api/files/{file['id']}/restore")
    assert restored.status_code == 200
    assert restored.json() == at(http, workspace, "in/a.txt").json() == file
    assert versions_of(http, file) == versions
    assert [fetch(one["url"]).content for one in (old, file)] == [b"1", b"2"]
    assert listed(http, workspace, deleted="true") == []
    assert http.post(f"/api/files/{file['id']}/restore").json() == file


def test_a_file_whose_path_was_taken_comes_back_at_another(
    http: httpx.Client, put: Put, workspace: dict[str, Any]
) -> None:
    first = put("a.txt", b"1")
    http.delete(f"/api/files/{first['id']}")
    second = put("a.txt", b"2")
    assert second["id"] != first["id"]
    restored = http.post(f"/api/files/{first['id']}/restore").json()
    assert (restored["id"], restored["version_id"]) == (first["id"], first["version_id"])
    assert restored["path"] != "a.txt"
    assert at(http, workspace, restored["path"]).json()["id"] == first["id"]
    assert at(http, workspace, "a.txt").json()["id"] == second["id"]


def test_deleted_files_are_listed_by_prefix_and_pages(http: httpx.Client, put: Put, workspace: dict[str, Any]) -> None:
    for path in ("a/1", "a/2", "a/3", "b/1"):
        http.delete(f"/api/files/{put(path, b'x')['id']}")
    put("a/4", b"x")
    query = {"workspace": workspace["id"], "deleted": "true", "prefix": "a/", "limit": "2"}
    page = http.get("/api/files", params=query).json()
    rest = http.get("/api/files", params=query | {"cursor": page["next_cursor"]}).json()
    assert [file["path"] for file in page["files"] + rest["files"]] == ["a/1", "a/2", "a/3"]
    assert rest["next_cursor"] is None


def test_what_is_deleted_for_good_frees_its_bytes(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(sweep_interval="1s")
    with server.client() as http:
        files = [http.put("/api/upload/a", content=bytes(LARGER_THAN_A_ROW)).json() for _ in range(2)]
        address = f"/api/files/{files[0]['id']}"
        assert http.delete(address).status_code == 204
        assert http.delete(f"{address}?permanent=true").status_code == 204
        problem(http.post(f"{address}/restore"), 404, "not_found")
        problem(http.delete(f"{address}?permanent=true"), 404, "not_found")
        problem(http.delete(f"{address}?permanent=perhaps"), 400, "invalid_parameter")
        assert http.get("/api/files?deleted=true").json()["files"] == []
        eventually(lambda: not blobs(server))


@pytest.mark.folder("its files are counted")
def test_deleting_a_version_frees_its_bytes_and_no_others(make_server: MakeServer) -> None:
    server = make_server(sweep_interval="1s")
    with server.client() as http:
        old, file = (http.put("/api/upload/a", content=bytes(LARGER_THAN_A_ROW)).json() for _ in range(2))
        address = f"/api/files/{file['id']}/versions"
        problem(http.delete(f"{address}/{file['version_id']}"), 409, "conflict")
        assert http.delete(f"{address}/{old['version_id']}").status_code == 204
        problem(http.delete(f"{address}/{old['version_id']}"), 404, "not_found")
        assert [version["version_id"] for version in versions_of(http, file)] == [file["version_id"]]
        assert fetch(old["url"]).status_code == 410
        eventually(lambda: blobs(server) == 1)
        assert len(fetch(file["url"]).content) == LARGER_THAN_A_ROW
    nothing_left(server)


@pytest.mark.folder("its files are counted")
def test_a_workspace_keeps_the_newest_versions_and_frees_the_others(make_server: MakeServer) -> None:
    server = make_server(sweep_interval="1s")
    with server.client() as http:
        http.post("/api/workspaces", json={"name": "two", "keep_versions": 2}).raise_for_status()
        files = [
            http.put("/api/upload/a?workspace=two", content=bytes(LARGER_THAN_A_ROW + size)).json() for size in range(4)
        ]
        assert [version["version_id"] for version in versions_of(http, files[0])] == [
            files[3]["version_id"],
            files[2]["version_id"],
        ]
        eventually(lambda: blobs(server) == 2)
        assert fetch(files[0]["url"]).status_code == 410


@pytest.mark.folder("its files are counted")
def test_a_workspace_keeps_a_replaced_version_for_its_time(make_server: MakeServer) -> None:
    server = make_server(sweep_interval="1s")
    with server.client() as http:
        http.post("/api/workspaces", json={"name": "brief", "keep_versions_for": 2}).raise_for_status()
        old, file = (
            http.put("/api/upload/a?workspace=brief", content=bytes(LARGER_THAN_A_ROW + size)).json()
            for size in range(2)
        )
        eventually(lambda: len(versions_of(http, file)) == 1)
        eventually(lambda: blobs(server) == 1)
        assert (fetch(old["url"]).status_code, fetch(file["url"]).status_code) == (410, 200)


def test_the_authors_of_a_file_are_the_users_of_the_keys(
    http: httpx.Client, server: LiveServer, workspace: dict[str, Any]
) -> None:
    anna = make_key(http, "upload", "read", user={"name": "Anna", "email": "anna@example.com"})
    ben = make_key(http, "upload", "read", user={"id": str(uuid.uuid4())})
    plain = make_key(http, "upload", "read")
    assert make_key(http, "read", user={"id": anna["user_id"]})["user_id"] == anna["user_id"]
    assert plain["user_id"] == plain["id"]
    assert http.get(f"/api/keys/{anna['id']}").json()["user_id"] == anna["user_id"]
    where = f"/api/upload/a?workspace={workspace['id']}"
    for key in (anna, ben):
        with server.client(key["key"]) as author:
            file = author.put(where, content=b"x").json()
    assert (file["created_by"], file["modified_by"]) == (anna["user_id"], ben["user_id"])
    assert [version["created_by"] for version in versions_of(http, file)] == [ben["user_id"], anna["user_id"]]
    with server.client(plain["key"]) as author:
        changed = author.patch(f"/api/files/{file['id']}", json={"name": "b"}).json()
    assert (changed["created_by"], changed["modified_by"]) == (anna["user_id"], plain["user_id"])


@pytest.mark.parametrize("user", [{"id": "x"}, {"name": ""}, {"name": "x" * 256}, {"nick": "a"}, "anna"])
def test_a_user_that_cannot_be_is_refused(http: httpx.Client, user: Any) -> None:
    asked = {"name": "a", "scopes": ["read"], "user": user}
    problem(http.post("/api/keys", json=asked), 400, "invalid_parameter")


def test_a_scope_opens_what_it_is_for(http: httpx.Client, server: LiveServer, put: Put) -> None:
    file = put("a", b"1")
    put("a", b"2")
    verbs = [
        ("read", "GET", f"/api/files/{file['id']}/versions"),
        ("read", "GET", f"/api/files/path/a?workspace={file['workspace_id']}"),
        ("delete", "DELETE", f"/api/files/{file['id']}/versions/{file['version_id']}"),
        ("delete", "DELETE", f"/api/files/path/a?workspace={file['workspace_id']}"),
    ]
    for scope in ("upload", "read", "delete"):
        with server.client(make_key(http, scope)["key"]) as worker:
            for needed, method, path in verbs:
                if needed != scope:
                    problem(worker.request(method, path), 403, "forbidden")
    for needed, method, path in verbs:
        with server.client(make_key(http, needed)["key"]) as worker:
            assert worker.request(method, path).is_success
    for scopes in (("read",), ("upload",), ("delete",)):
        with server.client(make_key(http, *scopes)["key"]) as worker:
            problem(worker.post(f"/api/files/{file['id']}/restore"), 403, "forbidden")
    with server.client(make_key(http, "upload", "read")["key"]) as worker:
        assert worker.post(f"/api/files/{file['id']}/restore").status_code == 200


def blobs(server: LiveServer) -> int:
    """Return how many blobs the server's store holds."""
    return sum(1 for path in (server.data / "blobs").rglob("*") if path.is_file())
