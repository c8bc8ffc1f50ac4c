"""Keys that are confined to a folder: nothing outside of it is there for them, by every route of every flow, now and at use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contract.every_route import ADMINISTRATION, FOLDERS, INSIDE, OUTSIDE, ROWS, SECRET, Scene
from unit.service import Service

REFUSED = {403, 404, 409}
# Calls of the signed flow are refused for naming nobody, before it is known what they are about.
NAMELESS = {
    path: {400, 401, 422}
    for path in ("/v1/files/signed-url", "/v1/files/{file_id}/status", "/v1/files/{file_id}/attach")
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("confined-keys"))
    yield found
    found.close()


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service)


@pytest.fixture(scope="module")
def untouched(service: Service) -> Scene:
    """A scene that a confined key leaves as it is, whatever it asks."""
    return Scene(service)


def names(rows: dict[tuple[str, str], object]) -> list[str]:
    return [f"{method.upper()} {path}" for method, path in rows]


def paths(listing: dict[str, Any]) -> list[str]:
    return [file["path"] for file in listing["files"]]


@pytest.mark.parametrize("user", [None, "alice"], ids=["for nobody", "for the owner"])
@pytest.mark.parametrize("route", [*ROWS, *FOLDERS], ids=names({**ROWS, **FOLDERS}))
def test_what_is_outside_is_not_there(untouched: Scene, route: tuple[str, str], user: str | None) -> None:
    scene = untouched
    ask = {**ROWS, **FOLDERS}[route](scene)
    answer = scene.asks(route[0].upper(), ask.url, user, key=scene.confined, **ask.options)
    if ask.own:
        assert answer.is_success, answer.text
    else:
        assert answer.status_code in (REFUSED if user else {*REFUSED, *NAMELESS.get(route[1], ())}), answer.text
    sent = ask.url + str(ask.options)
    assert [trace for trace in scene.traces() if trace in answer.text and trace not in sent] == []
    assert scene.asks("GET", f"/api/files/{scene.file['id']}/content").content == SECRET + b" again"
    assert scene.asks("GET", f"/api/uploads/{scene.upload['id']}").json()["state"] == "received"
    assert scene.asks("GET", f"/api/files/{scene.deleted['id']}").status_code == 404


@pytest.mark.parametrize("route", ADMINISTRATION, ids=names(ADMINISTRATION))
def test_a_confined_key_administers_nothing_though_it_has_the_scope(untouched: Scene, route: tuple[str, str]) -> None:
    scene = untouched
    ask = ADMINISTRATION[route](scene)
    assert scene.operator_asks(route[0].upper(), ask.url, key=scene.confined, **ask.options).status_code == 403
    for_users = scene.make_key(scopes=["admin"], on_behalf_of=["*"])["key"]
    assert scene.asks(route[0].upper(), ask.url, key=for_users, **ask.options).status_code == 403


def test_inside_its_folder_everything_is_as_ever(scene: Scene) -> None:
    def asks(method: str, url: str, **options: Any) -> Any:
        answer = scene.operator_asks(method, url, key=scene.confined, **options)
        assert answer.is_success, answer.text
        return answer

    made = asks("PUT", f"/api/upload/{INSIDE}/deep/a.bin", content=b"one").json()
    asks("PUT", f"/api/upload/{INSIDE}/deep/a.bin", content=b"two")
    assert asks("GET", f"/api/files/path/{INSIDE}/deep/a.bin").json()["id"] == made["id"]
    assert asks("GET", scene.flow("files")).json()["total"] == 1
    assert (
        asks("PATCH", f"/api/files/{made['id']}", json={"path": f"{INSIDE}/b.bin"}).json()["path"] == f"{INSIDE}/b.bin"
    )
    folder = asks("POST", "/api/folders", json={"path": INSIDE}).json()
    asked = {"filesMetadata": [{"name": "c.bin", "size": 5}]}
    (ticket,) = asks("POST", f"/v1/files/{folder['id']}", json=asked).json()["urls"]
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"three").is_success
    asks("POST", "/v1/files/confirm-upload", json={"ids": [ticket["id"]]})
    assert paths(asks("GET", "/api/files").json()) == [f"{INSIDE}/b.bin", f"{INSIDE}/c.bin"]
    assert {file["filename"] for file in asks("GET", "/v1/files").json()["files"]} == {"b.bin", "c.bin"}
    asks("DELETE", f"/api/files/{made['id']}")
    assert asks("POST", f"/api/files/{made['id']}/restore").json()["path"] == f"{INSIDE}/b.bin"
    shown = asks("GET", "/api/folders").json()["folders"]
    assert [each["path"] for each in shown] == [INSIDE, f"{INSIDE}/deep"]


@pytest.mark.parametrize(
    "path",
    ["insider/a", "inside", "INSIDE/a", "a/inside/b", "inside%2F..%2Foutside/a", "inside/../outside/a", "%69nsider/a"],
)
def test_a_folder_is_compared_by_whole_segments(scene: Scene, path: str) -> None:
    answer = scene.operator_asks("PUT", f"/api/upload/{path}", key=scene.confined, content=b"a")
    assert answer.status_code in (400, 403), answer.text


def test_a_file_whose_name_begins_like_the_folder_is_in_no_list(scene: Scene) -> None:
    for path in ("insider.txt", "inside-out/a.txt", f"{INSIDE}/a.txt"):
        assert scene.operator_asks("PUT", f"/api/upload/{path}", content=b"a").status_code == 201
    # A hand-off has no place in the tree, whatever its name.
    assert scene.operator_asks("POST", f"/api/upload/{INSIDE}/handed-off.txt", content=b"a").status_code == 201
    for url in ("/api/files", "/api/files?prefix=in", scene.flow("files")):
        listed = scene.operator_asks("GET", url, key=scene.confined).json()["files"]
        assert [file["name"] for file in listed] == ["a.txt"], url


def test_deleted_files_are_listed_and_counted_inside_only(scene: Scene) -> None:
    made = scene.operator_asks("PUT", f"/api/upload/{INSIDE}/gone.txt", content=b"a").json()
    assert scene.operator_asks("DELETE", f"/api/files/{made['id']}").status_code == 204
    listed = scene.operator_asks("GET", "/api/files?deleted=true", key=scene.confined).json()
    assert paths(listed) == [f"{INSIDE}/gone.txt"]
    searched = scene.operator_asks("GET", scene.flow("files?deleted=true"), key=scene.confined).json()
    assert (searched["total"], [file["name"] for file in searched["files"]]) == (1, ["gone.txt"])
    of_bob = scene.asks("GET", scene.flow("files?deleted=true"), "bob").json()
    assert (of_bob["total"], of_bob["files"]) == (0, [])


def test_a_file_is_not_moved_out_nor_restored_outside(scene: Scene) -> None:
    made = scene.operator_asks("PUT", f"/api/upload/{INSIDE}/a.txt", key=scene.confined, content=b"a").json()
    moved = {"path": f"{OUTSIDE}/a.txt"}
    assert scene.operator_asks("PATCH", f"/api/files/{made['id']}", key=scene.confined, json=moved).status_code == 403
    assert scene.operator_asks("PATCH", f"/api/files/{made['id']}", json=moved).status_code == 200
    assert scene.operator_asks("GET", f"/api/files/{made['id']}", key=scene.confined).status_code == 404


@pytest.mark.parametrize(("folder", "status"), [(OUTSIDE, 403), (INSIDE, 200)])
@pytest.mark.parametrize("named_by", ["path", "file"])
def test_a_ticket_does_not_follow_a_file_out_of_the_folder(
    scene: Scene, named_by: str, folder: str, status: int
) -> None:
    made = scene.operator_asks("PUT", f"/api/upload/{INSIDE}/a.txt", key=scene.confined, content=b"a").json()
    asked = {"path": made["path"]} if named_by == "path" else {"file": made["id"]}
    asked["auto_complete"] = True
    ticket = scene.operator_asks("POST", "/api/uploads", key=scene.confined, json=asked).json()
    moved = {"path": f"{folder}/moved.txt"}
    assert scene.operator_asks("PATCH", f"/api/files/{made['id']}", json=moved).status_code == 200
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"b").status_code == status
    now = scene.operator_asks("GET", f"/api/files/path/{folder}/moved.txt").json()
    assert now["id"] == made["id"]
    assert scene.service.fetch(now["url"]).content == (b"b" if status == 200 else b"a")


def test_a_confined_key_hands_nothing_off(scene: Scene) -> None:
    answer = scene.operator_asks("POST", f"/api/upload/{INSIDE}/a.txt", key=scene.confined, content=b"a")
    assert answer.status_code == 403
    asked = {"name": "a.txt", "size": 1}
    assert scene.operator_asks("POST", "/api/uploads", key=scene.confined, json=asked).status_code == 403


def test_a_confined_keys_ticket_takes_partial_uploads_too(scene: Scene) -> None:
    asked = {"path": f"{INSIDE}/joined.txt", "auto_complete": True}
    ticket = scene.operator_asks("POST", "/api/uploads", key=scene.confined, json=asked).json()
    tus, parts = {"Tus-Resumable": "1.0.0"}, []
    for content in (b"one ", b"two"):
        begun = {**tus, "Upload-Concat": "partial", "Upload-Length": str(len(content))}
        made = scene.service.request("POST", ticket["url"], key=None, headers=begun)
        assert made.status_code == 201, made.text
        parts.append(made.headers["location"])
        bytes_sent = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        assert (
            scene.service.request("PATCH", parts[-1], key=None, headers=bytes_sent, content=content).status_code == 204
        )
    joined = {**tus, "Upload-Concat": f"final;{' '.join(parts)}"}
    assert scene.service.request("POST", ticket["url"], key=None, headers=joined).status_code == 201
    fetched = scene.operator_asks("GET", f"/api/files/{ticket['file_id']}/content", key=scene.confined)
    assert fetched.content == b"one two"


def test_links_end_when_their_key_is_confined_elsewhere(scene: Scene) -> None:
    made = scene.make_key(scopes=["upload", "read"])
    asked = {"path": f"{OUTSIDE}/by-link.txt", "size": 1}
    ticket = scene.operator_asks("POST", "/api/uploads", key=made["key"], json=asked).json()
    described = scene.operator_asks("GET", scene.flow(f"files/{scene.file['id']}"), key=made["key"]).json()
    assert scene.service.fetch(described["download"]).status_code == 200
    narrowed = {"path_prefix": INSIDE}
    assert scene.admin_asks("PATCH", f"/api/keys/{made['id']}", json=narrowed).json()["path_prefix"] == INSIDE
    assert scene.service.fetch(described["download"]).status_code == 403
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"a").status_code == 403
    assert scene.operator_asks("GET", f"/api/files/{scene.file['id']}", key=made["key"]).status_code == 404
    scene.admin_asks("PATCH", f"/api/keys/{made['id']}", json={"path_prefix": None})
    assert scene.service.fetch(described["download"]).status_code == 200
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"a").status_code == 200


def test_links_end_when_their_key_may_act_for_the_end_user_no_more(scene: Scene) -> None:
    made = scene.make_key(scopes=["upload", "read"], on_behalf_of=["alice"])
    asked = {"path": f"{OUTSIDE}/by-link.txt", "size": 1}
    ticket = scene.asks("POST", "/api/uploads", key=made["key"], json=asked).json()
    described = scene.asks("GET", scene.flow(f"files/{scene.file['id']}"), key=made["key"]).json()
    assert scene.admin_asks("PATCH", f"/api/keys/{made['id']}", json={"on_behalf_of": ["bob"]}).is_success
    assert scene.service.fetch(described["download"]).status_code == 403
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"a").status_code == 403


def test_links_end_when_their_key_loses_the_scope(scene: Scene) -> None:
    made = scene.make_key(scopes=["upload", "read"])
    asked = {"path": "by-link.txt", "size": 1}
    ticket = scene.operator_asks("POST", "/api/uploads", key=made["key"], json=asked).json()
    assert scene.admin_asks("PATCH", f"/api/keys/{made['id']}", json={"scopes": ["read"]}).json()["scopes"] == ["read"]
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"a").status_code == 403


@pytest.mark.parametrize(
    "asked",
    [
        {"path_prefix": "/"},
        {"path_prefix": "a//b"},
        {"path_prefix": "../a"},
        {"path_prefix": ""},
        {"on_behalf_of": []},
        {"on_behalf_of": [""]},
        {"on_behalf_of": [" alice"]},
        {"on_behalf_of": ["a\u0000"]},
        {"scopes": []},
        {"unknown": 1},
    ],
)
def test_bounds_that_cannot_be_are_refused(scene: Scene, asked: dict[str, Any]) -> None:
    made = scene.make_key(scopes=["read"])
    assert scene.admin_asks("PATCH", f"/api/keys/{made['id']}", json=asked).status_code == 400
    created = {"name": "a key", "scopes": ["read"], **asked}
    assert scene.admin_asks("POST", "/api/keys", json=created).status_code == 400


def test_a_key_with_limits_of_its_own_makes_no_other(scene: Scene) -> None:
    limited = scene.make_key(scopes=["admin"], limits={"max_size": 10})
    asked = {"name": "free", "scopes": ["admin"]}
    assert scene.operator_asks("POST", "/api/keys", key=limited["key"], json=asked).status_code == 403
    lifted = {"limits": {"max_size": None}}
    own = f"/api/keys/{limited['id']}"
    assert scene.operator_asks("PATCH", own, key=limited["key"], json=lifted).status_code == 403
    assert scene.operator_asks("POST", f"{own}/rotate", key=limited["key"]).status_code == 403


def test_a_revoked_key_is_changed_no_more(scene: Scene) -> None:
    assert scene.admin_asks("DELETE", f"/api/keys/{scene.other_key}").status_code == 204
    assert scene.admin_asks("PATCH", f"/api/keys/{scene.other_key}", json={"name": "again"}).status_code == 404
