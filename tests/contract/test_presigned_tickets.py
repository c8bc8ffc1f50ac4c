"""The presigned flow gives tickets in batches, confirms all or none, and lists only what was confirmed."""

from __future__ import annotations

import hashlib
import os
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import crc32c_hex
from support.live_server import LiveServer
from wire.asking import ask, ask_one, confirm, confirmed, etag_of, fetch, new_folder, send

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error of an answer that must be one, in the flow's envelope."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert (error["code"], error["request_id"]) == (code, answer.headers["x-request-id"])
    return error


def listed(http: httpx.Client, folder: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = http.get(f"/v1/files/{folder}").json()["files"]
    return files


def test_a_thousand_tickets_come_in_the_order_asked_for(http: httpx.Client) -> None:
    names = [f"{number:04}.txt" for number in range(1000, 0, -1)]
    folder = new_folder(http)
    tickets = ask(http, *({"name": name, "size": len(name)} for name in names), folder=folder)
    assert [ticket["s3Key"].rpartition("/")[2] for ticket in tickets] == names
    assert len({ticket["id"] for ticket in tickets}) == 1000
    for ticket, name in list(zip(tickets, names, strict=True))[::499]:
        assert send(ticket["url"], name.encode()).status_code == 200
        assert confirmed(http, ticket) == name.encode()
    assert [file["name"] for file in listed(http, folder)] == names[::499]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_is_of_1_to_1000(http: httpx.Client, count: int) -> None:
    files = [{"name": "a", "size": 1}] * count
    refused(http.post(f"/v1/files/{new_folder(http)}", json={"filesMetadata": files}), 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        ({"name": "..", "size": 1}, 400, "invalid_name"),
        ({"name": "a", "size": -1}, 400, "invalid_parameter"),
        ({"name": "a", "size": 2**50}, 413, "file_too_large"),
        ({"name": "a", "size": 1, "checksum": "xyz"}, 400, "invalid_digest"),
        ({"name": "a", "size": 1, "expires_in": "soon"}, 400, "invalid_expiry"),
        ({"name": "a"}, 400, "invalid_parameter"),
        ({"name": "a", "size": "1"}, 400, "invalid_parameter"),
    ],
)
def test_one_bad_entry_refuses_the_whole_batch(http: httpx.Client, bad: dict[str, Any], status: int, code: str) -> None:
    folder = new_folder(http)
    files = [{"name": "good", "size": 1}, bad, {"name": "good too", "size": 1}]
    refused(http.post(f"/v1/files/{folder}", json={"filesMetadata": files}), status, code)
    # Had a ticket been made, its upload would be under way and keep the folder.
    assert http.delete(f"/v1/folders/{folder}").status_code == 204


def test_a_folder_with_an_upload_under_way_stays(http: httpx.Client) -> None:
    folder = new_folder(http)
    ask(http, {"name": "a", "size": 1}, folder=folder)
    refused(http.delete(f"/v1/folders/{folder}"), 409, "conflict")


def test_a_ticket_tells_where_how_much_and_until_when(http: httpx.Client) -> None:
    (ticket,) = ask(http, {"name": "a b.pdf", "size": 17})
    assert set(ticket) >= {"id", "url", "s3Key", "headers", "expiresAt"}
    assert ticket["headers"] == {}
    assert ticket["limits"] == {"size": 17, "maxSize": 17}
    token = ticket["s3Key"].split("/")[1]
    assert len(token) >= 40
    assert token not in ticket["url"]
    assert ticket["s3Key"].endswith("/a%20b.pdf")


def test_tickets_need_a_folder_of_this_organization(http: httpx.Client) -> None:
    refused(
        http.post(f"/v1/files/{uuid.uuid4()}", json={"filesMetadata": [{"name": "a", "size": 1}]}), 404, "not_found"
    )


def test_a_plain_put_answers_with_the_etag_of_s3_and_what_arrived(http: httpx.Client) -> None:
    content = os.urandom(1000)
    ticket = ask_one(http, 1000)
    answer = send(ticket["url"], content)
    assert answer.headers["etag"] == etag_of(content)
    assert answer.json()["size"] == 1000
    assert answer.json()["crc32c"] == crc32c_hex(content)


