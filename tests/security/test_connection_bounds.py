"""Bounds of connections: what a client without a key may send and hold, and what still answers when many do so.

Servers have small bounds of the tests' own; those with time-outs wait for them in real time, a second or two.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from faults.proc import children, open_files, peak_resident, resident
from faults.raw_http import RawRequest, head
from faults.waiting import eventually
from support import fork_server
from support.live_server import LiveServer, MakeServer

MIB = 1024 * 1024
_SMALL_BUFFER = 4096


@contextlib.contextmanager
def connected(
    server: LiveServer, count: int = 1, *, receive_buffer: int | None = None
) -> Iterator[list[socket.socket]]:
    """Yield open connections on which nothing was sent yet."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.settimeout(30)
            if receive_buffer is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.connect(("127.0.0.1", server.port))
            opened.append(connection)
        yield opened


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that comes before the connection ends, in order or not."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    return received


def status_logged(server: LiveServer, request_id: str) -> int:
    """Return the status in the one line of the log that a request gets, which may come after its answer."""
    assert request_id
    eventually(lambda: request_id in server.log_text(), "the request is logged")
    (line,) = [line for line in server.log_text().splitlines() if request_id in line]
    logged = json.loads(line)
    assert logged["event"] == "request"
    return int(logged["status"])


def status_on(connection: socket.socket) -> int:
    """Return the status of the next answer on a connection, once all of it was read."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not ended a connection on which it has nothing to say."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def problem_of(answer: bytes) -> dict[str, Any]:
    """Return the problem document of an answer."""
    fields, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in fields
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == int(answer.split()[1])
    return problem


def cut(server: LiveServer, reason: str) -> int:
    """Return how many connections a bound of the server has ended."""
    with httpx.Client(trust_env=False) as client:
        page = client.get(f"{server.url}/metrics").text
    found = re.search(rf'^fileferry_connections_cut_total{{reason="{reason}"}} (\d+)', page, re.MULTILINE)
    return int(found[1]) if found else 0


# What a head may be


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-Large: " + b"x" * 70_000],
        [b"X-%d: %s" % (number, b"x" * 1000) for number in range(70)],
        [b"X-%d: x" % number for number in range(201)],
        [b"x" * 70_000 + b": x"],
    ],
    ids=["one", "some", "many", "name"],
)
def test_a_head_beyond_its_bounds_is_refused(server: LiveServer, lines: list[bytes]) -> None:
    with connected(server) as [connection]:
        connection.sendall(b"\r\n".join([b"GET /healthz HTTP/1.1", b"Host: x", *lines, b"", b""]))
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    problem = problem_of(answer)
    assert (problem["code"], problem["retry"]) == ("head_too_large", "never")
    assert status_logged(server, problem["request_id"]) == 431


def test_a_long_request_line_is_refused(server: LiveServer) -> None:
    with connected(server) as [connection]:
        connection.sendall(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 431 ")


def test_a_head_within_its_bounds_is_answered_on_a_connection_that_goes_on(server: LiveServer) -> None:
    lines = [b"X-%d: %s" % (number, b"x" * 600) for number in range(100)]
    request = b"\r\n".join([b"GET /healthz HTTP/1.1", b"Host: x", *lines, b"", b""])
    with connected(server) as [connection]:
        for _ in range(3):
            connection.sendall(request)
            assert status_on(connection) == 200


def test_endless_headers_cost_nothing(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    before = resident(server.pid)
    with connected(server) as [connection]:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MIB:
                connection.sendall(b"x" * MIB)
                sent += MIB
    assert sent < 20 * MIB, "what the kernel holds, not what a server reads"
    assert peak_resident(server.pid) - before < 8 * MIB


def test_endless_trailers_cost_nothing(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    before = resident(server.pid)
    with connected(server) as [connection]:
        lines = ["PUT /api/upload/trailed.bin HTTP/1.1", "Host: x", f"X-API-Key: {server.root_key}"]
        connection.sendall(
            "\r\n".join([*lines, "Transfer-Encoding: chunked", "", "1", "x", "0", "X-Endless: "]).encode()
        )
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MIB:
                connection.sendall(b"x" * MIB)
                sent += MIB
    assert sent < 20 * MIB
    assert peak_resident(server.pid) - before < 8 * MIB
    with server.client() as client:
        assert client.get("/api/files").json()["files"] == []


def test_trailers_within_their_bounds_end_an_upload(server: LiveServer) -> None:
    with connected(server) as [connection]:
        lines = [
            "PUT /api/upload/trailed.bin HTTP/1.1",
            "Host: x",
            f"X-API-Key: {server.root_key}",
            "Connection: close",
        ]
        body = ["3", "abc", "0", "X-Trailer: " + "x" * 10_000, "", ""]
        connection.sendall("\r\n".join([*lines, "Transfer-Encoding: chunked", "", *body]).encode())
        assert read_to_end(connection).startswith(b"HTTP/1.1 201 ")


def test_requests_without_end_before_the_first_is_answered_are_cut(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    before = resident(server.pid)
    with connected(server, 20) as connections:
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 6000)
        answers = [read_to_end(connection) for connection in connections]
    assert all(answer.count(b"HTTP/1.1 ") < 6000 for answer in answers)
    assert peak_resident(server.pid) - before < 24 * MIB


def test_some_requests_before_the_first_is_answered_are_answered_in_order(server: LiveServer) -> None:
    with connected(server) as [connection]:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 63)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_to_end(connection).count(b"HTTP/1.1 200 ") == 64


# How long a head may take


def test_a_connection_without_a_whole_head_ends(make_server: MakeServer) -> None:
    server = make_server(request_head_timeout="1s")  # waits for it in real time
    with connected(server, 4) as [silent, blank, begun, repeated]:
        blank.sendall(b"\r\n\r\n")
        begun.sendall(b"GET /healthz HT")
        repeated.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_on(repeated) == 200
        repeated.sendall(b"GET /healthz HT")
        assert read_to_end(silent) == b""
        for connection in (blank, begun, repeated):
            answer = read_to_end(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert problem_of(answer)["code"] == "request_timeout"
            assert status_logged(server, problem_of(answer)["request_id"]) == 408
    assert cut(server, "head_timeout") == 4


def test_a_trickled_head_is_not_waited_for(make_server: MakeServer) -> None:
    server = make_server(request_head_timeout="1s")  # waits for it in real time
    with connected(server) as [connection]:
        request = iter(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 60_000)

        def is_ended() -> bool:
            try:
                connection.sendall(bytes([next(request)]))
            except ConnectionError:
                return True
            return False

        eventually(is_ended, "a head that comes byte by byte is given up", within=5)


def test_a_body_may_take_longer_than_a_head(make_server: MakeServer) -> None:
    server = make_server(request_head_timeout="1s")  # waits for it in real time
    with RawRequest(server, "/api/upload/slow.bin", size=3) as upload, connected(server) as [silent]:
        upload.send(b"a")
        assert read_to_end(silent) == b""
        upload.send(b"bc")
        assert upload.answer()[0] == 201


# What waits unsent


def test_a_client_that_takes_nothing_is_cut_off(make_server: MakeServer) -> None:
    server = make_server(answer_idle_timeout="1s")  # waits for it in real time
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=bytes(8 * MIB)).json()["url"]
        before = open_files(server.pid)
        with connected(server, receive_buffer=_SMALL_BUFFER) as [reader]:
            reader.sendall(head(server, url.removeprefix(server.url), size=0, method="GET"))
            eventually(lambda: cut(server, "answer_stalled") == 1, "the reader is cut off")
            assert len(read_to_end(reader)) < MIB
        eventually(lambda: open_files(server.pid) <= before, "its blob is closed")


def test_a_client_that_takes_little_is_not_cut_off(make_server: MakeServer) -> None:
    server = make_server(answer_idle_timeout="1s")  # in real time
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=bytes(8 * MIB)).json()["url"]
    with connected(server, 2, receive_buffer=_SMALL_BUFFER) as [stalled, slow]:
        for reader in (slow, stalled):
            reader.sendall(head(server, url.removeprefix(server.url), size=0, method="GET"))
        taken = 0

        def other_is_cut() -> bool:
            nonlocal taken
            taken += len(slow.recv(1024))
            return cut(server, "answer_stalled") == 1

        eventually(other_is_cut, "who takes nothing is cut off")
        assert taken < MIB
        while data := slow.recv(MIB):
            taken += len(data)
            if taken > 8 * MIB:
                break
        assert taken > 8 * MIB


def test_two_hundred_stalled_downloads_cost_little(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=bytes(16 * MIB)).json()["url"]
        client.get(url)
    before = resident(server.pid)
    with connected(server, 200, receive_buffer=_SMALL_BUFFER) as readers:
        for reader in readers:
            reader.sendall(head(server, url.removeprefix(server.url), size=0, method="GET"))
        for reader in readers:
            assert b" 200 " in reader.recv(64)
        grown = peak_resident(server.pid) - before
    assert grown < 64 * MIB


# How many there may be


def test_silent_connections_make_room(make_server: MakeServer) -> None:
    server = make_server(max_connections="20")
    with connected(server, 200) as silent:
        with server.client() as client:
            answer = client.put("/api/upload/file.bin", content=b"abc")
            assert answer.status_code == 201
            assert client.get(answer.json()["url"]).content == b"abc"
        assert not is_open(silent[0]), "the one that was idle for longest goes first"
        assert is_open(silent[-1])


def test_what_frees_or_protects_is_answered_when_all_are_at_work(make_server: MakeServer) -> None:
    server = make_server(max_connections="10")
    with server.client() as client:
        file = client.put("/api/upload/file.bin", content=b"abc").json()
        key = client.post("/api/keys", json={"name": "lost", "scopes": ["read"]}).json()
    with contextlib.ExitStack() as stack:
        for number in range(10):
            upload = stack.enter_context(RawRequest(server, f"/api/upload/{number}.bin", size=1000))
            upload.send(b"x" * 500)
        with server.client() as client:
            eventually(lambda: client.get("/api/files").status_code == 503, "all connections are at work")
        refused = httpx.get(file["url"], trust_env=False)
        assert refused.status_code == 503
        assert refused.headers["date"]
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["code"] == "unavailable"
        # To clients of tus any other status would say that the upload is gone.
        asked = httpx.head(f"{server.url}/u/a/b", headers={"Tus-Resumable": "1.0.0"}, trust_env=False)
        assert (asked.status_code, "retry-after" in asked.headers) == (423, True)
        with server.client() as client:
            assert client.get("/healthz").status_code == 200
            assert client.delete(f"/api/keys/{key['id']}").status_code == 204
            assert client.delete(f"/api/files/{file['id']}").status_code == 204
    with server.client() as client:
        eventually(lambda: client.get("/api/files").status_code == 200, "there is room again")


@contextlib.contextmanager
def soft_limit(files: int) -> Iterator[int]:
    """Let processes that are forked now begin with a low limit on open files; yields the hard one."""
    pid = fork_server.shared().pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield hard
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_may_open_as_many_files_as_the_system_lets_it(make_server: MakeServer, workers: int) -> None:
    with soft_limit(200) as hard:
        server = make_server(workers=workers)
    for pid in [server.pid, *children(server.pid)]:
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)
    with connected(server, 300), server.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.put("/api/upload/file.bin", content=bytes(MIB)).status_code == 201


@pytest.mark.parametrize("name", ["max_connections", "max_request_head", "max_request_headers", "request_head_timeout"])
def test_a_bound_of_nothing_stops_the_start(server: LiveServer, name: str) -> None:
    run = server.run("serve", "--port", "0", **{name: "0"})
    assert run.returncode != 0
