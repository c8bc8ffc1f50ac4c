"""The native API takes files: raw bodies by PUT and POST, versions, conditions, digests; and curl can do it."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.edge import crc32c_hex, exchange, fetch, head_of, nothing_left, sha256_field
from support.live_server import LiveServer

LARGE = 3 * 1024 * 1024 + 17
MEMBERS = {"type", "title", "status", "detail", "code", "retry", "request_id"}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of an answer that must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) >= MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"].endswith(code)
    assert body["retry"] in ("never", "now", "after")
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A path in the workspace that is this test's own."""
    return f"{tmp_path.parent.name}/{tmp_path.name}"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_uploaded_file_is_described_and_served(http: httpx.Client, folder: str, method: str) -> None:
    content = os.urandom(LARGE)
    parameters = {"expires_in": "1h", "metadata": '{"order": 17}'}
    answer = http.request(method, f"/api/upload/{folder}/a.bin", params=parameters, content=content)
    assert answer.status_code == 201
    file = answer.json()
    assert (file["name"], file["path"], file["size"]) == ("a.bin", f"{folder}/a.bin", LARGE)
    assert (file["status"], file["reason"], file["metadata"]) == ("ready", None, {"order": 17})
    assert (file["sha256"], file["crc32c"]) == (hashlib.sha256(content).hexdigest(), crc32c_hex(content))
    assert file["version_id"].isdecimal()
    life = datetime.fromisoformat(file["expires_at"]) - datetime.fromisoformat(file["created_at"])
    assert life == timedelta(hours=1)
    assert answer.headers["etag"] == file["etag"]
    assert http.get(answer.headers["location"]).json() == file
    assert fetch(file["url"]).content == content


def test_the_url_alone_is_answered_to_plain_text(http: httpx.Client, folder: str) -> None:
    answer = http.put(f"/api/upload/{folder}/a", content=b"abc", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    url = answer.text.removesuffix("\n")
    assert answer.text == url + "\n"
    assert fetch(url).content == b"abc"


def test_a_second_put_is_a_further_version_and_the_first_url_keeps_its_bytes(http: httpx.Client, folder: str) -> None:
    first = http.put(f"/api/upload/{folder}/a", content=b"one")
    second = http.put(f"/api/upload/{folder}/a", content=b"two!")
    assert (first.status_code, second.status_code) == (201, 200)
    one, two = first.json(), second.json()
    assert one["id"] == two["id"]
    assert int(two["version_id"]) > int(one["version_id"])
    assert one["url"] != two["url"]
    assert one["etag"] != two["etag"]
    assert (fetch(one["url"]).content, fetch(two["url"]).content) == (b"one", b"two!")
    assert http.get(f"/api/files/{one['id']}").json() == two
    assert http.get(f"/api/files/{one['id']}/content").content == b"two!"


def test_a_post_is_always_a_file_of_its_own(http: httpx.Client, folder: str) -> None:
    ids = {http.post(f"/api/upload/{folder}/a", content=b"abc").json()["id"] for _ in range(3)}
    ids.add(http.put(f"/api/upload/{folder}/a", content=b"abc").json()["id"])
    assert len(ids) == 4


def test_many_puts_of_one_path_at_once_are_versions_in_one_order(server: LiveServer, folder: str) -> None:
    def put(number: int) -> dict[str, Any]:
        with server.client() as client:
            body: dict[str, Any] = client.put(f"/api/upload/{folder}/a", content=str(number).encode()).json()
            return body

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(put, range(24)))
    assert len({file["id"] for file in made}) == 1
    assert len({file["version_id"] for file in made}) == 24
    last = max(made, key=lambda file: int(file["version_id"]))
    with server.client() as client:
        assert client.get(f"/api/files/{last['id']}").json() == last


