"""Who may not upload is told so before sending, and what is too large or malformed is refused early and leaves nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from contract.edge import MULTIPART, exchange, file_part, form, head_of, nothing_left
from support.live_server import LiveServer

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

HUGE = 40 * 1024**3
ADDRESSES = [("PUT", "/api/upload/a"), ("POST", "/api/upload/a"), ("POST", "/v1/files")]


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def first_answer(server: LiveServer, request: bytes) -> bytes:
    """Send a head and none or a part of its body, and return the server's 100 or error before the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
        while answer.startswith(b"HTTP/1.1 4") and not answer.endswith(b"}"):
            answer += connection.recv(65536)
        return answer


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "X-Nothing: 1"])
@pytest.mark.parametrize("length", [f"Content-Length: {HUGE}", "Transfer-Encoding: chunked"])
def test_a_wrong_key_is_refused_before_a_byte_is_sent(
    server: LiveServer, method: str, path: str, expect: str, length: str
) -> None:
    head = head_of(server, method, path, f"Content-Type: {MULTIPART}", length, expect, key="ff_nobody")
    assert status_of(first_answer(server, head)) == 401


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_a_key_without_the_scope_is_refused_before_a_byte_is_sent(server: LiveServer, method: str, path: str) -> None:
    with server.client() as http:
        key = http.post("/api/keys", json={"name": "a", "scopes": ["read"]}).json()["key"]
    head = head_of(server, method, path, f"Content-Type: {MULTIPART}", f"Content-Length: {HUGE}", key=key)
    assert status_of(first_answer(server, head)) == 403


@pytest.mark.parametrize("length", ["Content-Length: 24000000", "Transfer-Encoding: chunked"])
def test_a_refusal_reaches_who_sends_everything_before_looking_at_it(server: LiveServer, length: str) -> None:
    """As Apache and Varnish do: a connection closed meanwhile is a 502 or 503 to their clients."""
    piece = bytes(1_000_000)
    if length.startswith("Transfer"):
        piece = b"f4240\r\n" + piece + b"\r\n"
    head = head_of(server, "PUT", "/api/upload/a", length, key="ff_nobody")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head)
        for _ in range(24):
            connection.sendall(piece)
        connection.sendall(b"0\r\n\r\n" if length.startswith("Transfer") else b"")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_who_may_upload_is_told_to_go_on(server: LiveServer, method: str, path: str) -> None:
    lines = [f"Content-Type: {MULTIPART}", "Content-Length: 100000", "Expect: 100-continue"]
    assert first_answer(server, head_of(server, method, path, *lines)).startswith(b"HTTP/1.1 100")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("small"), {"max_file_size": "1MiB", "max_json_upload": "64KiB"})
    live.start()
    yield live
    live.close()


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_an_announced_size_over_the_limit_is_refused_before_a_byte_is_sent(
    small: LiveServer, method: str, path: str
) -> None:
    head = head_of(small, method, path, f"Content-Type: {MULTIPART}", f"Content-Length: {HUGE}")
    answer = first_answer(small, head)
    assert status_of(answer) == 413
    assert b"file_too_large" in answer
    nothing_left(small)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1024**2, 1024**2 + 1, 6 * 1024**2])
@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_the_limit_is_exact_with_and_without_a_length(
    small: LiveServer, method: str, path: str, size: int, chunked: bool
) -> None:
    body = form(file_part(bytes(size))) if path == "/v1/files" else bytes(size)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    with small.client() as http:
        answer = http.request(method, path, content=pieces() if chunked else body, headers={"Content-Type": MULTIPART})
        before = http.get("/v1/files?limit=1").json()["files"]
    assert answer.status_code == (413 if size > 1024**2 else answer.status_code)
    assert answer.is_success == (size <= 1024**2)
    assert (size <= 1024**2) or "file_too_large" in answer.text
    assert not before or before[0]["size"] == 1024**2
    nothing_left(small)


def test_a_json_upload_over_its_limit_is_refused(small: LiveServer) -> None:
    body = json.dumps({"filename": "a", "base64": "A" * 70_000}).encode()
    with small.client() as http:
        for content in (body, iter([body])):
            answer = http.post("/v1/files", content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


def test_small_requests_are_bounded_too(http: httpx.Client) -> None:
    answer = http.post("/api/keys", content=b'{"name": "' + b"x" * 3_000_000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "5, 6", "", "9" * 25, "+5", "5 5", "\xb2"])
def test_an_absurd_length_is_refused(server: LiveServer, length: str) -> None:
    answer = exchange(
        server, head_of(server, "PUT", "/api/upload/a", f"Content-Length: {length}") + b"hello", finish=False
    )
    assert not answer or status_of(answer) == 400
    assert not answer.startswith(b"HTTP/1.1 2")
    nothing_left(server)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity, chunked, identity"],
        ["Transfer-Encoding: xchunked"],
    ],
)
def test_two_ways_to_tell_where_a_body_ends_are_refused(server: LiveServer, lines: list[str]) -> None:
    answer = exchange(
        server, head_of(server, "PUT", "/api/upload/smuggled", *lines) + b"0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200") == 0
    assert b"HTTP/1.1 201" not in answer


def test_an_upload_that_stops_sending_is_given_up(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(body_idle_timeout="1s")
    for method, path in ADDRESSES:
        head = head_of(server, method, path, f"Content-Type: {MULTIPART}", "Content-Length: 900000")
        body = form(file_part(bytes(400_000)))[:-40] if path == "/v1/files" else bytes(400_000)
        answer = first_answer(server, head + body)
        assert status_of(answer) == 408
        assert b"request_timeout" in answer
    nothing_left(server)
