"""Fields after a chunked body change nothing: they are no headers, whatever they are called."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from support.live_server import LiveServer


def answered(
    server: LiveServer, headers: dict[str, str], trailers: dict[str, str], *, at_once: bool
) -> tuple[int, Any]:
    """Send an upload in chunks with these headers and trailers, all in one segment or not; return its status and JSON."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["PUT /api/upload/a.bin HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", *lines, "", ""])
    tail = "3\r\nabc\r\n0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in trailers.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for segment in [head + tail] if at_once else [head, tail]:
            connection.sendall(segment.encode())
        received = b""
        while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
            more = connection.recv(65536)
            assert more, received
            received += more
    status = int(received.split()[1])
    return status, json.loads(received.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("at_once", [True, False], ids=["in one segment", "in two"])
def test_a_key_in_a_trailer_opens_nothing(server: LiveServer, at_once: bool) -> None:
    status, said = answered(
        server, {}, {"X-API-Key": server.root_key, "Authorization": server.root_key}, at_once=at_once
    )
    assert (status, said["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("at_once", [True, False], ids=["in one segment", "in two"])
@pytest.mark.parametrize(
    "trailers",
    [
        {"X-API-Key": "ff_another"},
        {"user-id": "ada"},
        {"Content-Encoding": "gzip"},
        {"If-Match": '"none"'},
        {"Content-Digest": "sha-256=:AAAA:"},
        {"Idempotency-Key": "k"},
    ],
    ids=lambda trailers: next(iter(trailers)),
)
def test_a_trailer_changes_nothing(server: LiveServer, trailers: dict[str, str], at_once: bool) -> None:
    for _again in range(2):  # with the same Idempotency-Key, too
        status, file = answered(server, {"X-API-Key": server.root_key}, trailers, at_once=at_once)
        assert status in (200, 201), file
        assert (status, file["size"], file.get("end_user")) == (status, 3, None)
