"""What ends a head, names a host or frames a body in a way that something in front might read otherwise is refused."""

from __future__ import annotations

import json
import re

import pytest

from contract.edge import exchange, nothing_left
from support.live_server import LiveServer


def refusal(server: LiveServer, request: bytes) -> tuple[int, str]:
    """Return status and code of the one answer, which is a problem document and ends the connection."""
    answer = exchange(server, request, finish=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    assert answer.startswith(b"HTTP/1.1 "), answer
    assert body.endswith(b"}"), answer
    assert {b"content-type: application/problem+json", b"connection: close"} <= set(fields), answer
    assert any(field.startswith(b"date: ") for field in fields), answer
    return int(head.split()[1]), json.loads(body)["code"]


def put(server: LiveServer, *lines: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    """Return an upload with the root key and these further lines in its head."""
    first = b"PUT /api/upload/framed.bin HTTP/" + version
    return b"\r\n".join([first, b"Host: a", b"X-API-Key: " + server.root_key.encode(), *lines, b"", body])


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://a/healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: folded\r\n here\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: a\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    ],
    ids=repr,
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(server: LiveServer, request_head: bytes) -> None:
    assert refusal(server, request_head) == (400, "bad_request")


@pytest.mark.parametrize(
    "request_head", [b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz\r\n\r\n", b"nonsense\r\n\r\n"]
)
def test_what_came_before_a_head_that_is_refused_is_answered_first(server: LiveServer, request_head: bytes) -> None:
    before = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = exchange(server, before * 3 + request_head + before, finish=False)
    assert re.findall(rb"HTTP/1\.1 (\d{3})", answer) == [b"200"] * 3 + [b"400"]
    assert answer.lower().count(b"connection: close") == 1


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 3", b"Content-Length: 3"],
        [b"Content-Length: 3", b"Content-Length: 4"],
        [b"Content-Length: 3, 3"],
        [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 3"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, gzip"],
        [b"Transfer-Encoding: \x0bchunked"],
    ],
    ids=repr,
)
def test_a_body_whose_end_is_told_in_two_ways_is_refused(server: LiveServer, lines: list[bytes]) -> None:
    assert refusal(server, put(server, *lines, body=b"3\r\nabc\r\n0\r\n\r\n")) == (400, "bad_request")
    nothing_left(server)


@pytest.mark.parametrize(
    "coding",
    [b"gzip, chunked", b"GZIP ,chunked", b"gzip", b"identity", b"xchunked", b"x\r\nTransfer-Encoding: chunked"],
)
def test_a_transfer_coding_that_is_not_decoded_is_refused(server: LiveServer, coding: bytes) -> None:
    request = put(server, b"Transfer-Encoding: " + coding, body=b"3\r\nabc\r\n0\r\n\r\n")
    assert refusal(server, request) == (501, "unknown_transfer_coding")
    nothing_left(server)


def test_chunks_of_a_client_of_http_1_0_are_refused(server: LiveServer) -> None:
    request = put(server, b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n", version=b"1.0")
    assert refusal(server, request) == (400, "bad_request")


@pytest.mark.parametrize(
    "body", [b"3\nabc\n0\n\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcde\r\n0\r\n\r\n", b"-1\r\n\r\n"], ids=repr
)
def test_chunks_that_can_be_read_in_two_ways_are_refused(server: LiveServer, body: bytes) -> None:
    assert refusal(server, put(server, b"Transfer-Encoding: chunked", body=body)) == (400, "bad_request")
    nothing_left(server)


def test_what_is_plain_is_taken(server: LiveServer) -> None:
    assert exchange(server, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    chunks = put(server, b"transfer-encoding:Chunked", b"Connection: close", body=b"3;a=b\r\nabc\r\n0\r\n\r\n")
    assert exchange(server, chunks, finish=False).startswith(b"HTTP/1.1 20")