def test_nothing_is_served_or_listed_before_it_is_confirmed(http: httpx.Client) -> None:
    folder = new_folder(http)
    (ticket,) = ask(http, {"name": "a", "size": 3}, folder=folder)
    send(ticket["url"], b"abc")
    assert (fetch(http, ticket["s3Key"]).status_code, listed(http, folder)) == (404, [])
    assert http.get(f"/v1/files/{ticket['id']}").status_code == 404
    assert confirmed(http, ticket) == b"abc"
    assert [file["id"] for file in listed(http, folder)] == [ticket["id"]]


def test_confirming_again_gives_the_same_answer(http: httpx.Client) -> None:
    ticket = ask_one(http, 3, contentType="image/png", expires_in="1h")
    send(ticket["url"], b"abc")
    first = confirm(http, ticket["id"])
    (file,) = first.json()["files"]
    assert (file["id"], file["name"], file["size"], file["uploaded"]) == (ticket["id"], "a.bin", 3, True)
    assert (file["s3Key"], file["contentType"]) == (ticket["s3Key"], "image/png")
    assert file["url"] == f"{str(http.base_url).rstrip('/')}/{ticket['s3Key']}"
    assert file["expiresAt"] is not None
    assert confirm(http, ticket["id"]).json() == first.json()


def test_confirmation_is_all_or_nothing_and_names_what_never_arrived(http: httpx.Client) -> None:
    folder = new_folder(http)
    tickets = ask(http, *({"name": str(number), "size": 1} for number in range(4)), folder=folder)
    for ticket in (tickets[0], tickets[2]):
        send(ticket["url"], b"x")
    ids = [ticket["id"] for ticket in tickets]
    error = refused(confirm(http, *ids), 409, "not_uploaded")
    assert error["ids"] == [ids[1], ids[3]]
    assert listed(http, folder) == []
    for ticket in (tickets[3], tickets[1]):
        send(ticket["url"], b"y")
    assert [file["id"] for file in confirm(http, *reversed(ids)).json()["files"]] == ids[::-1]
    assert [file["id"] for file in listed(http, folder)] == ids


def test_an_unknown_id_confirms_nothing(http: httpx.Client) -> None:
    folder = new_folder(http)
    (ticket,) = ask(http, {"name": "a", "size": 1}, folder=folder)
    send(ticket["url"], b"x")
    unknown = str(uuid.uuid4())
    assert refused(confirm(http, ticket["id"], unknown), 404, "not_found")["ids"] == [unknown]
    assert listed(http, folder) == []


def test_a_file_sent_again_before_confirmation_replaces_the_first(http: httpx.Client) -> None:
    ticket = ask_one(http, 3)
    for content in (b"one", b"two", b"two"):
        assert send(ticket["url"], content).status_code == 200
    assert confirmed(http, ticket) == b"two"


def test_the_url_is_spent_once_the_file_is_confirmed(http: httpx.Client) -> None:
    ticket = ask_one(http, 3)
    send(ticket["url"], b"one")
    confirm(http, ticket["id"])
    again = send(ticket["url"], b"two")
    assert (again.status_code, again.json()["code"]) == (409, "already_uploaded")
    assert fetch(http, ticket["s3Key"]).content == b"one"


def test_a_deleted_file_cannot_be_confirmed_back(http: httpx.Client) -> None:
    ticket = ask_one(http, 1)
    send(ticket["url"], b"x")
    confirm(http, ticket["id"])
    assert http.delete(f"/v1/files/{ticket['id']}").status_code == 204
    assert refused(confirm(http, ticket["id"]), 410, "gone")["ids"] == [ticket["id"]]


