"""2,200 connections that hardly move, and what memory is left after a load: everything else answers within a second."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from faults.proc import forget_peak, open_files, peak_resident, resident
from faults.raw_http import head
from faults.waiting import eventually
from support.live_server import LiveServer, MakeServer

MIB = 1024 * 1024
_SILENT = 1500
_STALLED = 200
_SLOW = 500
_SMALL_UPLOADS = 20_000
_AT_ONCE = 8
_MOST_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    """Let this process open as many files as the crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.soak
def test_a_crowd_that_hardly_moves_holds_nothing_up(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    with server.client() as client:
        large = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()
        files = [client.put(f"/api/upload/{number}.bin", content=b"abc").json() for number in range(10)]
        key = client.post("/api/keys", json={"name": "lost", "scopes": ["read"]}).json()
    before = resident(server.pid)
    forget_peak(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(_SILENT):
            _open(server, stack)
        stalled = [_stall(server, stack, large["url"]) for _ in range(_STALLED)]
        uploads = [_begin_upload(server, stack, number) for number in range(_SLOW)]
        for reader in stalled:
            assert b" 200 " in reader.recv(64)
        with server.client() as client:
            # What is asked at once must have been begun: the trial is of a crowd that is there, not of its coming.
            eventually(lambda: _running(client) >= _STALLED + _SLOW, "all of the crowd is being answered")
        calls: dict[str, Callable[[httpx.Client], httpx.Response]] = {
            "health": lambda client: client.get("/healthz"),
            "fetch": lambda client: client.get(files[0]["url"]),
            "deletion": lambda client: client.delete(f"/api/files/{files[1]['id']}"),
            "revocation": lambda client: client.delete(f"/api/keys/{key['id']}"),
        }
        for name, call in calls.items():
            with server.client() as client:
                started = time.perf_counter()
                answer = call(client)
                seconds = time.perf_counter() - started
            print(f"{name}: {answer.status_code} in {seconds * 1e3:.0f} ms")
            assert answer.is_success
            assert seconds < _MOST_SECONDS
        grown = peak_resident(server.pid) - before
        crowd = _SILENT + _STALLED + _SLOW
        print(f"{crowd} connections: memory +{grown / MIB:.0f} MiB, {grown / crowd / 1024:.0f} KiB each")
        for upload in uploads:
            upload.sendall(b"x" * 500)
        assert all(upload.recv(65536).startswith(b"HTTP/1.1 201 ") for upload in uploads)
    print(f"afterwards +{(resident(server.pid) - before) / MIB:.0f} MiB")


@pytest.mark.soak
def test_memory_comes_back_after_a_load(make_server: MakeServer) -> None:
    server = make_server(log_level="warning")
    with server.client() as client:
        large = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()
        for number in range(200):
            _upload_and_delete(client, number)
    at_rest, files = resident(server.pid), open_files(server.pid)
    forget_peak(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            _open(server, stack)
        stalled = [_stall(server, stack, large["url"]) for _ in range(_STALLED)]
        for reader in stalled:
            assert b" 200 " in reader.recv(64)
        crowded = resident(server.pid)
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda worker: _work(server, worker), range(_AT_ONCE)))
        peak = peak_resident(server.pid)
    eventually(lambda: open_files(server.pid) <= files, "everything is closed")
    left = resident(server.pid)
    print(
        f"at rest {at_rest / MIB:.0f} MiB, with the crowd {crowded / MIB:.0f}, at most {peak / MIB:.0f}, "
        f"afterwards {left / MIB:.0f}"
    )
    assert left - at_rest < 64 * MIB


def _work(server: LiveServer, worker: int) -> None:
    with server.client() as client:
        for number in range(_SMALL_UPLOADS // _AT_ONCE):
            _upload_and_delete(client, worker * _SMALL_UPLOADS + number)


def _upload_and_delete(client: httpx.Client, number: int) -> None:
    file: Any = client.post(f"/api/upload/small-{number}.bin", content=b"x" * 10_000).json()
    assert client.delete(f"/api/files/{file['id']}", params={"permanent": "true"}).status_code == 204


def _running(client: httpx.Client) -> int:
    """Return how many requests the server is answering."""
    found = re.search(r"^fileferry_requests_running (\d+)", client.get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


def _open(server: LiveServer, stack: contextlib.ExitStack, receive_buffer: int | None = None) -> socket.socket:
    connection = stack.enter_context(socket.socket())
    connection.settimeout(60)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", server.port))
    return connection


def _stall(server: LiveServer, stack: contextlib.ExitStack, url: str) -> socket.socket:
    reader = _open(server, stack, receive_buffer=4096)
    reader.sendall(head(server, url.removeprefix(server.url), size=0, method="GET"))
    return reader


def _begin_upload(server: LiveServer, stack: contextlib.ExitStack, number: int) -> socket.socket:
    upload = _open(server, stack)
    upload.sendall(head(server, f"/api/upload/slow-{number}.bin", size=1000) + b"x" * 500)
    return upload
