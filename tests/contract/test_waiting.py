"""``Prefer: wait`` on every flow: an answer is put off until the file is judged, and no longer than was asked."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import eventually, head_of
from support.live_server import LiveServer
from support.live_worker import LiveWorker

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

TEXT = b"some text"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
WAIT = {"Prefer": "wait=50"}
MANY = 1000


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server whose files are judged only while there is a worker."""
    settings = {"allowed_types": "text/plain", "processing": "worker", "max_wait": "60s"}
    live = LiveServer(tmp_path_factory.mktemp("held"), settings)
    try:
        live.start()
        yield live
    finally:
        live.close()


def put(http: httpx.Client, path: str, content: bytes = TEXT, **headers: str) -> dict[str, Any]:
    """Upload a file to a path."""
    answer = http.put(f"/api/upload/{path}", content=content, headers=headers)
    assert answer.is_success, answer.text
    file: dict[str, Any] = answer.json()
    return file


def sent_ticket(http: httpx.Client, **more: Any) -> dict[str, Any]:
    """Ask for an upload and send its bytes."""
    opened = http.post("/api/uploads", json={"name": "ticket.txt", "size": len(TEXT), **more}).json()
    httpx.put(opened["url"], content=TEXT).raise_for_status()
    ticket: dict[str, Any] = opened
    return ticket


def ask_every_flow(http: httpx.Client) -> dict[str, Callable[[], httpx.Response]]:
    """Return a question about a file that is still to be judged, of each call of each flow that waits."""
    file = put(http, "folder/asked.txt")
    organization, workspace, id = file["organization_id"], file["workspace_id"], file["id"]
    files = f"/file/v2/orgs/{organization}/workspaces/{workspace}/files"
    automatic, by_hand = sent_ticket(http, auto_complete=True), sent_ticket(http)
    folder = http.post("/v1/folders", json={"name": "presigned"}).json()["id"]
    described = {"name": "presigned.txt", "size": len(TEXT)}
    ticket = http.post(f"/v1/files/{folder}", json={"filesMetadata": [described]}).json()["urls"][0]
    httpx.put(ticket["url"], content=TEXT, headers=ticket["headers"]).raise_for_status()
    large = {"filename": "large.txt", "file_size": len(TEXT), "mime_type": "text/plain"}
    session = http.post(f"/v1/organizations/{organization}/files/upload-url", json=large).json()
    httpx.put(session["upload_url"], content=TEXT, headers={"Content-Type": "text/plain"}).raise_for_status()
    coded = {"filename": "coded.txt", "base64": base64.b64encode(TEXT).decode()}
    form = {"file": ("form.txt", TEXT, "text/plain")}

    def get(path: str) -> Callable[[], httpx.Response]:
        return lambda: http.get(path, headers=WAIT)

    def post(path: str, **body: Any) -> Callable[[], httpx.Response]:
        return lambda: http.post(path, headers=WAIT, **body)

    return {
        "native, by id": get(f"/api/files/{id}"),
        "native, by version": get(f"/api/files/{id}?version_id={file['version_id']}"),
        "native, by path": get("/api/files/path/folder/asked.txt"),
        "native, put": lambda: http.put("/api/upload/put.txt", content=TEXT, headers=WAIT),
        "native, hand-off": post("/api/upload/handed.txt", content=TEXT),
        "native, upload": get(f"/api/uploads/{automatic['id']}"),
        "native, complete": post(f"/api/uploads/{by_hand['id']}/complete"),
        "one call, by id": get(f"/v1/files/{id}"),
        "one call, form": post("/v1/files", files=form),
        "one call, JSON": post("/v1/files", json=coded),
        "presigned, confirm": post("/v1/files/confirm-upload", json={"ids": [ticket["id"]]}),
        "workspaces, by id": get(f"{files}/{id}"),
        "workspaces, by path": get(f"{files}/path/folder/asked.txt"),
        "organizations, by id": get(f"/v1/organizations/{organization}/files/{id}"),
        "organizations, register": post(
            f"/v1/organizations/{organization}/files", json={**large, "gcs_path": session["gcs_path"]}
        ),
        "organizations, form": post(f"/v1/organizations/{organization}/files/upload", files=form),
    }