def test_a_folder_is_listed_in_pages(http: httpx.Client) -> None:
    folder = new_folder(http)
    tickets = ask(http, *({"name": "same.txt", "size": 1} for _ in range(5)), folder=folder)
    for ticket in tickets:
        send(ticket["url"], b"x")
    confirm(http, *(ticket["id"] for ticket in tickets))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = http.get(f"/v1/files/{folder}", params={"limit": 2, "cursor": cursor}).json()
        assert 1 <= len(page["files"]) <= 2
        seen += [file["id"] for file in page["files"]]
        cursor = page["nextCursor"]
    assert seen == [ticket["id"] for ticket in tickets]


def test_a_promised_checksum_is_held_against_the_bytes(http: httpx.Client) -> None:
    content = b"promised"
    checksums = (hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest(), crc32c_hex(content).upper())
    for checksum in checksums:
        ticket = ask_one(http, len(content), checksum=checksum)
        wrong = send(ticket["url"], b"PROMISED")
        assert (wrong.status_code, wrong.json()["code"]) == (400, "digest_mismatch")
        refused(confirm(http, ticket["id"]), 409, "not_uploaded")
        assert send(ticket["url"], content).status_code == 200
        assert confirmed(http, ticket) == content


def test_a_file_is_confirmed_by_its_id_alone_after_a_restart(make_server: MakeServer) -> None:
    own = make_server()
    with own.client() as http:
        ticket = ask_one(http, 5)
        send(ticket["url"], b"early")
    own.kill()
    own.start()
    with own.client() as http:
        assert confirmed(http, ticket) == b"early"


def test_another_organization_sees_neither_folder_nor_tickets(http: httpx.Client, stranger: httpx.Client) -> None:
    folder = new_folder(http)
    (ticket,) = ask(http, {"name": "a", "size": 1}, folder=folder)
    send(ticket["url"], b"x")
    refused(confirm(stranger, ticket["id"]), 404, "not_found")
    refused(stranger.get(f"/v1/files/{folder}"), 404, "not_found")
    refused(stranger.post(f"/v1/files/{folder}", json={"filesMetadata": [{"name": "a", "size": 1}]}), 404, "not_found")
    refused(stranger.delete(f"/v1/folders/{folder}"), 404, "not_found")
    assert folder not in [entry["id"] for entry in stranger.get("/v1/folders").json()["folders"]]
    assert confirmed(http, ticket) == b"x"


def test_fixed_words_win_over_ids(http: httpx.Client) -> None:
    """A body that only fits one of the two calls tells which of them was meant."""
    assert "ids" in refused(http.post("/v1/files/confirm-upload", json={}), 400, "invalid_parameter")["message"]
    refused(http.post("/v1/files/confirm-upload", json={"ids": [str(uuid.uuid4())]}), 404, "not_found")


def test_making_a_folder_again_finds_it(http: httpx.Client) -> None:
    name = f"in box/{uuid.uuid4()}"
    made = [http.post("/v1/folders", json={"name": name}).json() for _ in range(2)]
    assert made[0] == made[1]
    assert (made[0]["path"], made[0]["name"]) == (name, name.partition("/")[2])


@pytest.fixture
def stranger(http: httpx.Client, server: LiveServer) -> Any:
    """A client with every right in another organization."""
    slug = f"o{uuid.uuid4().hex[:12]}"
    assert http.post("/api/organizations", json={"slug": slug}).status_code == 201
    scopes = ["upload", "read", "delete", "admin"]
    made = http.post("/api/keys", params={"organization": slug}, json={"name": "k", "scopes": scopes}).json()
    with server.client(made["key"]) as client:
        yield client


def test_a_key_that_may_only_read_gets_no_ticket(http: httpx.Client, server: LiveServer) -> None:
    folder = new_folder(http)
    key = http.post("/api/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    with server.client(key) as reader:
        asked = {"filesMetadata": [{"name": "a", "size": 1}]}
        refused(reader.post(f"/v1/files/{folder}", json=asked), 403, "forbidden")
        refused(confirm(reader, str(uuid.uuid4())), 403, "forbidden")
        refused(reader.post(f"/v1/files/multipart/{folder}/initiate", json={"name": "a", "size": 1}), 403, "forbidden")
