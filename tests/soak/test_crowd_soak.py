"""2,200 connections that hardly move, with room on the disk and without: everything else answers within a second.

And what of its memory a server gives back after 20,000 uploads and deletions beside such a crowd.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.disks import SmallDisk
from faults.proc import forget_peak, open_files, peak_resident, resident
from faults.raw_http import head
from faults.waiting import eventually
from support.live_server import LiveServer, MakeServer

MIB = 1024 * 1024
_SILENT = 1500
_STALLED = 200
_SLOW = 500
_UPLOADS = int(os.environ.get("SOAK_UPLOADS", "20000"))
_AT_ONCE = 8
_MOST_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    """Let this process open as many files as the crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path, 64 * MIB)
    yield small
    small.unmount()


@pytest.mark.soak
@pytest.mark.parametrize("is_full", [False, True], ids=["room", "full-disk"])
def test_a_crowd_that_hardly_moves_holds_nothing_up(make_server: Any, disk: SmallDisk, is_full: bool) -> None:
    places = {"store": f"file://{disk.folder}", "database_url": f"sqlite:///{disk.folder}/fileferry.db"}
    # The silent ones would be closed while the others are still coming.
    server: LiveServer = make_server(log_level="warning", min_free_space="0", request_head_timeout="10m", **places)
    with server.client() as client:
        large = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()
        files = [client.put(f"/api/upload/{number}.bin", content=b"abc").json() for number in range(10)]
        key = client.post("/api/keys", json={"name": "lost", "scopes": ["read"]}).json()
    before = resident(server.pid)
    forget_peak(server.pid)
    with contextlib.ExitStack() as stack:
        silent = [_open(server, stack) for _ in range(_SILENT)]
        stalled = [_stall(server, stack, large["url"]) for _ in range(_STALLED)]
        uploads = [_begin_upload(server, stack, number) for number in range(_SLOW)]
        for reader in stalled:
            assert b" 200 " in reader.recv(64)
        with server.client() as client:
            # What is asked at once must have been begun: the trial is of a crowd that is there, not of its coming.
            eventually(lambda: _running(client) >= _STALLED + _SLOW, "all of the crowd is being answered")
        if is_full:
            disk.fill()
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
        assert all(_is_open(connection) for connection in silent)
        crowd = _SILENT + _STALLED + _SLOW
        print(f"{crowd} connections: memory +{grown / MIB:.0f} MiB, {grown / crowd / 1024:.0f} KiB each")
        for upload in uploads:
            upload.sendall(b"x" * 500)
        answers = {upload.recv(65536)[9:12] for upload in uploads}
        # What was deleted has made room for some.
        assert answers - {b"201"} == ({b"507"} if is_full else set())
    print(f"afterwards +{(resident(server.pid) - before) / MIB:.0f} MiB")


@pytest.mark.soak
def test_memory_comes_back_after_a_load(make_server: MakeServer) -> None:
    # The crowd is to stay for as long as the load.
    server = make_server(
        log_level="warning", request_head_timeout="10h", answer_idle_timeout="10h", sweep_interval="1s"
    )
    with server.client() as client:
        large = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()
    _work(server, range(200))
    at_rest, files = resident(server.pid), open_files(server.pid)
    forget_peak(server.pid)
    with contextlib.ExitStack() as stack:
        silent = [_open(server, stack) for _ in range(500)]
        stalled = [_stall(server, stack, large["url"]) for _ in range(_STALLED)]
        for reader in stalled:
            assert b" 200 " in reader.recv(64)
        crowded = resident(server.pid)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda first: _work(server, range(first, _UPLOADS, _AT_ONCE)), range(_AT_ONCE)))
        assert all(_is_open(connection) for connection in silent)
        loaded, peak = resident(server.pid), peak_resident(server.pid)
        print(f"{_UPLOADS} uploads and deletions took {time.monotonic() - began:.0f} s")
    eventually(lambda: open_files(server.pid) <= files, "everything is closed")
    eventually(lambda: resident(server.pid) - at_rest < 24 * MIB, "most of the memory has come back")
    left = resident(server.pid)
    print(
        f"{_UPLOADS} uploads and deletions: at rest {at_rest / MIB:.0f} MiB, with the crowd {crowded / MIB:.0f}, "
        f"after the load {loaded / MIB:.0f}, at most {peak / MIB:.0f}, with the crowd gone {left / MIB:.0f}"
    )


def _work(server: LiveServer, numbers: range) -> None:
    """Upload and delete files by a client that costs little itself."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        for number in numbers:
            file = json.loads(_ask(server, connection, "PUT", f"/api/upload/small-{number}.bin", b"x" * 10_000))
            _ask(server, connection, "DELETE", f"/api/files/{file['id']}?permanent=true")


def _ask(
    server: LiveServer, connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> bytes:
    headers = {"Authorization": f"Bearer {server.root_key}"}
    for _ in range(3):
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (http.client.RemoteDisconnected, ConnectionError):  # it was idle for long, as this machine is busy
            connection.close()
            continue
        assert answer.status in (200, 201, 204, 404), content
        return content
    raise AssertionError("no answer")


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True


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
