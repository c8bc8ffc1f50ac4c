"""A refusal for too many requests, bytes or tickets, as each flow and each upload protocol tells it to its clients."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract.edge import exchange, head_of
from support.live_server import LiveServer, MakeServer
from wire.asking import send

# So long that no test sees the next window begin, but for one in a million runs.
WINDOW = 360 * 86400
MIB = 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Exhausted:
    """A server whose root key has had all its requests, and a signed URL that the key had asked for before."""

    http: httpx.Client
    upload_url: str
    public_url: str


@pytest.fixture(scope="module")
def exhausted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exhausted]:
    live = LiveServer(tmp_path_factory.mktemp("server"), {"key_requests": "2/360 days"})
    try:
        live.start()
        with live.client() as http:
            ticket = http.post("/api/uploads", json={"path": "a", "max_size": 100}).json()
            file = http.put("/api/upload/b", content=b"abc").json()
            yield Exhausted(http, ticket["url"], file["url"])
    finally:
        live.close()


def truthful(answer: httpx.Response) -> int:
    """Return the seconds to wait that a refusal names, the same wherever it does."""
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= WINDOW
    assert answer.headers["ratelimit-policy"] == f'"requests";q=2;w={WINDOW}'
    assert answer.headers["ratelimit"] == f'"requests";r=0;t={wait}'
    return wait


def problem(answer: httpx.Response, status: int = 429) -> dict[str, Any]:
    """Return the problem of a refusal that must be one."""
    wait = truthful(answer)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, Any] = answer.json()
    assert (body["code"], body["retry"], body["retry_after"], body["status"]) == ("rate_limited", "after", wait, status)
    assert (body["limit"], body["subject"]) == ("requests", "key")
    return body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/files"),
        ("PUT", "/api/upload/a"),
        ("POST", "/api/uploads"),
        ("GET", "/file/v2/orgs/default/workspaces/default/files"),
        ("GET", "/workspace/orgs/default/workspaces"),
    ],
)
def test_the_native_api_and_the_workspaces_flow_answer_a_problem(exhausted: Exhausted, method: str, path: str) -> None:
    problem(exhausted.http.request(method, path))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/files"), ("POST", "/v1/files"), ("POST", "/v1/folders"), ("GET", "/v1/files/x")]
)
def test_the_one_call_and_the_presigned_flow_answer_their_envelope(
    exhausted: Exhausted, method: str, path: str
) -> None:
    answer = exhausted.http.request(method, path)
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert set(error) >= {"code", "message", "request_id", "retry"}
    assert (error["code"], error["retry"]) == ("rate_limited", "after")
    truthful(answer)


def test_the_organizations_flow_answers_its_envelope(exhausted: Exhausted) -> None:
    answer = exhausted.http.get("/v1/organizations/default/files")
    assert answer.status_code == 429
    body = answer.json()
    assert (body["success"], body["error"]["code"], body["error"]["status"]) == (False, "RATE_LIMITED", 429)
    truthful(answer)


def test_clients_of_azure_are_told_that_the_server_is_busy(exhausted: Exhausted) -> None:
    answer = send(exhausted.upload_url, b"abc", headers={"x-ms-blob-type": "BlockBlob"})
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (503, "ServerBusy")
    assert ElementTree.fromstring(answer.content).findtext("Code") == "ServerBusy"
    truthful(answer)


def test_clients_of_s3_are_told_to_slow_down(exhausted: Exhausted) -> None:
    answer = send(exhausted.upload_url + "&partNumber=1&uploadId=x", b"abc")
    document = ElementTree.fromstring(answer.content)
    assert (answer.status_code, document.tag, document.findtext("Code")) == (503, "Error", "SlowDown")
    truthful(answer)


def test_clients_of_google_get_its_envelope(exhausted: Exhausted) -> None:
    answer = send(exhausted.upload_url, b"", "POST", headers={"x-goog-resumable": "start"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["errors"][0]["reason"]) == (429, 429, "rateLimitExceeded")
    truthful(answer)


def test_clients_of_tus_get_a_problem_with_its_headers(exhausted: Exhausted) -> None:
    """A 429 would be the end to tus-js-client, which repeats a 503."""
    asked = {**TUS, "Upload-Length": "3"}
    for answer in (send(exhausted.upload_url, b"", "POST", headers=asked), exhausted.http.post("/tus", headers=asked)):
        problem(answer, 503)
        assert answer.headers["tus-resumable"] == "1.0.0"


def test_clients_of_resumable_http_get_a_problem_with_its_headers(exhausted: Exhausted) -> None:
    answer = send(exhausted.upload_url, b"abc", "POST", headers={"Upload-Complete": "?1"})
    problem(answer, 503)
    assert answer.headers["upload-complete"] == "?0"


def test_a_plain_put_gets_a_problem_that_pages_of_other_origins_can_read(exhausted: Exhausted) -> None:
    answer = send(exhausted.upload_url, b"abc")
    problem(answer)
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= {
        name.strip() for name in answer.headers["access-control-expose-headers"].split(",")
    }


def test_what_needs_no_key_is_not_limited(exhausted: Exhausted) -> None:
    base = str(exhausted.http.base_url).rstrip("/")
    assert send(exhausted.public_url, method="GET").content == b"abc"
    assert send(exhausted.upload_url, method="OPTIONS").status_code == 200
    assert send(base + "/readyz", method="GET").json() == {"status": "ok"}


def test_another_key_is_not_limited(make_server: MakeServer) -> None:
    server = make_server(key_requests="3/360 days")
    with server.client() as http:
        other = http.post("/api/keys", json={"name": "other", "scopes": ["read"]}).json()["key"]
        answers = [http.get("/api/files").status_code for _ in range(4)]
    with server.client(other) as http:
        assert [http.get("/api/files").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert answers == [200, 200, 429, 429]


def test_an_announced_body_is_refused_before_it_is_sent(make_server: MakeServer) -> None:
    server = make_server(key_bytes="1000/360 days")
    with server.client() as http:
        assert http.put("/api/upload/a", content=bytes(600)).status_code == 201
        ticket = http.post("/api/uploads", json={"path": "b", "max_size": 2000}).json()["url"]
    for target in ("/api/upload/a", ticket.removeprefix(server.url)):
        head = head_of(server, "PUT", target, "Content-Length: 401", "Expect: 100-continue")
        answer = exchange(server, head, finish=False)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"100 Continue" not in answer
        assert b'"bytes";r=400;t=' in answer


def test_a_body_without_a_length_does_not_get_round_the_rate(make_server: MakeServer) -> None:
    server = make_server(key_bytes=f"{3 * MIB}/360 days")
    with server.client() as http:
        assert http.put("/api/upload/small", content=b"x").status_code == 201
        refused = http.put("/api/upload/a", content=(bytes(MIB) for _ in range(8)))
        assert (refused.status_code, refused.json()["limit"]) == (429, "bytes")
        assert http.get("/api/files", params={"prefix": "a"}).json()["files"] == []


def test_what_a_stream_brought_before_it_was_refused_is_kept(make_server: MakeServer) -> None:
    server = make_server(key_bytes=f"{3 * MIB}/360 days")
    with server.client() as http:
        assert http.put("/api/upload/small", content=b"x").status_code == 201
        url = http.post("/api/uploads", json={"path": "a", "max_size": 9 * MIB}).json()["url"]
    where = send(url, b"", "POST", headers={**TUS, "Upload-Length": str(8 * MIB)}).headers["location"]
    pieces = (bytes(MIB) for _ in range(8))
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert send(where, pieces, "PATCH", headers=headers).status_code == 503
    kept = int(send(where, method="HEAD", headers=TUS).headers["upload-offset"])
    assert 2 * MIB <= kept < 4 * MIB
    assert send(where, bytes(1), "PATCH", headers=headers | {"Upload-Offset": str(kept)}).status_code == 503


def test_tickets_are_counted_however_they_are_asked_for(make_server: MakeServer) -> None:
    server = make_server(key_tickets="5/360 days")
    with server.client() as http:
        folder = http.post("/v1/folders", json={"name": "f"}).json()["id"]
        files = [{"name": f"{number}", "size": 1} for number in range(3)]
        several = http.post(f"/v1/files/{folder}", json={"filesMetadata": files})
        assert several.headers["ratelimit"].startswith('"tickets";r=2;t=')
        one = {"filename": "a.bin", "mime_type": "application/octet-stream", "file_size": 1}
        assert http.post("/v1/organizations/default/files/upload-url", json=one).status_code == 200
        too_many = http.post(f"/v1/files/{folder}", json={"filesMetadata": files})
        assert (too_many.status_code, too_many.json()["error"]["limit"]) == (429, "tickets")
        tus = http.post("/tus", headers={**TUS, "Upload-Length": "1", "Content-Length": "0"})
        assert tus.status_code == 201, tus.text
        path = "/file/v2/orgs/default/workspaces/default/files/path/a"
        assert problem_code(http.put(path)) == problem_code(http.post("/api/uploads", json={"path": "a", "size": 1}))


def problem_code(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["limit"] == "tickets"
    return answer.status_code, body["code"]