def test_a_put_on_condition_that_nothing_is_there(http: httpx.Client, server: LiveServer, folder: str) -> None:
    headers = {"If-None-Match": "*"}
    assert http.put(f"/api/upload/{folder}/a", content=b"1", headers=headers).status_code == 201
    problem(http.put(f"/api/upload/{folder}/a", content=b"2", headers=headers), 412, "precondition_failed")
    nothing_left(server)


def test_a_put_on_condition_that_nothing_changed(http: httpx.Client, server: LiveServer, folder: str) -> None:
    missing = http.put(f"/api/upload/{folder}/a", content=b"0", headers={"If-Match": "*"})
    problem(missing, 412, "precondition_failed")
    first = http.put(f"/api/upload/{folder}/a", content=b"1").json()["etag"]
    assert http.put(f"/api/upload/{folder}/a", content=b"2", headers={"If-Match": first}).status_code == 200
    stale = http.put(f"/api/upload/{folder}/a", content=b"3", headers={"If-Match": first})
    problem(stale, 412, "precondition_failed")
    assert (
        http.put(f"/api/upload/{folder}/a", content=b"4", headers={"If-Match": f'"x", {first}, *'}).status_code == 400
    )
    nothing_left(server)


def test_only_one_of_many_creators_wins(server: LiveServer, folder: str) -> None:
    def create(number: int) -> int:
        with server.client() as client:
            content = str(number).encode()
            return client.put(f"/api/upload/{folder}/a", content=content, headers={"If-None-Match": "*"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [201] + [412] * 7
    nothing_left(server)


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("a b.txt", "a b.txt"),
        ("Zo%C3%AB/%E5%A0%B1.txt", "Zoë/報.txt"),
        ("a%2Fb.txt", "a/b.txt"),
        ("100%25.txt", "100%.txt"),
        ("q%3Fx%23y.txt", "q?x#y.txt"),
        ("a+b;c=d,e.txt", "a+b;c=d,e.txt"),
        ("back%5Cslash.txt", "back\\slash.txt"),
        (".hidden", ".hidden"),
        ("...", "..."),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_path_is_kept_as_it_was_meant(http: httpx.Client, folder: str, path: str, stored: str) -> None:
    file = http.put(f"/api/upload/{folder}/{path}", content=b"abc").json()
    assert file["path"] == f"{folder}/{stored}"
    assert file["name"] == stored.rpartition("/")[2]
    answer = fetch(file["url"])
    assert (answer.status_code, answer.content) == (200, b"abc")


@pytest.mark.parametrize(
    "path", ["", "/", "a//b", "a/", "a/../b", "a/./b", "..", "%2e%2e/a", "a/%2e%2e", "a%00b", "a%0Ab"]
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_path_that_cannot_be_used_is_refused(server: LiveServer, method: str, path: str) -> None:
    answer = exchange(server, head_of(server, method, f"/api/upload/{path}", "Content-Length: 1") + b"a", finish=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b'"invalid_name"' in body


@pytest.mark.parametrize("path", ["x" * 256, "/".join(["x" * 200] * 6)])
def test_a_path_that_is_too_long_is_refused(http: httpx.Client, path: str) -> None:
    problem(http.put(f"/api/upload/{path}", content=b""), 400, "invalid_name")


def test_bytes_that_are_no_text_are_not_made_into_another_name(http: httpx.Client, folder: str) -> None:
    problem(http.put(f"/api/upload/{folder}/%ff.txt", content=b""), 400, "invalid_name")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"expires_in": "soon"}, "invalid_expiry"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_expiry"),
        ({"expires_in": "1h", "expires_at": "2199-01-01T00:00:00Z"}, "invalid_expiry"),
        ({"metadata": "x"}, "invalid_metadata"),
        ({"metadata": '{"a": "' + "x" * 17_000 + '"}'}, "invalid_metadata"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(http: httpx.Client, parameters: dict[str, str], code: str) -> None:
    problem(http.put("/api/upload/a", params=parameters, content=b"a"), 400, code)


def test_an_unknown_workspace_or_organization_is_not_found(http: httpx.Client) -> None:
    problem(http.put("/api/upload/a?workspace=nowhere", content=b"a"), 404, "not_found")
    problem(http.put("/api/upload/a?organization=nobody", content=b"a"), 404, "not_found")


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512", "md5"])
def test_a_declared_digest_is_verified(
    http: httpx.Client, server: LiveServer, folder: str, header: str, algorithm: str
) -> None:
    content = os.urandom(LARGE)
    digest = base64.b64encode(hashlib.new(algorithm.replace("-", ""), content).digest()).decode()
    headers = {header: f"unknown=:AAAA:, {algorithm}=:{digest}:"}
    assert http.put(f"/api/upload/{folder}/a", content=content, headers=headers).status_code == 201
    wrong = http.put(f"/api/upload/{folder}/a", content=content[:-1] + bytes([content[-1] ^ 1]), headers=headers)
    assert problem(wrong, 400, "digest_mismatch")["retry"] == "now"
    nothing_left(server)


def test_a_crc32c_and_an_md5_header_are_verified(http: httpx.Client, folder: str) -> None:
    crc = base64.b64encode(bytes.fromhex(crc32c_hex(b"abc"))).decode()
    md5 = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    for headers in ({"Content-Digest": f"crc32c=:{crc}:"}, {"Content-MD5": md5}):
        assert http.put(f"/api/upload/{folder}/a", content=b"abc", headers=headers).status_code in (200, 201)
        problem(http.put(f"/api/upload/{folder}/a", content=b"abd", headers=headers), 400, "digest_mismatch")


def test_two_headers_that_declare_different_digests_are_refused(http: httpx.Client) -> None:
    headers = {"Content-Digest": sha256_field(b"a"), "Repr-Digest": sha256_field(b"b")}
    problem(http.put("/api/upload/a", content=b"a", headers=headers), 400, "invalid_digest")


def test_a_repeated_request_yields_the_same_version(http: httpx.Client, server: LiveServer, folder: str) -> None:
    headers = {"Idempotency-Key": folder}
    first = http.put(f"/api/upload/{folder}/a", content=b"abc", headers=headers)
    again = http.put(f"/api/upload/{folder}/a", content=b"abc", headers=headers)
    assert again.json() == first.json()
    problem(http.put(f"/api/upload/{folder}/b", content=b"abc", headers=headers), 422, "idempotency_mismatch")
    problem(http.post(f"/api/upload/{folder}/a", content=b"abc", headers=headers), 422, "idempotency_mismatch")
    nothing_left(server)


def test_a_connection_lost_in_the_middle_leaves_nothing(server: LiveServer, folder: str) -> None:
    head = head_of(server, "PUT", f"/api/upload/{folder}/lost", f"Content-Length: {LARGE}")
    exchange(server, head + bytes(LARGE // 2))
    nothing_left(server)
    with server.client() as http:
        assert http.get("/api/files", params={"prefix": folder}).json()["files"] == []


@pytest.mark.service("curl")
@pytest.mark.parametrize("target", ["", "renamed.bin"])
def test_curl_uploads_a_file_and_prints_its_url(server: LiveServer, tmp_path: Path, folder: str, target: str) -> None:
    content = os.urandom(LARGE)
    (tmp_path / "report 1.bin").write_bytes(content)
    url = f"{server.url}/api/upload/{folder}/{target}"
    authorization = f"Authorization: Bearer {server.root_key}"
    command = ["curl", "-sSf", "--noproxy", "*", "-H", authorization, "-H", "Accept: text/plain"]
    sent = subprocess.run(
        [*command, "-T", str(tmp_path / "report 1.bin"), url], capture_output=True, text=True, timeout=60
    )
    assert sent.returncode == 0, sent.stderr
    answer = fetch(sent.stdout.strip())
    assert answer.content == content
    assert (target or "report 1.bin") in answer.headers["content-disposition"]


@pytest.mark.service("curl")
def test_curl_uploads_what_it_is_piped(server: LiveServer, folder: str) -> None:
    command = ["curl", "-sSf", "--noproxy", "*", "-H", f"X-API-Key: {server.root_key}", "-H", "Accept: text/plain"]
    url = f"{server.url}/api/upload/{folder}/piped"
    sent = subprocess.run([*command, "-T", "-", url], input=bytes(LARGE), capture_output=True, timeout=60)
    assert fetch(sent.stdout.decode().strip()).content == bytes(LARGE)


PART = 64 * 1024
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def ticket_for(http: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = http.post("/api/uploads", json={"name": "a.bin", **asked})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def put_part(ticket: dict[str, Any], number: int, content: bytes) -> None:
    url = f"{ticket['part_url']}&partNumber={number}"
    httpx.put(url, content=content[(number - 1) * PART : number * PART], trust_env=False).raise_for_status()


def go_on(ticket: dict[str, Any], content: bytes) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(ticket["offset"])}
    return httpx.patch(ticket["url"], content=content[ticket["offset"] :], headers=headers, trust_env=False)


def test_parts_without_a_gap_begin_the_stream_that_an_upload_goes_on_as(http: httpx.Client) -> None:
    content = os.urandom(4 * PART + 17)
    ticket = ticket_for(http, size=len(content), part_size=PART)
    assert (ticket["offset"], ticket["crc32c"]) == (0, None)
    for number in (1, 2, 4):
        put_part(ticket, number, content)
    stream = http.post(f"/api/uploads/{ticket['id']}/stream").json()
    assert (stream["state"], stream["offset"]) == ("open", 2 * PART)
    assert stream["crc32c"] == crc32c_hex(content[: 2 * PART])
    assert go_on(stream, content).headers["upload-offset"] == str(len(content))
    whole = http.post(f"/api/uploads/{ticket['id']}/stream").json()
    assert (whole["state"], whole["offset"], whole["crc32c"]) == ("received", len(content), crc32c_hex(content))
    file = http.post(f"/api/uploads/{ticket['id']}/complete").json()
    assert (file["id"], file["size"]) == (ticket["file_id"], len(content))
    assert http.post(f"/api/uploads/{ticket['id']}/complete").json() == file
    assert http.post(f"/api/uploads/{ticket['id']}/stream").json()["state"] == "completed"
    assert fetch(file["url"]).content == content


def test_a_stream_of_unknown_length_ends_with_its_completion(http: httpx.Client) -> None:
    content = os.urandom(100_000)
    stream = http.post(f"/api/uploads/{ticket_for(http)['id']}/stream").json()
    assert go_on(stream, content[:60_000]).headers["upload-offset"] == "60000"
    assert go_on({**stream, "offset": 60_000}, content).headers["upload-offset"] == "100000"
    file = http.post(f"/api/uploads/{stream['id']}/complete").json()
    assert (file["size"], file["crc32c"]) == (100_000, crc32c_hex(content))


def test_a_stream_that_is_not_all_there_is_not_completed(http: httpx.Client) -> None:
    stream = http.post(f"/api/uploads/{ticket_for(http, size=10)['id']}/stream").json()
    go_on(stream, b"12345").raise_for_status()
    problem(http.post(f"/api/uploads/{stream['id']}/complete"), 400, "size_mismatch")
    assert http.get(f"/api/uploads/{stream['id']}").json()["offset"] == 5


def test_an_upload_that_has_ended_has_no_stream(http: httpx.Client) -> None:
    ticket = ticket_for(http)
    assert http.delete(f"/api/uploads/{ticket['id']}").status_code == 204
    problem(http.post(f"/api/uploads/{ticket['id']}/stream"), 410, "gone")
    problem(http.post("/api/uploads/0190a000-0000-7000-8000-000000000000/stream"), 404, "not_found")
