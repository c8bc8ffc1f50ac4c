"""`POST /v1/files` as JSON with base64, for sources that cannot send multipart."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from contract.edge import fetch, nothing_left, sha256_field
from support.live_server import LiveServer

ENCODED = base64.b64encode(b"hello").decode()


def test_a_file_in_json_is_described_and_served(http: httpx.Client) -> None:
    asked = {
        "filename": "Zoë.txt",
        "content_type": "text/plain",
        "base64": ENCODED,
        "expires_in": "30m",
        "metadata": {"order": 17},
    }
    answer = http.post("/v1/files", json=asked)
    body = answer.json()
    assert answer.status_code == 201
    assert (body["filename"], body["content_type"], body["size"]) == ("Zoë.txt", "text/plain", 5)
    assert body["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert body["metadata"] == {"order": 17}
    life = datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(body["created_at"])
    assert life == timedelta(minutes=30)
    assert fetch(body["url"]).content == b"hello"


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (f"data:image/x-own;base64,{ENCODED}", "image/x-own"),
        (f"data:text/x-own;charset=utf-8;base64,{ENCODED}", "text/x-own; charset=utf-8"),
        (f"data:;base64,{ENCODED}", "application/x-tar"),
        (f"data:,{ENCODED}", "application/x-tar"),
        (f"{ENCODED[:3]}\r\n {ENCODED[3:]}\n", "application/x-tar"),
    ],
)
def test_a_data_prefix_and_line_breaks_are_handled(http: httpx.Client, text: str, content_type: str) -> None:
    body = http.post("/v1/files", json={"filename": "a.tar", "base64": text}).json()
    assert body["content_type"] == content_type
    assert fetch(body["url"]).content == b"hello"


def test_a_stated_type_wins_over_that_of_the_data_prefix(http: httpx.Client) -> None:
    asked = {"filename": "a", "content_type": "text/csv", "base64": f"data:image/png;base64,{ENCODED}"}
    assert http.post("/v1/files", json=asked).json()["content_type"] == "text/csv"


def test_an_empty_file_is_a_file(http: httpx.Client) -> None:
    assert http.post("/v1/files", json={"filename": "empty", "base64": ""}).json()["size"] == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"filename": "a"}, "missing_file"),
        ({"base64": ENCODED}, "missing_file"),
        ({"filename": "", "base64": ENCODED}, "missing_file"),
        ({}, "missing_file"),
        ({"filename": "a", "base64": ENCODED[:-1]}, "invalid_parameter"),
        ({"filename": "a", "base64": "aGVsbG8==="}, "invalid_parameter"),
        ({"filename": "a", "base64": "a*b="}, "invalid_parameter"),
        ({"filename": "a", "base64": "é"}, "invalid_parameter"),
        ({"filename": "a", "base64": 5}, "invalid_parameter"),
        ({"filename": 5, "base64": ENCODED}, "invalid_parameter"),
        ({"filename": "..", "base64": ENCODED}, "invalid_name"),
        ({"filename": "a\x00b", "base64": ENCODED}, "invalid_name"),
        ({"filename": "a", "base64": ENCODED, "metadata": [1]}, "invalid_parameter"),
        ({"filename": "a", "base64": ENCODED, "metadata": {"a": "x" * 20_000}}, "invalid_metadata"),
        ({"filename": "a", "base64": ENCODED, "expires_in": True}, "invalid_parameter"),
        ({"filename": "a", "base64": ENCODED, "expires_in": -5}, "invalid_expiry"),
        (
            {"filename": "a", "base64": ENCODED, "expires_in": "1h", "expires_at": "2199-01-01T00:00:00Z"},
            "invalid_expiry",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_told_and_leaves_nothing(
    http: httpx.Client, server: LiveServer, asked: dict[str, Any], code: str
) -> None:
    answer = http.post("/v1/files", json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    nothing_left(server)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b'{"filename": "a\\ud800", "base64": ""}',
        b'{"filename": "a", "base64": "", "metadata": {"a": "\\ud800"}}',
        b'{"filename": "a", "base64": "", "metadata": {"a": ' + b"[" * 100_000,
        b'{"filename": "a", "base64": "", "metadata": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}" + b" " * 9,
    ],
    ids=lambda body: repr(body[:60]),
)
def test_nonsense_is_the_clients_mistake(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/files", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (201, 400)
    assert "internal_error" not in answer.text


def test_a_digest_of_the_request_covers_the_json(http: httpx.Client) -> None:
    body = b'{"filename": "a", "base64": "aGVsbG8="}'
    headers = {"Content-Type": "application/json", "Content-Digest": sha256_field(body)}
    assert http.post("/v1/files", content=body, headers=headers).status_code == 201
    answer = http.post("/v1/files", content=body.replace(b'"a"', b'"b"'), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "digest_mismatch")


def test_a_repeated_request_yields_the_same_file(http: httpx.Client, tmp_path: Any) -> None:
    headers = {"Idempotency-Key": str(tmp_path)}
    asked = {"filename": "a", "base64": ENCODED, "metadata": {"b": 1, "a": {"d": 1, "c": 2}}}
    first = http.post("/v1/files", json=asked, headers=headers)
    same = {"filename": "a", "base64": ENCODED, "metadata": {"a": {"c": 2, "d": 1}, "b": 1}}
    assert http.post("/v1/files", json=same, headers=headers).json() == first.json()
    other = http.post("/v1/files", json={**asked, "base64": ""}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("content_type", ["text/html\r\nX-Evil: 1", "täxt/plain", "pdf", "a" * 300 + "/b", "a/b\x00c"])
def test_a_content_type_that_is_none_does_no_harm(http: httpx.Client, content_type: str) -> None:
    answer = http.post("/v1/files", json={"filename": "a.json", "base64": ENCODED, "content_type": content_type})
    assert answer.status_code == 201
    served = fetch(answer.json()["url"])
    assert (served.status_code, served.content) == (200, b"hello")
    assert served.headers["content-type"] == answer.json()["content_type"] == "application/json"
