"""The workspaces flow, file by file: versions by path and by id, deleting and restoring, and who may do what."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from contract.edge import fetch
from contract.test_native_keys import make_key
from contract.workspace import Place, deliver, refusal
from support.live_server import LiveServer, MakeServer
from wire.asking import send

NOT_FOUND = (404, "not_found")


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


def expiry_of(url: str) -> datetime:
    return datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])


def test_a_ticket_names_the_file_the_version_and_where_to_send_it(place: Place) -> None:
    ticket = place.ask("a/b/report.pdf")
    assert set(ticket) == {"file_id", "version_id", "upload"}
    assert str(uuid.UUID(ticket["file_id"])) == ticket["file_id"]
    assert re.fullmatch(r"[1-9][0-9]{0,18}", ticket["version_id"])
    assert len(urlsplit(ticket["upload"]).path.split("/")) >= 4


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_a_signed_url_is_good_for_half_an_hour(place: Place, kind: str) -> None:
    place.put("a.bin")
    signed_from = datetime.now(UTC)
    url = place.ask("a.bin")["upload"] if kind == "upload" else place.get("a.bin")["download"]
    good_for = expiry_of(url) - signed_from
    assert timedelta(minutes=29, seconds=58) < good_for < timedelta(minutes=30, seconds=30)


def test_a_file_is_described_by_path_and_by_id_alike(place: Place, http: httpx.Client) -> None:
    ticket = place.put("reports/2026/a report.txt", b"abc")
    described = place.get("reports/2026/a report.txt")
    assert described == place.get_by_id(ticket["file_id"]) | {"download": described["download"]}
    shown = {name: described[name] for name in ("name", "path", "file_id", "version_id", "size", "versions")}
    assert shown == {
        "name": "a report.txt",
        "path": "/reports/2026/a report.txt",
        "file_id": ticket["file_id"],
        "version_id": ticket["version_id"],
        "size": 3,
        "versions": None,
    }
    assert (described["deleted_at"], described["deleted_by"]) == (None, None)
    assert datetime.fromisoformat(described["created_at"]) <= datetime.fromisoformat(described["modified_at"])
    assert http.get(described["self"]).json()["file_id"] == ticket["file_id"]
    downloaded = fetch(described["download"])
    assert (downloaded.content, downloaded.headers["etag"]) == (b"abc", described["etag"])


def test_a_file_at_the_root_has_the_root_as_its_path(place: Place) -> None:
    place.put("a.bin")
    assert place.get("a.bin")["path"] == "/"


def test_authors_are_the_users_of_the_keys(place: Place, server: LiveServer, http: httpx.Client) -> None:
    ann, bob = ({"name": name, "email": f"{name}@example.test", "id": str(uuid.uuid4())} for name in ("ann", "bob"))
    keys = [make_key(http, "upload", "read", "delete", user=user)["key"] for user in (ann, bob)]
    with server.client(keys[0]) as anns, server.client(keys[1]) as bobs:
        ticket = place.seen_by(anns).put("a.bin")
        place.seen_by(bobs).put("a.bin")
        described = place.get("a.bin", include_versions="true")
        assert (described["author"], described["created_by"], described["modified_by"]) == (ann, ann, bob)
        assert [version["created_by"] for version in described["versions"]] == [bob, ann]
        assert anns.delete(place.at("a.bin")).status_code == 204
    deleted = place.get_by_id(ticket["file_id"], deleted="true")
    assert (deleted["deleted_by"], deleted["modified_by"]) == (ann, bob)
    assert place.list(deleted="true")["files"][0]["deleted_by"] == ann


def test_a_key_without_a_user_is_its_own_author(place: Place, server: LiveServer, http: httpx.Client) -> None:
    key = make_key(http, "upload")
    with server.client(key["key"]) as uploader:
        place.seen_by(uploader).put("a.bin")
    assert place.get("a.bin")["author"] == {"id": key["id"], "name": key["name"], "email": None}


def test_nothing_is_there_before_the_first_version_is_complete(place: Place, http: httpx.Client) -> None:
    ticket = place.ask("a.bin")
    for _ in ("before", "and after something else was uploaded"):
        assert refusal(http.get(place.at("a.bin"))) == NOT_FOUND
        assert refusal(http.get(place.by_id(ticket["file_id"]))) == NOT_FOUND
        assert refusal(http.delete(place.at("a.bin"))) == NOT_FOUND
        assert "a.bin" not in place.names()
        place.put("b.bin")
    deliver(ticket, b"at last")
    assert place.get("a.bin")["version_id"] == ticket["version_id"]


@pytest.mark.parametrize("way", ["path", "id"])
def test_the_old_version_is_served_until_the_new_one_is_complete(place: Place, way: str) -> None:
    first = place.put("a.bin", b"one")
    second = place.ask("a.bin") if way == "path" else place.ask_by_id(first["file_id"])
    assert second["file_id"] == first["file_id"]
    assert int(second["version_id"]) > int(first["version_id"])
    assert place.get("a.bin")["version_id"] == first["version_id"]
    assert place.content("a.bin") == b"one"
    deliver(second, b"two")
    assert place.get("a.bin")["version_id"] == second["version_id"]
    assert place.content("a.bin") == b"two"


def test_a_download_url_keeps_serving_the_version_it_was_made_for(place: Place) -> None:
    place.put("a.bin", b"one")
    url = place.get("a.bin")["download"]
    place.put("a.bin", b"two")
    assert fetch(url).content == b"one"


def test_a_download_is_read_in_ranges(place: Place) -> None:
    place.put("a.bin", b"0123456789")
    url = place.get("a.bin")["download"]
    head = httpx.head(url, trust_env=False)
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == ("10", "bytes")
    part = fetch(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_all_versions_are_listed_newest_first_and_each_can_be_had(place: Place, http: httpx.Client) -> None:
    tickets = [place.put("d/a.bin", content) for content in (b"1", b"22", b"333")]
    described = place.get("d/a.bin", include_versions="true")
    versions = described["versions"]
    assert [version["version_id"] for version in versions] == [ticket["version_id"] for ticket in reversed(tickets)]
    assert [version["size"] for version in versions] == [3, 2, 1]
    assert {(version["name"], version["path"], version["file_id"]) for version in versions} == {
        ("a.bin", "/d/a.bin", described["file_id"])
    }
    assert [http.get(version["link"]).json()["version_id"] for version in versions] == [
        version["version_id"] for version in versions
    ]
    for ticket, content in zip(tickets, (b"1", b"22", b"333"), strict=True):
        assert place.content("d/a.bin", version_id=ticket["version_id"]) == content
        assert place.get_by_id(ticket["file_id"], version_id=ticket["version_id"])["size"] == len(content)


def test_two_uploads_of_one_path_at_once_are_versions_in_the_order_they_completed(place: Place) -> None:
    asked_first, asked_second = place.ask("a.bin"), place.ask("a.bin")
    assert asked_first["file_id"] == asked_second["file_id"]
    assert int(asked_first["version_id"]) < int(asked_second["version_id"])
    deliver(asked_second, b"completed first")
    deliver(asked_first, b"completed second")
    described = place.get("a.bin", include_versions="true")
    assert [version["version_id"] for version in described["versions"]] == [
        asked_first["version_id"],
        asked_second["version_id"],
    ]
    assert place.content("a.bin") == b"completed second"


def test_version_ids_grow_over_the_whole_workspace(place: Place) -> None:
    ids = [int(place.ask(f"{number % 3}.bin")["version_id"]) for number in range(9)]
    assert ids == sorted(set(ids))


def test_version_ids_grow_across_processes_and_no_version_is_lost(make_server: MakeServer) -> None:
    """Whoever asks after another was answered gets a larger id, whichever process answers."""
    own = make_server(workers=2)
    asked: list[tuple[float, float, int]] = []

    def upload(number: int) -> None:
        with own.client() as http:
            mine = place.seen_by(http)
            before = time.monotonic()
            ticket = mine.ask(f"{number % 3}.bin")
            asked.append((before, time.monotonic(), int(ticket["version_id"])))
            deliver(ticket, b"x" * number)

    with own.client() as http:
        place = Place.new(http)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(upload, range(60)))
        versions = [
            int(version["version_id"])
            for path in ("0.bin", "1.bin", "2.bin")
            for version in place.get(path, include_versions="true")["versions"]
        ]
    assert sorted(versions) == sorted(version_id for _, _, version_id in asked)
    assert len(set(versions)) == 60
    for (_, answered, earlier), (sent, _, later) in itertools.permutations(asked, 2):
        assert answered >= sent or earlier < later


def test_a_fresh_url_of_an_unfinished_version_is_had_by_path_and_by_id(place: Place) -> None:
    first = place.ask("a.bin")
    again = place.ask("a.bin", version_id=first["version_id"])
    assert (again["file_id"], again["version_id"]) == (first["file_id"], first["version_id"])
    deliver(again, b"one")
    second = place.ask("a.bin")
    again = place.ask_by_id(first["file_id"], version_id=second["version_id"])
    assert (again["file_id"], again["version_id"]) == (first["file_id"], second["version_id"])
    deliver(again, b"two")
    assert place.content("a.bin") == b"two"


def test_a_fresh_url_is_only_for_the_file_whose_version_it_is(place: Place, http: httpx.Client) -> None:
    mine, other = place.put("a.bin"), place.ask("b.bin")
    query = {"version_id": other["version_id"]}
    assert refusal(http.put(place.at("a.bin"), params=query)) == NOT_FOUND
    assert refusal(http.put(place.by_id(mine["file_id"]), params=query)) == NOT_FOUND
    assert refusal(http.put(place.at("b.bin"), params={"version_id": int(other["version_id"]) + 1000})) == NOT_FOUND


def test_a_version_that_is_not_there_is_not_found(place: Place, http: httpx.Client) -> None:
    mine, other = place.put("a.bin"), place.put("b.bin")
    for version_id in (other["version_id"], str(2**63 - 1)):
        assert refusal(http.get(place.at("a.bin"), params={"version_id": version_id})) == NOT_FOUND
        assert refusal(http.get(place.by_id(mine["file_id"]), params={"version_id": version_id})) == NOT_FOUND


def test_only_a_file_that_is_there_gets_a_version_by_id(place: Place, http: httpx.Client) -> None:
    assert refusal(http.put(place.by_id(str(uuid.uuid4())))) == NOT_FOUND
    ticket = place.put("a.bin")
    assert http.delete(place.by_id(ticket["file_id"])).status_code == 204
    assert refusal(http.put(place.by_id(ticket["file_id"]))) == NOT_FOUND


@pytest.mark.parametrize("way", ["path", "id"])
def test_a_deleted_file_is_gone_until_it_is_restored(place: Place, http: httpx.Client, way: str) -> None:
    first, second = place.put("d/a.bin", b"one"), place.put("d/a.bin", b"two")
    address = place.at("d/a.bin") if way == "path" else place.by_id(first["file_id"])
    answer = http.delete(address)
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(http.delete(address)) == NOT_FOUND
    assert refusal(http.get(address)) == NOT_FOUND
    assert (place.names(), place.names(deleted="true")) == ([], ["a.bin"])
    deleted = place.get_by_id(first["file_id"], deleted="true", include_versions="true")
    assert deleted["deleted_at"] is not None
    assert len(deleted["versions"]) == 2

    restored = http.put(place.by_id(first["file_id"]), params={"deleted": "false"})
    assert (restored.status_code, restored.content) == (204, b"")
    described = place.get("d/a.bin", include_versions="true")
    assert (described["file_id"], described["version_id"]) == (first["file_id"], second["version_id"])
    assert (len(described["versions"]), described["deleted_at"]) == (2, None)
    assert place.content("d/a.bin", version_id=first["version_id"]) == b"one"
    assert (place.names(), place.names(deleted="true")) == (["a.bin"], [])


def test_a_restored_file_whose_path_is_taken_comes_back_beside_it(place: Place, http: httpx.Client) -> None:
    old = place.put("d/a.bin", b"old")
    http.delete(place.at("d/a.bin"))
    new = place.put("d/a.bin", b"new")
    assert new["file_id"] != old["file_id"]
    answer = http.put(place.by_id(old["file_id"]), params={"deleted": "false"})
    assert answer.status_code == 303
    moved = answer.json()
    assert moved["file_id"] == old["file_id"]
    assert moved["path"] == f"/d/{moved['name']}" != "/d/a.bin"
    assert fetch(moved["download"]).content == b"old"
    followed = http.get(answer.headers["location"]).json()
    assert followed == moved | {"download": followed["download"]}
    assert place.content("d/a.bin") == b"new"
    assert place.content(moved["path"].removeprefix("/")) == b"old"


def test_restoring_again_is_no_error(place: Place, http: httpx.Client) -> None:
    ticket = place.put("a.bin")
    http.delete(place.at("a.bin"))
    statuses = [http.put(place.by_id(ticket["file_id"]), params={"deleted": "False"}).status_code for _ in range(2)]
    assert statuses == [204, 204]


def test_what_was_never_there_cannot_be_restored(place: Place, http: httpx.Client) -> None:
    assert refusal(http.put(place.by_id(str(uuid.uuid4())), params={"deleted": "false"})) == NOT_FOUND


def test_an_upload_under_way_ends_with_its_file(place: Place, http: httpx.Client) -> None:
    ticket = place.put("a.bin")
    under_way = place.ask("a.bin")
    http.delete(place.at("a.bin"))
    assert not send(under_way["upload"], b"too late").is_success
    assert http.put(place.by_id(ticket["file_id"]), params={"deleted": "false"}).status_code == 204
    assert place.get("a.bin")["version_id"] == ticket["version_id"]


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", {"version_id": "latest"}),
        ("GET", {"version_id": "-1"}),
        ("GET", {"version_id": "1" * 40}),
        ("GET", {"version_id": "9" * 19}),
        ("GET", {"version_id": "\u0663"}),
        ("GET", {"version_id": ""}),
        ("GET", {"include_versions": "maybe"}),
        ("PUT", {"version_id": "1.5"}),
    ],
)
def test_values_that_cannot_be_used_are_named(
    place: Place, http: httpx.Client, method: str, query: dict[str, str]
) -> None:
    ticket = place.put("a.bin")
    for address in (place.at("a.bin"), place.by_id(ticket["file_id"])):
        answer = http.request(method, address, params=query)
        assert refusal(answer) == (400, "invalid_parameter")
        assert answer.json()["parameter"] in query


@pytest.mark.parametrize("query", [{"deleted": "no"}, {"deleted": "false", "version_id": "1"}])
def test_a_restore_that_makes_no_sense_is_refused(place: Place, http: httpx.Client, query: dict[str, str]) -> None:
    ticket = place.put("a.bin")
    assert refusal(http.put(place.by_id(ticket["file_id"]), params=query)) == (400, "invalid_parameter")


def test_organization_and_workspace_are_named_by_id_or_by_name(place: Place, http: httpx.Client) -> None:
    ticket = place.put("a.bin")
    name = http.get(f"/api/workspaces/{place.workspace}").json()["name"]
    for organization in (place.organization, place.organization.upper(), "default"):
        for workspace in (place.workspace, place.workspace.upper(), name):
            assert Place(http, organization, workspace).get("a.bin")["file_id"] == ticket["file_id"]


def test_a_file_is_only_in_its_own_workspace(place: Place, http: httpx.Client) -> None:
    ticket, elsewhere = place.put("a.bin"), Place.new(http)
    address = elsewhere.by_id(ticket["file_id"])
    assert refusal(http.get(address)) == NOT_FOUND
    assert refusal(http.get(elsewhere.at("a.bin"))) == NOT_FOUND
    assert refusal(http.put(address)) == NOT_FOUND
    assert refusal(http.put(address, params={"version_id": place.ask("a.bin")["version_id"]})) == NOT_FOUND
    assert refusal(http.delete(address)) == NOT_FOUND
    http.delete(place.at("a.bin"))
    assert refusal(http.put(address, params={"deleted": "false"})) == NOT_FOUND
    assert refusal(http.get(address, params={"deleted": "true"})) == NOT_FOUND


@pytest.mark.parametrize("unknown", ["organization", "workspace"])
def test_an_unknown_organization_or_workspace_is_not_found(place: Place, http: httpx.Client, unknown: str) -> None:
    setattr(place, unknown, str(uuid.uuid4()))
    nowhere = Place(http, place.organization, place.workspace)
    assert refusal(http.get(nowhere.files)) == NOT_FOUND
    assert refusal(http.get(nowhere.at("a.bin"))) == NOT_FOUND
    assert refusal(http.put(nowhere.at("a.bin"))) == NOT_FOUND
    assert refusal(http.delete(nowhere.at("a.bin"))) == NOT_FOUND


def test_another_organizations_key_finds_nothing(place: Place, server: LiveServer, http: httpx.Client) -> None:
    ticket = place.put("a.bin")
    slug = f"org-{uuid.uuid4().hex[:12]}"
    other = http.post("/api/organizations", json={"slug": slug}).json()
    key = make_key(http, "upload", "read", "delete", organization=slug)["key"]
    with server.client(key) as stranger:
        through_own = Place(stranger, other["id"], place.workspace)
        for there in (place.seen_by(stranger), through_own):
            assert refusal(stranger.get(there.files)) == NOT_FOUND
            assert refusal(stranger.put(there.at("a.bin"))) == NOT_FOUND
            assert refusal(stranger.delete(there.at("a.bin"))) == NOT_FOUND
            assert refusal(stranger.get(there.by_id(ticket["file_id"]))) == NOT_FOUND
            assert refusal(stranger.put(there.by_id(ticket["file_id"]))) == NOT_FOUND
            assert refusal(stranger.delete(there.by_id(ticket["file_id"]))) == NOT_FOUND
    assert place.get("a.bin")["version_id"] == ticket["version_id"]


@pytest.mark.parametrize("scope", ["upload", "read", "delete"])
def test_a_scope_opens_its_calls_and_no_others(
    place: Place, server: LiveServer, http: httpx.Client, scope: str
) -> None:
    kept, doomed = place.put("kept.bin"), place.put("doomed.bin")
    calls = {
        "upload": [("PUT", place.at("kept.bin")), ("PUT", place.by_id(kept["file_id"]))],
        "read": [("GET", place.at("kept.bin")), ("GET", place.by_id(kept["file_id"])), ("GET", place.files)],
        "delete": [("DELETE", place.by_id(doomed["file_id"]))],
    }
    with server.client(make_key(http, scope)["key"]) as limited:
        for needed, requests in calls.items():
            for method, address in requests:
                answer = limited.request(method, address)
                if needed == scope:
                    assert answer.is_success, (method, answer.text)
                else:
                    assert refusal(answer) == (403, "forbidden")


@pytest.mark.parametrize("key", ["", "ff_nonsense"])
def test_without_a_good_key_nothing_is_told(place: Place, server: LiveServer, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=server.url, trust_env=False, headers=headers) as stranger:
        for method, address in [
            ("GET", f"{place.files}?limit=0"),
            ("PUT", place.at("../a")),
            ("DELETE", place.at("a")),
        ]:
            answer = stranger.request(method, address)
            assert refusal(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_deleting_a_file_ends_what_is_on_its_way_to_it(place: Place) -> None:
    place.put("a.txt", b"first")
    on_its_way = place.ask("a.txt")
    assert place.http.delete(place.at("a.txt")).status_code == 204
    assert send(on_its_way["upload"], b"second", headers={"x-ms-blob-type": "BlockBlob"}).status_code in (404, 409, 410)
    assert place.http.get(place.at("a.txt")).status_code == 404
