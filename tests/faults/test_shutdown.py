"""SIGTERM: running transfers go on to their end within the grace, and are cut after it; and several workers are one server."""

from __future__ import annotations

import hashlib
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from faults.proc import workers, written
from faults.raw_http import RawRequest
from faults.remains import assert_no_orphans_after_sweep, blobs
from faults.waiting import eventually, until_all_serve
from support.live_server import LiveServer, MakeServer

MIB = 1024 * 1024
_HALF = 2 * MIB


def begin_shutdown(server: LiveServer, processes: int = 1) -> None:
    until_all_serve(server, processes)
    os.kill(server.pid, signal.SIGTERM)
    eventually(lambda: server.log_text().count("Shutting down") == processes, "every process is shutting down")


def bytes_arrive(server: LiveServer) -> bool:
    return any(path.stat().st_size for path in (server.data / "incoming").iterdir())


@pytest.mark.parametrize("processes", [1, 2])
def test_an_upload_under_way_at_sigterm_is_completed_and_kept(make_server: Any, processes: int) -> None:
    server = make_server(workers=processes, shutdown_grace="30s")
    content = os.urandom(2 * _HALF)
    with RawRequest(server, "/api/upload/late.bin", size=len(content)) as request:
        request.send(content[:_HALF])
        eventually(lambda: bytes_arrive(server), "the upload is under way")
        begin_shutdown(server, processes)
        request.send(content[_HALF:])
        status, file = request.answer()
    assert status == 201
    eventually(lambda: not server.is_running(), "the server ends once its last transfer has")
    server.start()
    with server.client() as client:
        assert client.get(file["url"]).content == content


def test_a_download_under_way_at_sigterm_is_completed(make_server: Any) -> None:
    server = make_server(shutdown_grace="30s")
    content = os.urandom(16 * MIB)
    with server.client() as client:
        file = client.put("/api/upload/late.bin", content=content).json()
    target = f"/api/files/{file['id']}/content"
    with RawRequest(server, target, size=0, method="GET", receive_buffer=65536) as request:
        response = request.response()
        beginning = response.read(1)
        begin_shutdown(server)
        received = beginning + response.read()
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
    eventually(lambda: not server.is_running(), "the server ends once its last transfer has")


@pytest.mark.sqlite  # looks into the folder
def test_a_transfer_that_outlasts_the_grace_is_cut_and_leaves_nothing(make_server: Any) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(workers=2, shutdown_grace="1s")
    with RawRequest(server, "/api/upload/endless.bin", size=2 * _HALF) as request:
        request.send(bytes(_HALF))
        eventually(lambda: bytes_arrive(server), "the upload is under way")
        begin_shutdown(server, processes=2)
        started = time.monotonic()
        assert request.is_cut()
    eventually(lambda: not server.is_running(), "the server ends")
    # The grace is 1 s; the rest is room for a busy machine. The idle timeout, which would cut too, is 60 s.
    assert time.monotonic() - started < 20
    server.start()
    with server.client() as client:
        assert client.get("/api/files").json()["files"] == []
    assert_no_orphans_after_sweep(server)
    assert not blobs(server.data)


def test_two_workers_take_uploads_into_one_list(make_server: Any) -> None:
    server = make_server(workers=2)
    until_all_serve(server, processes=2)
    before = {worker: written(worker) for worker in workers(server.pid)}
    content = os.urandom(MIB)
    urls: list[str] = []

    def upload_to_whoever_answers(_: int) -> str:
        with server.client() as client:
            return str(client.post(f"/api/upload/{uuid.uuid4()}.bin", content=content).raise_for_status().json()["url"])

    def both_have_stored_a_file() -> bool:
        urls.extend(clients.map(upload_to_whoever_answers, range(8)))
        return all(written(worker) - start >= len(content) for worker, start in before.items())

    with ThreadPoolExecutor(8) as clients, server.client() as client:
        eventually(both_have_stored_a_file, "both workers have taken an upload")
        for url in urls:
            assert client.get(url).content == content
        listed = client.get("/api/files?limit=1000").json()["files"]
    assert sorted(file["url"] for file in listed) == sorted(urls)


def test_what_killed_servers_kept_for_their_workers_is_removed_at_the_next_start(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    (left,) = folders_of_metrics(server.pid)
    server.kill()
    server.start()
    assert not left.exists()
    (left,) = folders_of_metrics(server.pid)
    assert left.exists()
    server.stop()
    assert not left.exists()


def folders_of_metrics(pid: int) -> set[Path]:
    """Return the folders that a server holds for what its workers count; other servers have theirs beside them."""
    opened = {Path(os.readlink(link)) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    return {path for path in opened if path.name.startswith("fileferry-metrics-")}
