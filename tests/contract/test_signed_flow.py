"""The signed flow: tickets, statuses, lists, attachments and refusals, each end user's by itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.edge import eventually, fetch
from contract.signed import CONFLICT, FINE, INVALID, PDF, REFUSED, UNKNOWN, EndUser, answered, office, refusal
from fileferry.api import signed
from fileferry.errors import CATALOGUE, FerryError
from support.live_server import LiveServer, MakeServer
from wire.asking import send

ALLOWED = [
    "text/csv",
    "text/plain",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
]
DOCUMENTS = {
    "report.pdf": PDF,
    "report.docx": office("docx"),
    "figures.xlsx": office("xlsx"),
    "figures.csv": b"name,amount\r\nferry,3\r\n",
    "notes.txt": "Grüße\n".encode(),
    "notes": b"no extension\n",
}
PROGRAM = b"MZ\x90\0\x03\0\0\0" + bytes(52) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0L\x01" + bytes(512)
MIB = 1024**2


@pytest.fixture
def user(http: httpx.Client) -> EndUser:
    """An end user without files."""
    return EndUser(http)


@pytest.fixture
def other(http: httpx.Client) -> EndUser:
    """Another one."""
    return EndUser(http)


@pytest.fixture
def foreigner(http: httpx.Client, server: LiveServer, user: EndUser) -> Iterator[EndUser]:
    """An end user of the same id, of another organization."""
    slug = f"org-{uuid.uuid4().hex}"
    assert http.post("/api/organizations", json={"slug": slug}).status_code == 201
    made = http.post("/api/keys", json={"name": "a", "scopes": ["admin"]}, params={"organization": slug})
    with server.client(answered(made, 201)["key"]) as client:
        yield EndUser(client, user.id)


def test_a_ticket_tells_where_the_bytes_go_and_what_may_come(user: EndUser, server: LiveServer) -> None:
    ticket = user.ask("report.pdf")
    assert ticket == {
        "expires_in": 600,
        "file_id": ticket["file_id"],
        "file_limits": {"allowed_types": ALLOWED, "max_size": 10 * MIB},
        "file_url": ticket["file_url"],
    }
    assert ticket["file_url"].startswith(f"{server.url}/u/")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_processed_and_served(user: EndUser, name: str) -> None:
    file_id = user.sends(DOCUMENTS[name], name)
    # There is no scanner here, and the steps do not tell of one.
    assert user.settled(file_id) == {"processing_status": "PROCESSED", "processing_steps": [], "warnings": FINE}
    shown = user.shows(file_id)
    assert (shown["file_name"], shown["size"], shown["reason"]) == (name, len(DOCUMENTS[name]), None)
    assert shown["content_type"] in ALLOWED
    assert fetch(shown["url"]).content == DOCUMENTS[name]


def test_any_protocol_of_the_signed_url_brings_the_bytes(user: EndUser) -> None:
    ticket = user.ask("a.pdf")
    answer = send(ticket["file_url"], PDF, headers={"x-ms-blob-type": "BlockBlob", "x-ms-version": "2023-11-03"})
    assert answer.status_code == 201, answer.text
    assert user.settled(ticket["file_id"])["processing_status"] == "PROCESSED"


def test_a_file_is_pending_until_its_bytes_come(user: EndUser) -> None:
    ticket = user.ask("a.pdf")
    status = user.status(ticket["file_id"])
    assert status == {"processing_status": "PENDING", "processing_steps": [], "warnings": FINE}
    assert user.page()["total"] == 0
    shown = user.shows(ticket["file_id"])
    assert (shown["file_name"], shown["processing_status"], shown["url"]) == ("a.pdf", "PENDING", None)
    assert refusal(user.attaches(ticket["file_id"], message_id="m")) == CONFLICT


def test_whoever_asks_with_a_wait_is_told_when_it_is_over(user: EndUser) -> None:
    file_id = user.sends()
    answer = user.call("GET", f"/{file_id}/status", headers={"Prefer": "wait=30"})
    assert answered(answer, 200)["processing_status"] == "PROCESSED"
    assert answer.headers["preference-applied"] == "wait=12"


@pytest.mark.parametrize("name", ["setup.exe", "archive.zip", "page.html", "movie.mp4"])
def test_a_type_that_is_not_allowed_is_refused_by_its_name(user: EndUser, name: str) -> None:
    answer = user.asks(name)
    assert refusal(answer) == REFUSED
    assert "not allowed" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["invoice.pdf", "invoice.docx", "invoice.txt", "invoice"])
def test_a_program_in_disguise_fails(user: EndUser, name: str) -> None:
    file_id = user.sends(PROGRAM, name)
    assert user.settled(file_id) == {"processing_status": "FAILED", "processing_steps": [], "warnings": FINE}
    shown = user.shows(file_id)
    assert (shown["reason"], shown["url"]) == ("type_not_allowed", None)
    assert refusal(user.attaches(file_id, message_id="m")) == CONFLICT
    assert user.page()["total"] == 0


def test_an_empty_file_fails_and_says_so(user: EndUser) -> None:
    file_id = user.sends(b"")
    status = user.settled(file_id)
    assert (status["processing_status"], status["warnings"]) == ("FAILED", {**FINE, "empty": True})


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_file_that_is_too_long_is_refused_and_says_so(user: EndUser, is_announced: bool) -> None:
    ticket = user.ask("a.txt")
    content = b"a" * (10 * MIB + 1)
    answer = send(ticket["file_url"], content if is_announced else iter([content]))
    assert answer.status_code == 413
    eventually(lambda: user.status(ticket["file_id"])["processing_status"] == "FAILED")
    assert user.status(ticket["file_id"])["warnings"] == {**FINE, "length": True}
    assert user.deletes(ticket["file_id"]).status_code == 204
    assert refusal(user.call("GET", f"/{ticket['file_id']}/status")) == UNKNOWN


def test_files_are_listed_in_pages_newest_first(user: EndUser, other: EndUser) -> None:
    made = [user.upload(filename=f"{number}.pdf") for number in range(5)]
    other.upload()
    newest_first = [{"file_id": file_id, "file_name": f"{number}.pdf"} for number, file_id in enumerate(made)][::-1]
    pages = [user.page(page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [page["files"] for page in pages] == [newest_first[:2], newest_first[2:4], newest_first[4:], []]
    assert [(page["page"], page["limit"], page["total"]) for page in pages] == [(n, 2, 5) for n in (1, 2, 3, 4)]
    assert user.page(limit=100)["limit"] == 100


@pytest.mark.parametrize("name", ["page", "limit"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "²", "99999999999"])
def test_a_page_that_cannot_be_is_refused(user: EndUser, name: str, value: str) -> None:
    assert refusal(user.call("GET", "", params={name: value})) == INVALID


def test_a_page_has_at_most_a_hundred_files(user: EndUser) -> None:
    assert refusal(user.call("GET", "", params={"limit": 101})) == INVALID


def test_a_deleted_file_is_gone(user: EndUser) -> None:
    file_id = user.upload()
    url = user.shows(file_id)["url"]
    deleted = user.deletes(file_id)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert refusal(user.deletes(file_id)) == UNKNOWN
    assert refusal(user.call("GET", f"/{file_id}/status")) == UNKNOWN
    assert fetch(url).status_code == 410
    assert user.page()["total"] == 0


def test_a_file_deleted_before_its_bytes_came_takes_none(user: EndUser) -> None:
    ticket = user.ask()
    assert user.deletes(ticket["file_id"]).status_code == 204
    assert refusal(user.deletes(ticket["file_id"])) == UNKNOWN
    assert refusal(user.call("GET", f"/{ticket['file_id']}/status")) == UNKNOWN
    assert send(ticket["file_url"], PDF).status_code == 410


def test_a_transient_file_ends_after_a_day(user: EndUser) -> None:
    kept, transient = user.shows(user.upload()), user.shows(user.upload(persist="False"))
    assert kept["expires_at"] is None
    assert transient["expires_at"] is not None
    assert user.listed() == [transient["file_id"], kept["file_id"]]


# Attachments


@pytest.mark.parametrize("kind", ["message_id", "thread_id"])
def test_an_attached_file_outlives_its_deletion_until_it_is_released(user: EndUser, kind: str) -> None:
    file_id = user.upload()
    attached = answered(user.attaches(file_id, **{kind: "7f"}), 200)
    assert {**attached, "attached_at": ""} == {
        "file_id": file_id,
        "message_id": None,
        "thread_id": None,
        "attached_at": "",
        kind: "7f",
    }
    url = user.shows(file_id)["url"]
    assert user.deletes(file_id).status_code == 204
    assert user.page() == {"files": [], "limit": 50, "page": 1, "total": 0}
    assert user.status(file_id)["processing_status"] == "PROCESSED"
    assert fetch(url).content == PDF
    assert user.releases(file_id, **{kind: "7f"}).status_code == 204
    assert fetch(url).status_code == 410
    assert refusal(user.call("GET", f"/{file_id}/status")) == UNKNOWN


def test_the_last_reference_decides(user: EndUser) -> None:
    file_id = user.upload()
    for target in ({"message_id": "1"}, {"message_id": "2"}, {"thread_id": "1"}):
        user.attaches(file_id, **target)
    user.deletes(file_id)
    user.releases(file_id, message_id="1")
    user.releases(file_id, thread_id="1")
    assert user.status(file_id)["processing_status"] == "PROCESSED"
    user.releases(file_id, message_id="2")
    assert refusal(user.call("GET", f"/{file_id}")) == UNKNOWN


def test_a_file_that_is_released_before_it_is_deleted_stays(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, thread_id="t")
    assert user.releases(file_id, thread_id="t").status_code == 204
    assert user.listed() == [file_id]


def test_attaching_again_is_no_error(user: EndUser) -> None:
    file_id = user.upload()
    first = answered(user.attaches(file_id, message_id="m"), 200)
    assert answered(user.attaches(file_id, message_id="m"), 200) == first
    user.deletes(file_id)
    assert answered(user.attaches(file_id, message_id="m"), 200) == first
    assert refusal(user.attaches(file_id, message_id="another")) == UNKNOWN


def test_what_is_not_attached_cannot_be_released(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m")
    assert refusal(user.releases(file_id, thread_id="m")) == UNKNOWN
    assert user.releases(file_id, message_id="m").status_code == 204
    assert refusal(user.releases(file_id, message_id="m")) == UNKNOWN


def test_a_deletion_that_waits_for_a_release_is_not_made_twice(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m")
    assert user.deletes(file_id).status_code == 204
    assert refusal(user.deletes(file_id)) == UNKNOWN


def test_a_release_may_name_what_holds_in_its_query(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m&1")
    released = user.call("DELETE", f"/{file_id}/attach", params={"message_id": "m&1"})
    assert (released.status_code, released.content) == (204, b"")


def test_attachments_are_listed_in_pages_oldest_first(user: EndUser) -> None:
    file_id = user.upload()
    made = [answered(user.attaches(file_id, message_id=str(number)), 200) for number in range(3)]
    page = answered(user.call("GET", f"/{file_id}/attach", params={"limit": 2}), 200)
    assert page == {"attachments": made[:2], "limit": 2, "page": 1, "total": 3}
    further = answered(user.call("GET", f"/{file_id}/attach", params={"limit": 2, "page": 2}), 200)
    assert further["attachments"] == made[2:]


@pytest.mark.parametrize(
    "target",
    [{}, {"message_id": "a", "thread_id": "b"}, {"message_id": ""}, {"thread_id": "a" * 256}, {"message_id": 7}],
)
def test_a_target_is_one_message_or_one_thread(user: EndUser, target: dict[str, Any]) -> None:
    file_id = user.upload()
    assert refusal(user.attaches(file_id, **target)) == INVALID
    assert refusal(user.releases(file_id, **target)) == INVALID


def test_the_operator_deletes_what_is_attached(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m")
    assert user.http.delete(f"/api/files/{file_id}").status_code == 204
    assert refusal(user.call("GET", f"/{file_id}/status")) == UNKNOWN


def test_whichever_call_deletes_for_a_user_what_is_attached_stays(user: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m")
    assert user.http.delete(f"/api/files/{file_id}", headers={"user-id": user.id}).status_code == 204
    assert user.page()["total"] == 0
    assert user.status(file_id)["processing_status"] == "PROCESSED"


# Whose files they are


def calls(user: EndUser, file_id: str) -> list[httpx.Response]:
    """Make every call of the flow that is about one file."""
    return [
        user.call("GET", f"/{file_id}"),
        user.call("GET", f"/{file_id}/status"),
        user.call("GET", f"/{file_id}/attach"),
        user.attaches(file_id, message_id="n"),
        user.releases(file_id, message_id="m"),
        user.deletes(file_id),
    ]


def test_a_file_is_there_for_its_user_only(user: EndUser, other: EndUser, foreigner: EndUser) -> None:
    file_id = user.upload()
    user.attaches(file_id, message_id="m")
    pending = user.ask()["file_id"]
    for somebody in (other, foreigner):
        assert somebody.page()["total"] == 0
        for id in (file_id, pending):
            refusals = calls(somebody, id)
            assert {refusal(answer) for answer in refusals} == {UNKNOWN}
            # Nothing tells a file of somebody else's from one that never was.
            assert {answer.text for answer in refusals} == {
                answer.text for answer in calls(somebody, str(uuid.uuid4()))
            }
    assert user.listed() == [file_id]
    assert user.status(pending)["processing_status"] == "PENDING"


def test_a_key_acts_for_the_users_that_it_may_act_for(user: EndUser, other: EndUser, server: LiveServer) -> None:
    asked = {"name": "a", "scopes": ["upload", "read"], "on_behalf_of": [user.id]}
    made = answered(user.http.post("/api/keys", json=asked), 201)
    file_id = user.upload()
    with server.client(made["key"]) as http:
        assert EndUser(http, user.id).listed() == [file_id]
        stranger = EndUser(http, other.id)
        refusals = [stranger.asks(), stranger.call("GET", ""), stranger.call("GET", f"/{file_id}/status")]
    assert {refusal(answer) for answer in refusals} == {(403, "attachment_access_forbidden")}


def test_the_limits_told_and_enforced_are_those_of_the_organization_too(http: httpx.Client, server: LiveServer) -> None:
    limits = {"max_size": 1000, "types": ["text/plain", "image/png"]}
    asked = {"slug": f"org-{uuid.uuid4().hex}", "end_user_limits": limits}
    slug = answered(http.post("/api/organizations", json=asked), 201)["slug"]
    made = http.post("/api/keys", json={"name": "a", "scopes": ["upload", "read"]}, params={"organization": slug})
    with server.client(answered(made, 201)["key"]) as client:
        user = EndUser(client)
        ticket = user.ask("a.txt")
        assert ticket["file_limits"] == {"allowed_types": ["text/plain", "image/png"], "max_size": 1000}
        assert send(ticket["file_url"], bytes(1001)).status_code == 413
        assert refusal(user.asks("a.pdf")) == REFUSED
        user.upload(b"a" * 1000, "a.txt")


def test_who_acts_for_nobody_gets_the_file_by_the_native_api(user: EndUser) -> None:
    file_id = user.upload(filename="a.pdf")
    file = answered(user.http.get(f"/api/files/{file_id}"), 200)
    assert (file["name"], file["status"]) == ("a.pdf", "ready")
    assert fetch(file["url"]).content == PDF


def test_the_header_selects_the_flow(user: EndUser) -> None:
    file_id = user.upload()
    assert user.http.get(f"/v1/files/{file_id}").json()["filename"] == "a.pdf"
    assert "next_cursor" in user.http.get("/v1/files", params={"limit": 1}).json()
    assert user.http.delete(f"/v1/files/{uuid.uuid4()}").json()["error"]["code"] == "not_found"
    folder = user.http.post("/v1/folders", json={"name": str(uuid.uuid4())}).json()["id"]
    assert refusal(user.call("GET", f"/{folder}")) == UNKNOWN


# Refusals


def test_every_call_of_the_flow_names_a_user(http: httpx.Client) -> None:
    file_id = uuid.uuid4()
    assert refusal(http.get("/v1/files/signed-url", params={"filename": "a.pdf"})) == REFUSED
    assert refusal(http.get(f"/v1/files/{file_id}/status")) == REFUSED
    assert refusal(http.post(f"/v1/files/{file_id}/attach", json={"message_id": "m"})) == REFUSED


@pytest.mark.parametrize("name", ["", "a" * 256, "a\tb"])
def test_a_user_needs_a_name(http: httpx.Client, name: str) -> None:
    assert refusal(http.get("/v1/files", headers={"user-id": name})) == INVALID


def test_a_request_without_a_key_is_unauthorized(user: EndUser, server: LiveServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as stranger:
        anybody = EndUser(stranger, user.id)
        answers = [anybody.asks(), anybody.call("GET", ""), *calls(anybody, str(uuid.uuid4()))]
    assert {refusal(answer) for answer in answers} == {(401, "unauthorized")}
    assert {answer.json()["detail"] for answer in answers} == {"Missing or invalid API key"}


def test_a_key_without_the_right_is_forbidden(user: EndUser, server: LiveServer) -> None:
    file_id = user.upload()
    made = answered(user.http.post("/api/keys", json={"name": "a", "scopes": ["read"]}), 201)
    with server.client(made["key"]) as http:
        reader = EndUser(http, user.id)
        assert reader.listed() == [file_id]
        forbidden = [reader.asks(), reader.attaches(file_id, message_id="m"), reader.deletes(file_id)]
    assert {refusal(answer) for answer in forbidden} == {(403, "attachment_access_forbidden")}


@pytest.mark.parametrize("query", [{}, {"filename": ""}, {"filename": "a.pdf", "persist": "maybe"}, {"filename": ".."}])
def test_a_ticket_that_cannot_be_is_refused(user: EndUser, query: dict[str, str]) -> None:
    assert refusal(user.call("GET", "/signed-url", params=query)) == INVALID


def test_what_the_framework_refuses_has_the_shape_of_the_flow(user: EndUser) -> None:
    assert refusal(user.call("GET", "/a/b/c")) == UNKNOWN
    assert refusal(user.call("POST", "/signed-url")) == (405, "attachment_url_invalid")
    assert refusal(user.call("PATCH", "")) == (405, "attachment_url_invalid")
    assert refusal(user.call("POST", f"/{uuid.uuid4()}/attach", content=b"{")) == REFUSED


def test_too_many_requests_are_told_in_the_words_of_the_flow(make_server: MakeServer) -> None:
    server = make_server(key_requests="2/hour")
    with server.client() as http:
        user = EndUser(http)
        answers = [user.asks() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json() == {"message": "Rate limit exceeded!"}
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.code)
def test_every_error_has_a_status_and_a_code_of_the_flow(kind: type[FerryError]) -> None:
    answer = signed.render_error(None, kind("Something of its own."))  # type: ignore[arg-type]
    body = httpx.Response(answer.status_code or 0, content=answer.content).json()
    if kind.status == 429:
        assert body == {"message": "Rate limit exceeded!"}
    else:
        assert answer.status_code in (400, 401, 403, 404, 405, 409, 422, 500, 503)
        assert (kind.status < 500) == (answer.status_code < 500)
        assert body.keys() == {"error_code", "detail"}
