"""`POST /v1/files` as multipart: any form that clients send arrives whole, and what is wrong is said and leaves nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contract.edge import (
    BOUNDARY,
    MULTIPART,
    crc32c_hex,
    exchange,
    fetch,
    file_part,
    form,
    head_of,
    leftovers,
    nothing_left,
    part,
    send_form,
    sha256_field,
)
from support.live_server import LiveServer

LARGE = 3 * 1024 * 1024 + 17


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the error of an answer that must be one, in the flow's envelope."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["retry"] in ("never", "now", "after")
    assert error["request_id"] == answer.headers["x-request-id"]
    return error


def test_an_uploaded_file_is_described_and_served(http: httpx.Client) -> None:
    content = os.urandom(LARGE)
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = http.post("/v1/files", files={"file": ("invoice.pdf", content, "application/pdf")})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["filename"], body["content_type"], body["size"]) == ("invoice.pdf", "application/pdf", LARGE)
    assert body["sha256"] == hashlib.sha256(content).hexdigest()
    assert body["crc32c"] == crc32c_hex(content)
    assert before < datetime.fromisoformat(body["created_at"]) < datetime.now(UTC) + timedelta(seconds=1)
    assert body["expires_at"] is None
    assert body["metadata"] == {}
    assert fetch(body["url"]).content == content


def test_inspecting_tells_the_same_and_the_status(http: httpx.Client) -> None:
    body = http.post("/v1/files", files={"file": ("a.txt", b"a")}).json()
    assert http.get(f"/v1/files/{body['file_id']}").json() == {**body, "status": "ready"}


def test_an_empty_file_is_a_file(http: httpx.Client) -> None:
    body = http.post("/v1/files", files={"file": ("empty.txt", b"")}).json()
    assert body["size"] == 0
    answer = fetch(body["url"])
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("first", ["fields", "file"])
def test_fields_may_come_before_or_after_the_file(http: httpx.Client, first: str) -> None:
    fields = [part('name="expires_in"', b"24h"), part('name="metadata"', b'{"order": 17}')]
    parts = [*fields, file_part(b"abc")] if first == "fields" else [file_part(b"abc"), *fields]
    body = send_form(http, *parts).json()
    life = datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["created_at"])
    assert life == timedelta(hours=24)
    assert body["metadata"] == {"order": 17}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'filename="plain.txt"', "plain.txt"),
        (b"filename=token.txt", "token.txt"),
        (b'filename="with space; and semicolon.txt"', "with space; and semicolon.txt"),
        (rb'filename="a \"quoted\" name.txt"', 'a "quoted" name.txt'),
        (b'filename="a %22quoted%22 name.txt"', 'a "quoted" name.txt'),
        ('filename="Zoë 報告.txt"'.encode(), "Zoë 報告.txt"),
        (b"filename*=UTF-8''Zo%C3%AB%20%E5%A0%B1.txt", "Zoë 報.txt"),
        (b"filename=\"Zo_.txt\"; filename*=UTF-8''Zo%C3%AB.txt", "Zoë.txt"),
        (rb'filename="C:\fakepath\photo.png"', "photo.png"),
        (b'filename="/etc/passwd"', "passwd"),
        (b'filename="../../up.txt"', "up.txt"),
        (b'filename=""', "file"),
    ],
)
def test_every_way_to_write_a_file_name_is_read(http: httpx.Client, disposition: bytes, name: str) -> None:
    answer = send_form(http, part(b'name="file"; ' + disposition, b"abc"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["filename"] == name
    assert fetch(answer.json()["url"]).content == b"abc"


def test_a_file_without_a_name_gets_one(http: httpx.Client) -> None:
    assert send_form(http, part('name="file"', b"abc")).json()["filename"] == "file"


def test_a_decomposed_name_is_composed(http: httpx.Client) -> None:
    assert send_form(http, file_part(b"a", "Zoe\u0308.txt")).json()["filename"] == "Zoë.txt"


def test_the_type_comes_from_the_part_or_the_name_or_the_bytes(http: httpx.Client) -> None:
    def type_of(filename: str, content: bytes, more: str = "") -> str:
        return str(send_form(http, file_part(content, filename, more)).json()["content_type"])

    assert type_of("a.bin", b"1,2", "\r\nContent-Type: text/csv; charset=utf-8") == "text/csv; charset=utf-8"
    assert type_of("a.json", b"{}") == "application/json"
    assert type_of("a", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n") == "application/pdf"
    assert type_of("a", bytes(range(256))) == "application/octet-stream"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "missing_file"),
        ([part('name="expires_in"', b"24h")], "missing_file"),
        ([file_part(b"a"), file_part(b"b")], "too_many_files"),
        ([part('name="file1"; filename="a"', b"a")], "invalid_parameter"),
        ([part('name="expires_in"', b"1h"), part('name="expires_in"', b"2h"), file_part(b"a")], "invalid_parameter"),
        ([file_part(b"a"), part('name="expires_in"', b"\xff")], "invalid_parameter"),
        ([file_part(b"a"), part('name="metadata"', b"not json")], "invalid_metadata"),
        ([file_part(b"a"), part('name="metadata"', b"[1]")], "invalid_metadata"),
        ([file_part(b"a"), part('name="metadata"', b"[" * 60_000)], "invalid_metadata"),
        ([file_part(b"a"), part('name="metadata"', b'{"a": "' + b"x" * 20_000 + b'"}')], "invalid_metadata"),
        ([file_part(b"a"), part('name="metadata"', b'{"a": "' + b"x" * 90_000 + b'"}')], "invalid_metadata"),
        ([file_part(b"a"), part('name="expires_in"', b"x" * 90_000)], "invalid_parameter"),
        ([file_part(b"a", "..")], "invalid_name"),
        ([file_part(b"a", "a\x01b")], "invalid_name"),
        ([file_part(b"a", "x" * 256)], "invalid_name"),
        ([file_part(b"a"), *[part(f'name="f{n}"', b"") for n in range(40)]], "invalid_parameter"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_form_that_cannot_be_used_is_told_why(
    http: httpx.Client, server: LiveServer, parts: list[bytes], code: str
) -> None:
    refused(send_form(http, *parts), 400, code)
    nothing_left(server)


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("multipart/form-data", 400, "bad_request"),
        ("multipart/form-data; boundary=", 400, "bad_request"),
        ("multipart/mixed; boundary=x", 415, "unsupported_type"),
        ("application/pdf", 415, "unsupported_type"),
        ("", 415, "unsupported_type"),
    ],
)
def test_only_the_documented_content_types_are_taken(
    http: httpx.Client, content_type: str, status: int, code: str
) -> None:
    refused(http.post("/v1/files", content=b"x", headers={"Content-Type": content_type}), status, code)


def test_a_compressed_body_is_refused(http: httpx.Client) -> None:
    answer = send_form(http, file_part(b"a"), headers={"Content-Encoding": "gzip"})
    refused(answer, 415, "unsupported_type")


def test_a_form_without_its_last_line_is_truncated(http: httpx.Client, server: LiveServer) -> None:
    body = form(file_part(bytes(LARGE)))[: LARGE // 2]
    answer = http.post("/v1/files", content=body, headers={"Content-Type": MULTIPART})
    assert refused(answer, 400, "truncated_body")["retry"] == "now"
    nothing_left(server)


@pytest.mark.parametrize("kept", [0.1, 0.9])
def test_a_connection_lost_in_the_middle_leaves_nothing(http: httpx.Client, server: LiveServer, kept: float) -> None:
    known = http.get("/v1/files?limit=1").json()["files"]
    body = form(file_part(bytes(LARGE)))
    head = head_of(server, "POST", "/v1/files", f"Content-Type: {MULTIPART}", f"Content-Length: {len(body)}")
    exchange(server, head + body[: int(len(body) * kept)])
    nothing_left(server)
    assert http.get("/v1/files?limit=1").json()["files"] == known


def test_a_chunked_form_is_taken(http: httpx.Client) -> None:
    body = form(file_part(bytes(LARGE)))
    pieces = (body[start : start + 10_007] for start in range(0, len(body), 10_007))
    answer = http.post("/v1/files", content=pieces, headers={"Content-Type": MULTIPART})
    assert answer.json()["size"] == LARGE


def test_bytes_that_look_like_boundaries_are_kept(http: httpx.Client) -> None:
    content = (f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n" * 50_000).encode()
    assert fetch(send_form(http, file_part(content)).json()["url"]).content == content


@pytest.mark.parametrize(
    ("asked", "life"),
    [
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("90", timedelta(seconds=90)),
    ],
)
def test_a_life_is_written_as_a_duration(http: httpx.Client, asked: str, life: timedelta) -> None:
    body = http.post("/v1/files", files={"file": b"a"}, data={"expires_in": asked}).json()
    assert datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["created_at"]) == life


def test_an_end_is_written_as_a_time_in_any_zone(http: httpx.Client) -> None:
    answer = http.post("/v1/files", files={"file": b"a"}, data={"expires_at": "2199-12-31T23:59:59+02:00"})
    assert answer.json()["expires_at"] == "2199-12-31T21:59:59.000Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_in": "1h", "expires_at": "2199-01-01T00:00:00Z"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "2199-01-01T00:00:00"},
        {"expires_at": "tomorrow"},
        {"expires_at": "9999-12-31T23:59:59-23:00"},
        {"expires_at": "0001-01-01T00:00:00+23:00"},
        {"expires_in": "0"},
        {"expires_in": "-5"},
        {"expires_in": "soon"},
        {"expires_in": "1.5h"},
        {"expires_in": "9" * 30},
        {"expires_in": "999999999999w"},
        {"expires_in": "1 h 5"},
    ],
    ids=str,
)
def test_an_expiry_that_cannot_be_is_refused(http: httpx.Client, server: LiveServer, fields: dict[str, str]) -> None:
    answer = http.post("/v1/files", files={"file": b"a"}, data=fields)
    assert refused(answer, 400, "invalid_expiry")["retry"] == "never"
    nothing_left(server)


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
def test_a_digest_of_the_request_covers_the_whole_form(http: httpx.Client, server: LiveServer, header: str) -> None:
    body = form(file_part(b"abc"))
    assert send_form(http, file_part(b"abc"), headers={header: sha256_field(body)}).status_code == 201
    wrong = send_form(http, file_part(b"abc"), headers={header: sha256_field(b"abc")})
    assert refused(wrong, 400, "digest_mismatch")["retry"] == "now"
    nothing_left(server)


def test_an_md5_of_the_request_covers_the_whole_form(http: httpx.Client) -> None:
    def md5(content: bytes) -> dict[str, str]:
        return {"Content-MD5": base64.b64encode(hashlib.md5(content).digest()).decode()}

    assert send_form(http, file_part(b"abc"), headers=md5(form(file_part(b"abc")))).status_code == 201
    refused(send_form(http, file_part(b"abc"), headers=md5(b"abc")), 400, "digest_mismatch")


@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
def test_a_digest_in_the_part_covers_the_file(http: httpx.Client, server: LiveServer, header: str) -> None:
    content = os.urandom(LARGE)
    right = file_part(content, more=f"\r\n{header}: {sha256_field(content)}")
    assert send_form(http, right).status_code == 201
    wrong = file_part(content, more=f"\r\n{header}: {sha256_field(b'other')}")
    refused(send_form(http, wrong), 400, "digest_mismatch")
    nothing_left(server)


@pytest.mark.parametrize(
    "value", ["sha-256=abc", "sha-256=:abc:", "sha-256=:!!!!:", "unixsum=:AAAA:", "=", "sha-256=:" + "A" * 900 + ":"]
)
def test_a_digest_that_cannot_be_read_is_refused(http: httpx.Client, server: LiveServer, value: str) -> None:
    refused(send_form(http, file_part(b"abc"), headers={"Content-Digest": value}), 400, "invalid_digest")
    refused(send_form(http, file_part(b"abc", more=f"\r\nContent-Digest: {value}")), 400, "invalid_digest")
    nothing_left(server)


def test_a_repeated_request_yields_the_same_file(http: httpx.Client, server: LiveServer, tmp_path: Any) -> None:
    headers = {"Idempotency-Key": tmp_path.name}
    first = send_form(http, file_part(b"abc"), headers=headers)
    newest = http.get("/v1/files?limit=1").json()["files"]
    again = send_form(http, file_part(b"abc"), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert http.get("/v1/files?limit=1").json()["files"] == newest
    nothing_left(server)


@pytest.mark.parametrize(
    "other",
    [
        [file_part(b"abd")],
        [file_part(b"abc", "other.bin")],
        [file_part(b"abc"), part('name="expires_in"', b"1h")],
        [file_part(b"abc"), part('name="metadata"', b'{"a": 1}')],
    ],
    ids=["bytes", "name", "expiry", "metadata"],
)
def test_a_key_used_for_another_request_is_refused(
    http: httpx.Client, server: LiveServer, tmp_path: Any, other: list[bytes]
) -> None:
    headers = {"Idempotency-Key": str(tmp_path)}
    assert send_form(http, file_part(b"abc"), headers=headers).status_code == 201
    refused(send_form(http, *other, headers=headers), 422, "idempotency_mismatch")
    nothing_left(server)


@pytest.mark.parametrize("key", [b"", b"x" * 300, b"\xfc", b"a\tb", b'""'])
def test_an_idempotency_key_that_cannot_be_used_is_refused(http: httpx.Client, key: bytes) -> None:
    headers = [(b"Content-Type", MULTIPART.encode()), (b"Idempotency-Key", key)]
    answer = http.post("/v1/files", content=form(file_part(b"abc")), headers=headers)
    refused(answer, 400, "invalid_parameter")


def test_the_same_request_sent_many_times_at_once_makes_one_file(server: LiveServer, tmp_path: Any) -> None:
    headers = {"Idempotency-Key": tmp_path.name, "Content-Type": MULTIPART}
    content = os.urandom(400_000)
    body = form(file_part(content))

    def send(_: int) -> str:
        with server.client() as client:
            answer = client.post("/v1/files", content=body, headers=headers)
        assert answer.status_code == 201
        return str(answer.json()["file_id"])

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send, range(8)))
    assert len(ids) == 1
    digest = hashlib.sha256(content).hexdigest()
    with server.client() as client:
        listed = client.get("/v1/files?limit=50").json()["files"]
    assert [file["file_id"] for file in listed if file["sha256"] == digest] == list(ids)
    nothing_left(server)
    assert leftovers(server) == []
