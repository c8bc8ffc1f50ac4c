"""End users, named by the header ``user-id``: each sees and touches its own files and no others, by every route of every flow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.edge import exchange, head_of
from contract.every_route import ADMINISTRATION, ELSEWHERE, FOLDERS, OUTSIDE, OWNER, ROWS, SECRET, Scene
from support.live_server import LiveServer
from unit.service import Service

REFUSED = {403, 404, 409}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("end-users"))
    yield found
    found.close()


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service)


def names(rows: dict[tuple[str, str], object]) -> list[str]:
    return [f"{method.upper()} {path}" for method, path in rows]


def test_every_route_has_a_row_here_or_a_reason_to_have_none(service: Service) -> None:
    paths = service.request("GET", "/docs/openapi.json").json()["paths"]
    methods = {"get", "put", "post", "delete", "options", "head", "patch"}
    routes = {(method, path) for path, item in paths.items() for method in item if method in methods}
    assert routes == {*ROWS, *FOLDERS, *ADMINISTRATION, *ELSEWHERE}


@pytest.mark.parametrize("route", ROWS, ids=names(ROWS))
def test_what_is_anothers_is_not_there(scene: Scene, route: tuple[str, str]) -> None:
    ask = ROWS[route](scene)
    strangers = scene.asks(route[0].upper(), ask.url, "bob", **ask.options)
    if ask.own or ask.shared:
        assert strangers.is_success, strangers.text
    else:
        assert strangers.status_code in REFUSED, strangers.text
    sent = ask.url + str(ask.options)
    assert [trace for trace in scene.traces() if trace in strangers.text and trace not in sent] == []
    assert scene.asks("GET", f"/api/files/{scene.file['id']}/content").content == SECRET + b" again"
    owners = scene.asks(route[0].upper(), ask.url, **ask.options)
    assert owners.is_success, owners.text


@pytest.mark.parametrize("route", FOLDERS, ids=names(FOLDERS))
def test_folders_are_deleted_on_behalf_of_nobody(scene: Scene, route: tuple[str, str]) -> None:
    ask = FOLDERS[route](scene)
    assert scene.asks(route[0].upper(), ask.url, "bob", **ask.options).status_code == 403
    assert scene.operator_asks(route[0].upper(), ask.url, **ask.options).is_success


@pytest.mark.parametrize("route", ADMINISTRATION, ids=names(ADMINISTRATION))
def test_nothing_is_administered_on_behalf_of_an_end_user(scene: Scene, route: tuple[str, str]) -> None:
    ask = ADMINISTRATION[route](scene)
    assert scene.asks(route[0].upper(), ask.url, "bob", key=scene.admin, **ask.options).status_code == 403
    assert scene.admin_asks(route[0].upper(), ask.url, **ask.options).is_success


def test_a_key_that_names_nobody_sees_everybodys_files(scene: Scene) -> None:
    paths = {file["path"] for file in scene.operator_asks("GET", "/api/files").json()["files"]}
    assert f"{OUTSIDE}/secret.txt" in paths
    assert scene.operator_asks("GET", f"/api/files/{scene.file['id']}").is_success


def test_lists_have_ones_own_files_and_count_them_alone(scene: Scene) -> None:
    for number in range(5):
        assert scene.asks("PUT", f"/api/upload/shared/{number}.txt", "bob", content=b"mine").status_code == 201
        assert scene.asks("PUT", f"/api/upload/shared/{number}a.txt", content=b"hers").status_code == 201
    found, cursor = [], None
    while True:
        parameters = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = scene.asks("GET", "/api/files", "bob", params=parameters).json()
        found += [file["path"] for file in page["files"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["files"]) == 2
    assert found == [f"shared/{number}.txt" for number in range(5)]
    searched = scene.asks("GET", scene.flow("files?limit=2"), "bob").json()
    assert (searched["count"], searched["total"]) == (2, 5)
    assert scene.asks("GET", f"/v1/organizations/{scene.organization}/files?limit=1", "bob").json()["total"] == 5
    folders = scene.asks("GET", "/api/folders", "bob").json()["folders"]
    assert [folder["path"] for folder in folders] == ["shared"]


def test_a_taken_path_is_a_conflict_that_does_not_tell_whose(scene: Scene) -> None:
    of_operator = scene.operator_asks("PUT", "/api/upload/common/of-nobody.txt", content=b"ours")
    assert of_operator.status_code == 201
    refused = [
        scene.asks("PUT", f"/api/upload/{path}", "bob", content=b"mine" * 3)
        for path in (f"{OUTSIDE}/secret.txt", "common/of-nobody.txt", f"{OUTSIDE}/coming.txt")
    ]
    told = [{**answer.json(), "request_id": ""} for answer in refused]
    assert [answer.status_code for answer in refused] == [409] * 3
    assert told[0] == told[1] == told[2]
    moved = scene.asks("PUT", "/api/upload/bobs/own.txt", "bob", content=b"mine").json()
    for path in (f"{OUTSIDE}/secret.txt", f"{OUTSIDE}/coming.txt"):
        answer = scene.asks("PATCH", f"/api/files/{moved['id']}", "bob", json={"path": path})
        assert answer.status_code == 409
    assert scene.operator_asks("GET", "/api/files/path/common/of-nobody.txt").json()["id"] == of_operator.json()["id"]


def test_a_path_that_was_taken_while_bytes_were_on_their_way_is_a_conflict(scene: Scene) -> None:
    asked = {"path": "race.txt", "auto_complete": True}
    ticket = scene.asks("POST", "/api/uploads", "bob", json=asked).json()
    assert scene.asks("POST", "/api/uploads", json=asked).status_code == 409
    assert scene.asks("DELETE", f"/api/uploads/{ticket['id']}", "bob").status_code == 204
    scene.service.sweep()
    assert scene.put("race.txt")["path"] == "race.txt"


def test_what_an_operator_puts_at_an_end_users_path_stays_the_end_users(scene: Scene) -> None:
    answer = scene.operator_asks("PUT", f"/api/upload/{OUTSIDE}/secret.txt", content=b"from the operator")
    assert answer.status_code == 200
    assert scene.asks("GET", f"/api/files/{scene.file['id']}/content").content == b"from the operator"
    assert scene.asks("GET", f"/api/files/{scene.file['id']}", "bob").status_code == 404


def test_what_comes_to_the_path_of_a_file_that_was_deleted_while_attached_is_another_file(scene: Scene) -> None:
    first = scene.put("notes/a.txt")
    scene.service.process()
    ticket = scene.asks("POST", "/api/uploads", json={"file": first["id"]}).json()
    attached, message = f"/v1/files/{first['id']}/attach", {"message_id": "m"}
    assert scene.asks("POST", attached, json=message).status_code == 200
    assert scene.asks("DELETE", f"/v1/files/{first['id']}").status_code == 204
    second = scene.put("notes/a.txt", b"another one")
    assert second["id"] != first["id"]
    assert scene.operator_asks("GET", "/api/files/path/notes/a.txt").json()["id"] == second["id"]
    assert scene.service.request("PUT", ticket["url"], key=None, content=b"late").status_code == 410
    assert scene.asks("DELETE", attached, json=message).status_code == 204
    scene.service.process()
    assert scene.asks("GET", "/api/files/path/notes/a.txt").json()["id"] == second["id"]
    assert scene.service.fetch(second["url"]).content == b"another one"
    assert scene.service.fetch(first["url"]).status_code == 410


def test_an_operator_can_restore_what_was_deleted_while_attached(scene: Scene) -> None:
    file = scene.put("notes/a.txt")
    scene.service.process()
    assert scene.asks("POST", f"/v1/files/{file['id']}/attach", json={"message_id": "m"}).status_code == 200
    assert scene.asks("DELETE", f"/v1/files/{file['id']}").status_code == 204
    assert scene.operator_asks("DELETE", f"/api/files/{file['id']}").status_code == 204
    assert scene.operator_asks("POST", f"/api/files/{file['id']}/restore").json()["path"] == "notes/a.txt"


def test_the_hand_off_of_another_does_not_hide_ones_own_at_a_path(scene: Scene) -> None:
    for user, content in ((OWNER, b"hers"), ("bob", b"his")):
        asked = {"filesMetadata": [{"name": "same.txt", "size": len(content)}]}
        (ticket,) = scene.asks("POST", f"/v1/files/{scene.folder}", user, json=asked).json()["urls"]
        assert scene.service.request("PUT", ticket["url"], key=None, content=content).is_success
        assert scene.asks("POST", "/v1/files/confirm-upload", user, json={"ids": [ticket["id"]]}).is_success
    own = scene.asks("GET", f"/api/files/path/{OUTSIDE}/same.txt").json()
    assert own["size"] == len(b"hers")


def test_a_key_may_act_for_those_that_it_names_and_must_name_one(scene: Scene) -> None:
    def status(key: str, user: str | None) -> int:
        return scene.asks("GET", f"/api/files/{scene.file['id']}", user, key=key).status_code

    named = scene.make_key(scopes=["read"], on_behalf_of=[OWNER, "carol"])
    any_user = scene.make_key(scopes=["read"], on_behalf_of=["*"])
    assert named["on_behalf_of"] == [OWNER, "carol"]
    assert [status(named["key"], user) for user in (OWNER, "carol", "bob", None)] == [200, 404, 403, 403]
    assert [status(any_user["key"], user) for user in (OWNER, "bob", None)] == [200, 404, 403]


@pytest.mark.parametrize("user", ["", " ", "a\tb", "x" * 256, "zero\N{ZERO WIDTH JOINER}width"])
def test_a_user_that_is_no_name_is_refused_rather_than_taken_for_nobody(scene: Scene, user: str) -> None:
    answer = scene.asks("GET", "/api/files", None, headers={"user-id": user.encode()})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_parameter"


def test_two_users_in_one_request_are_refused(server: LiveServer) -> None:
    def answer(*users: str) -> bytes:
        return exchange(
            server, head_of(server, "GET", "/api/files", *(f"user-id: {user}" for user in users)), finish=False
        )

    assert answer("alice", "bob").startswith(b"HTTP/1.1 400 ")
    assert answer("alice", "alice").startswith(b"HTTP/1.1 200 ")


# The last bytes of "à" and "Å" would be spaces in Latin-1.
@pytest.mark.parametrize("user", ["Žofie \N{BLACK HEART SUIT}", "Eloà", "Å"])
def test_a_user_may_have_any_letters(scene: Scene, user: str) -> None:
    made = scene.asks("PUT", "/api/upload/letters.txt", None, content=b"mine", headers={"user-id": user.encode()})
    assert made.status_code == 201
    shown = scene.asks("GET", f"/api/files/{made.json()['id']}", None, headers={"user-id": user.encode()})
    assert shown.status_code == 200


def test_idempotency_keys_of_end_users_do_not_meet(scene: Scene) -> None:
    again = {"Idempotency-Key": "1"}
    hers = scene.asks("POST", "/api/upload/a.txt", content=b"hers", headers=again)
    his = scene.asks("POST", "/api/upload/a.txt", "bob", content=b"his", headers=again)
    assert (hers.status_code, his.status_code) == (201, 201)
    assert (
        scene.asks("POST", "/api/upload/a.txt", "bob", content=b"his", headers=again).json()["id"] == his.json()["id"]
    )
