"""Uploads over connections that break: cut again and again, away for a while, the client killed in between. The server is real."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from faces import Awaiting
from shell import Shell

import fileferry
from fileferry import RetryPolicy
from fileferry.client.asynchronous.transport import Transport as AsyncTransport
from fileferry.client.blocking.transport import Transport
from fileferry.client.transfers.journal import state_folder
from fileferry.client.transfers.streaming import WINDOW
from fileferry.errors import AlreadyUploaded
from support.link import Link
from support.live_server import LiveServer

MIB = 1024 * 1024
EVERY = 300_000
SIZE = 5 * MIB + 12345
IN_PARTS: dict[str, Any] = {"multipart_threshold": MIB, "part_size": MIB}
PUT_IN_PARTS = ["--multipart-threshold", "1MiB", "--part-size", "1MiB"]
QUICK: dict[str, Any] = {"first_delay": 0.001, "longest_delay": 0.01}
# Long enough for the server to take in what came before a cut.
UNDAUNTED = RetryPolicy(attempts=8, first_delay=0.05, longest_delay=0.1)


@pytest.fixture(scope="module")
def body() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def large(tmp_path: Path, body: bytes) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(body)
    return path


def content_of(server: LiveServer, file_id: str) -> bytes:
    with server.client() as http:
        return http.get(f"/api/files/{file_id}/content").raise_for_status().content


def ticket_of(server: LiveServer, upload_id: str) -> dict[str, Any]:
    with server.client() as http:
        return dict(http.get(f"/api/uploads/{upload_id}").raise_for_status().json())


def chunks_of(body: bytes) -> Iterator[bytes]:
    return iter([body[start : start + MIB] for start in range(0, len(body), MIB)])


def test_parts_that_no_connection_gets_through_arrive_as_a_stream(
    server: LiveServer, connect: Any, large: Path, body: bytes
) -> None:
    steps: list[int] = []
    with Link(server.url, every=EVERY) as link:
        client = connect(link.url, server.root_key, retries=UNDAUNTED)
        file = client.upload(large, progress=lambda done, _: steps.append(done), **IN_PARTS)
    assert content_of(server, file.file_id) == body
    assert link.cuts > SIZE // EVERY
    assert link.sent < 2.5 * SIZE
    assert steps[-1] == SIZE
    assert len({step for step in steps if 0 < step < SIZE}) > 3


def test_a_file_that_changes_while_it_is_streamed_is_no_upload(server: LiveServer, connect: Any, large: Path) -> None:
    def rewrite(done: int, total: int | None) -> None:
        if done and done < SIZE:
            large.write_bytes(bytes(SIZE))

    with Link(server.url, every=EVERY) as link:
        client = connect(link.url, server.root_key, retries=UNDAUNTED)
        with pytest.raises(fileferry.SourceChanged):
            client.upload(large, progress=rewrite, resume=True, **IN_PARTS)
    assert list(state_folder().iterdir()) == []


def test_put_gets_through_such_a_connection(server: LiveServer, shell: Shell, large: Path, body: bytes) -> None:
    with Link(server.url, every=3 * EVERY) as link:
        shell.environment["FILEFERRY_URL"] = link.url
        file = json.loads(shell.out("put", str(large), "--json", *PUT_IN_PARTS))
    assert content_of(server, file["file_id"]) == body
    assert link.sent < 2.5 * SIZE
    assert list(state_folder().iterdir()) == []


@pytest.mark.parametrize("folder", [True, False], ids=["ticket", "one request"])
def test_what_goes_whole_arrives_as_a_stream_as_well(
    server: LiveServer, connect: Any, tmp_path: Path, folder: bool
) -> None:
    # More than sockets hold: what was given out to its end is sent again as it was.
    body = os.urandom(16 * MIB)
    with Link(server.url, every=3 * MIB) as link:
        client = connect(link.url, server.root_key, retries=UNDAUNTED)
        where = client.create_folder(tmp_path.name) if folder else None
        file = client.upload(body, name="whole.bin", folder=where)
    assert content_of(server, file.file_id) == body
    assert link.sent < 2.5 * len(body)


def test_a_request_given_up_as_lost_may_bring_the_last_byte_while_the_next_one_sends_it_again(
    server: LiveServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = os.urandom(WINDOW + MIB)
    blocking, awaiting = Transport.patch, AsyncTransport.patch
    refused: list[int] = []

    def refuse(offset: int) -> int:
        if offset == len(body):
            refused.append(offset)
            raise AlreadyUploaded()
        return offset

    async def refuse_later(*args: Any) -> int:
        return refuse(await awaiting(*args))

    monkeypatch.setattr(Transport, "patch", lambda *args: refuse(blocking(*args)))
    monkeypatch.setattr(AsyncTransport, "patch", refuse_later)
    file = connect(server.url, server.root_key).upload(chunks_of(body), name="piped.bin")
    assert content_of(server, file.file_id) == body
    assert refused == [len(body)]


def test_a_pipe_of_any_length_arrives(server: LiveServer, connect: Any) -> None:
    body = os.urandom(2 * WINDOW + 12345)
    with Link(server.url, every=MIB) as link:
        file = connect(link.url, server.root_key, retries=UNDAUNTED).upload(chunks_of(body), name="piped.bin")
    assert content_of(server, file.file_id) == body
    assert link.cuts > 10
    assert link.sent < 2.5 * len(body)


def test_an_asynchronous_iterator_of_any_length_arrives(server: LiveServer) -> None:
    body = os.urandom(2 * WINDOW)

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in chunks_of(body):
            yield chunk

    with Link(server.url, every=MIB) as link:
        file = Awaiting(link.url, server.root_key, retries=UNDAUNTED).upload(chunks(), name="piped.bin")
    assert content_of(server, file.file_id) == body


def test_put_sends_standard_input_over_such_a_connection(server: LiveServer, shell: Shell) -> None:
    body = os.urandom(WINDOW + 12345)
    with Link(server.url, every=MIB) as link:
        shell.environment["FILEFERRY_URL"] = link.url
        file = json.loads(shell.out("put", "-", "--json", stdin=body))
    assert content_of(server, file["file_id"]) == body


def test_a_pipe_is_not_gathered_in_memory(server: LiveServer, connect: Any) -> None:
    size = 10 * WINDOW
    tracemalloc.start()
    try:
        chunks = (bytes(MIB) for _ in range(size // MIB))
        file = connect(server.url, server.root_key).upload(chunks, name="zeros.bin")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file.size == size
    assert most < 2 * WINDOW


@pytest.mark.parametrize("outage", [30.0, 0.0], ids=["patient", "hasty"])
@pytest.mark.parametrize("stage", ["ticket", "parts", "completion"])
def test_an_upload_outlasts_a_server_that_is_away(
    server: LiveServer, connect: Any, large: Path, body: bytes, stage: str, outage: float
) -> None:
    tried = threading.Semaphore(0)
    with Link(server.url) as link:

        def take_away(done: int, total: int | None) -> None:
            away_at = {"parts": 2 * MIB, "completion": SIZE}.get(stage)
            if away_at is not None and done >= away_at and not link.cuts:
                link.down()

        def come_back() -> None:
            for _ in range(20):
                tried.acquire()
            link.up()

        if stage == "ticket":
            link.down()
        returning = threading.Thread(target=come_back, daemon=True)
        returning.start()
        policy = RetryPolicy(attempts=3, outage=outage, on_outage=lambda left: tried.release(), **QUICK)
        client = connect(link.url, server.root_key, retries=policy)
        if not outage:
            with pytest.raises(fileferry.ConnectionFailed):
                client.upload(large, parallel=1, progress=take_away, **IN_PARTS)
            return
        file = client.upload(large, parallel=1, progress=take_away, **IN_PARTS)
        returning.join()
    assert content_of(server, file.file_id) == body


def test_an_outage_has_its_end(server: LiveServer, connect: Any) -> None:
    left: list[float] = []
    policy = RetryPolicy(attempts=2, outage=1.0, on_outage=left.append, **QUICK)
    with Link(server.url) as link:
        link.down()
        with pytest.raises(fileferry.ConnectionFailed):
            connect(link.url, server.root_key, retries=policy).upload(b"abc", name="a")
        link.up()
    assert len(left) > policy.attempts
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] < left[0] <= 1.0


def test_a_byte_that_changed_on_the_way_makes_no_file(server: LiveServer, connect: Any, tmp_path: Path) -> None:
    with Link(server.url, alters=WINDOW + MIB) as link:
        client = connect(link.url, server.root_key)
        with pytest.raises(fileferry.DigestMismatch):
            client.upload(chunks_of(bytes(2 * WINDOW)), path=f"{tmp_path.name}/altered.bin")
        assert client.list(tmp_path.name) == []


def test_a_stream_outlives_the_address_that_it_began_at(make_server: Any, connect: Any) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(upload_url_lifetime="1s")

    def slowly() -> Iterator[bytes]:
        yield bytes(WINDOW + MIB)
        expired = time.time() + 2
        while time.time() < expired:
            threading.Event().wait(0.05)
        yield bytes(WINDOW)

    assert connect(server.url, server.root_key).upload(slowly(), name="slow.bin").size == 2 * WINDOW + MIB


def test_a_pipe_that_is_too_long_is_refused(make_server: Any, connect: Any) -> None:
    server = make_server(max_file_size="9MiB")
    with pytest.raises(fileferry.FileTooLarge):
        connect(server.url, server.root_key).upload(chunks_of(bytes(2 * WINDOW)), name="long.bin")


def test_a_person_is_told_that_the_connection_is_lost(server: LiveServer, shell: Shell) -> None:
    (shell.folder / "a.txt").write_bytes(b"hello")
    terminal, stderr = pty.openpty()
    with Link(server.url) as link, os.fdopen(terminal, "rb", buffering=0) as watched:
        link.down()
        command = [sys.executable, "-m", "fileferry", "put", "a.txt", "--url", link.url]
        with subprocess.Popen(command, cwd=shell.folder, env=shell.environment, stderr=stderr) as process:
            said = b""
            while "connection lost, trying again for 10 min …".encode() not in said:
                said += watched.read(1024)
            link.up()
            assert process.wait(60) == 0
    os.close(stderr)


def test_put_outlasts_a_server_that_is_away(server: LiveServer, shell: Shell, large: Path, body: bytes) -> None:
    with Link(server.url) as link:
        link.down()
        shell.environment["FILEFERRY_URL"] = link.url
        command = [sys.executable, "-m", "fileferry", "put", str(large), "--json", "--patience", "5m", *PUT_IN_PARTS]
        with subprocess.Popen(command, env=shell.environment, stdout=subprocess.PIPE) as process:
            # Its state folder is there just before it first calls.
            while not state_folder().exists() or not list(state_folder().iterdir()):
                assert process.poll() is None
            link.up()
            said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert content_of(server, json.loads(said)["file_id"]) == body


def test_a_put_that_is_killed_in_its_stream_is_continued_from_there(
    server: LiveServer, shell: Shell, large: Path, body: bytes
) -> None:
    with Link(server.url, every=EVERY) as link:
        shell.environment["FILEFERRY_URL"] = link.url
        command = [sys.executable, "-m", "fileferry", "put", str(large), *PUT_IN_PARTS]
        with subprocess.Popen(command, env=shell.environment, stdout=subprocess.DEVNULL) as process:
            offset = 0
            while offset < 2 * MIB:
                assert process.poll() is None
                states = list(state_folder().iterdir()) if state_folder().exists() else []
                said = states[0].read_text() if states else ""
                offset = ticket_of(server, json.loads(said)["upload_id"])["offset"] if said.endswith("}\n") else 0
            process.kill()
        before = link.sent
        file = json.loads(shell.out("put", str(large), "--json", *PUT_IN_PARTS))
    assert file["file_id"] == ticket_of(server, json.loads(said)["upload_id"])["file_id"]
    assert content_of(server, file["file_id"]) == body
    assert link.sent - before < 1.3 * (SIZE - offset)
    assert list(state_folder().iterdir()) == []