def test_every_flow_waits_until_a_file_is_judged(held: LiveServer) -> None:
    with held.client() as http, ThreadPoolExecutor(32) as threads:
        questions = ask_every_flow(http)
        asked = {name: threads.submit(question) for name, question in questions.items()}
        eventually(lambda: _running(held) > len(asked))
        assert not any(answer.done() for answer in asked.values())
        with LiveWorker(held):
            answers = {name: answer.result(60) for name, answer in asked.items()}
        assert {name for name, answer in answers.items() if not answer.is_success} == set()
        assert {answer.headers.get("preference-applied") for answer in answers.values()} == {"wait=50"}
        said = {name: answer.json() for name, answer in answers.items()}
        statuses = {name: body["status"] for name, body in said.items() if "status" in body}
        assert {name: status for name, status in statuses.items() if status not in ("ready", "completed")} == {}
        assert said["native, upload"]["state"] == "completed"
        (confirmed,) = said["presigned, confirm"]["files"]
        urls = (confirmed["url"], said["workspaces, by id"]["download"], said["workspaces, by path"]["download"])
        assert [httpx.get(url).content for url in urls] == [TEXT] * 3


def test_a_file_that_is_rejected_ends_the_wait(held: LiveServer) -> None:
    with held.client() as http, LiveWorker(held):
        file = put(http, "disguised.txt", PDF, **WAIT)
        assert (file["status"], file["reason"]) == ("rejected", "type_not_allowed")
        of_one_call = http.get(f"/v1/files/{file['id']}").json()
        assert (of_one_call["status"], of_one_call["reason"]) == ("rejected", "type_not_allowed")
        plain = {"Accept": "text/plain", **WAIT}
        answer = http.put("/api/upload/again.txt", content=PDF, headers=plain)
        assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
            422,
            "rejected",
            "type_not_allowed",
        )
        folder = http.post("/v1/folders", json={"name": "refused"}).json()["id"]
        described = {"name": "refused.txt", "size": len(PDF)}
        ticket = http.post(f"/v1/files/{folder}", json={"filesMetadata": [described]}).json()["urls"][0]
        httpx.put(ticket["url"], content=PDF, headers=ticket["headers"]).raise_for_status()
        (confirmed,) = http.post("/v1/files/confirm-upload", json={"ids": [ticket["id"]]}, headers=WAIT).json()["files"]
        assert (confirmed["status"], confirmed["reason"]) == ("rejected", "type_not_allowed")


def test_a_url_alone_tells_by_its_status_that_the_wait_was_too_short(held: LiveServer) -> None:
    with held.client() as http:
        plain = {"Accept": "text/plain"}
        waited = http.put("/api/upload/plain.txt", content=TEXT, headers={**plain, "Prefer": "wait=1"})
        assert (waited.status_code, waited.text.count("/f/")) == (202, 1)
        assert http.put("/api/upload/unasked.txt", content=TEXT, headers=plain).status_code == 201


def test_what_is_settled_is_answered_at_once(server: LiveServer) -> None:
    with server.client() as http:
        began = time.monotonic()
        file = put(http, "settled.txt", Prefer="wait=60")
        answer = http.get(f"/api/files/{file['id']}", headers={"Prefer": "wait=60"})
        missing = http.get(f"/api/files/{file['workspace_id']}", headers={"Prefer": "wait=60"})
        assert time.monotonic() - began < 20
        assert (file["status"], answer.json()["status"], missing.status_code) == ("ready", "ready", 404)
        assert answer.headers["preference-applied"] == missing.headers["preference-applied"] == "wait=12"


def test_after_the_time_the_answer_is_how_things_are(held: LiveServer) -> None:
    with held.client() as http:
        file = put(http, "slow.txt")
        began = time.monotonic()
        answer = http.get(f"/api/files/{file['id']}", headers={"Prefer": "wait=1"})
        assert time.monotonic() - began >= 1
        assert (answer.status_code, answer.json()["status"]) == (200, "processing")


@pytest.mark.parametrize(
    ("fields", "applied"),
    [
        (["wait=999999"], "wait=12"),
        (["wait=99999999999999999999999"], "wait=12"),
        (["respond-async", "wait=0"], "wait=0"),
        (["respond-async, wait=0; strict, handling=lenient"], "wait=0"),
        (['return=minimal; foo="a, wait=7", WAIT = "0"'], "wait=0"),
        (["wait=0, wait=5"], "wait=0"),
        (["wait=soon, wait=0"], "wait=0"),
        (["wait"], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["waiting=5"], None),
        (['foo="'], None),
        ([""], None),
    ],
)
def test_preferences_are_read_as_their_rfc_says(server: LiveServer, fields: list[str], applied: str | None) -> None:
    with server.client() as http:
        file = put(http, "preferred.txt")
        headers = httpx.Headers([("Prefer", field) for field in fields])
        answer = http.get(f"/api/files/{file['id']}", headers=headers)
        assert (answer.status_code, answer.headers.get("preference-applied")) == (200, applied)


def test_a_deletion_ends_the_wait(held: LiveServer) -> None:
    with held.client() as http, ThreadPoolExecutor(1) as threads:
        file = put(http, "deleted.txt")
        asked = threads.submit(http.get, f"/api/files/{file['id']}", headers=WAIT)
        eventually(lambda: _running(held) > 1)
        http.delete(f"/api/files/{file['id']}").raise_for_status()
        assert asked.result(50).status_code == 404


def test_giving_up_an_upload_ends_the_wait_for_it(server: LiveServer) -> None:
    with server.client() as http, ThreadPoolExecutor(1) as threads:
        upload = http.post("/api/uploads", json={"name": "never.txt", "size": 1}).json()
        asked = threads.submit(http.get, f"/api/uploads/{upload['id']}", headers=WAIT)
        eventually(lambda: _running(server) > 1)
        http.delete(f"/api/uploads/{upload['id']}").raise_for_status()
        assert asked.result(50).json()["state"] == "aborted"


def test_an_upload_is_waited_for_while_its_bytes_come(server: LiveServer) -> None:
    with server.client() as http, ThreadPoolExecutor(1) as threads:
        upload = http.post("/api/uploads", json={"name": "coming.txt", "size": 3, "auto_complete": True}).json()
        asked = threads.submit(http.get, f"/api/uploads/{upload['id']}", headers=WAIT)
        eventually(lambda: _running(server) > 1)
        httpx.put(upload["url"], content=b"abc").raise_for_status()
        assert asked.result(50).json()["state"] == "completed"


def test_who_hangs_up_no_longer_waits(held: LiveServer) -> None:
    with held.client() as http:
        file = put(http, "left.txt")
    with socket.create_connection(("127.0.0.1", held.port)) as connection:
        connection.sendall(head_of(held, "GET", f"/api/files/{file['id']}", "Prefer: wait=60"))
        eventually(lambda: _running(held) == 2)
    began = time.monotonic()
    eventually(lambda: _running(held) == 1)
    assert time.monotonic() - began < 50


def test_a_stopping_server_answers_those_who_wait(make_server: MakeServer) -> None:
    server = make_server(allowed_types="text/plain", processing="worker", shutdown_grace="30s")
    with server.client() as http, ThreadPoolExecutor(1) as threads:
        file = put(http, "stopped.txt")
        asked = threads.submit(http.get, f"/api/files/{file['id']}", headers={"Prefer": "wait=60"})
        eventually(lambda: _running(server) > 1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 28
        assert asked.result(50).json()["status"] == "processing"


def test_a_thousand_may_wait_at_once(held: LiveServer) -> None:
    with held.client() as http:
        file = put(http, "awaited.txt")
        request = head_of(held, "GET", f"/api/files/{file['id']}", "Prefer: wait=60")
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.extend(asyncio.run(_ask_many(held.port, request))))
        asking.start()
        eventually(lambda: _running(held) == MANY + 1, within=60)
        began = time.monotonic()
        other = put(http, "meanwhile.txt")
        assert http.get(f"/api/files/{other['id']}").status_code == 200
        assert time.monotonic() - began < 30
        with LiveWorker(held):
            asking.join(60)
    assert len(answers) == MANY
    assert all(b'"status":"ready"' in answer for answer in answers)


async def _ask_many(port: int, request: bytes) -> list[bytes]:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    return await asyncio.gather(*(ask() for _ in range(MANY)))


def _running(server: LiveServer) -> int:
    """Return how many requests the server is answering, this one included."""
    page = httpx.get(f"{server.url}/metrics", trust_env=False).text
    running = re.search(r"^fileferry_requests_running (\S+)$", page, re.MULTILINE)
    assert running is not None
    return int(float(running[1]))
