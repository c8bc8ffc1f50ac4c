"""Waiting and following from the clients and the command line: ready files, events over broken streams, limited fetches."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from faces import Blocking
from shell import Shell

from fileferry import AsyncClient, Client, Event, RetryPolicy, TimedOut
from fileferry.errors import Forbidden, Gone
from support.live_server import LiveServer
from support.live_worker import LiveWorker

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

TEXT = b"some text"
PATIENT = RetryPolicy(outage=60)
DISGUISED = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server whose files are judged only while there is a worker."""
    settings = {"allowed_types": "text/plain", "processing": "worker", "max_wait": "60s"}
    live = LiveServer(tmp_path_factory.mktemp("held"), settings)
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture
def waiting_shell(held: LiveServer, tmp_path: Path) -> Shell:
    return Shell(tmp_path, held.url, held.root_key)


def follow(connect: Any, server: LiveServer, count: int, key: str | None = None, **options: Any) -> list[Event]:
    """Return the first events that a client yields."""
    key = key or server.root_key
    if connect is Blocking:
        with Client(server.url, key, retries=PATIENT) as client:
            return list(itertools.islice(client.events(**options), count))

    async def take() -> list[Event]:
        found: list[Event] = []
        async with AsyncClient(server.url, key, retries=PATIENT) as client:
            async for event in client.events(**options):
                found.append(event)
                if len(found) == count:
                    break
        return found

    return asyncio.run(take())


@pytest.mark.parametrize("threshold", [1, 2**30], ids=["in parts", "in one request"])
def test_an_upload_may_wait_until_it_is_ready(connect: Any, held: LiveServer, threshold: int) -> None:
    client = connect(held.url, held.root_key)
    early = client.upload(TEXT, name="early.txt", multipart_threshold=threshold)
    assert (early.status, early.scan) == ("processing", None)
    with LiveWorker(held):
        ready = client.upload(TEXT, name="ready.txt", multipart_threshold=threshold, wait=50)
        assert (ready.status, ready.scan.outcome) == ("ready", "skipped_disabled")
        assert client.get(early.file_id, wait=50).status == "ready"
        assert client.wait(early).status == "ready"
        assert client.upload(DISGUISED, name="disguised.txt", wait=50).reason == "type_not_allowed"


def test_a_wait_lasts_as_long_as_was_said_whatever_one_answer_may(connect: Any, make_server: MakeServer) -> None:
    server = make_server(allowed_types="text/plain", processing="worker", max_wait="1s")
    client = connect(server.url, server.root_key)
    began = time.monotonic()
    file = client.upload(TEXT, name="stuck.txt", wait=2.5)
    assert (file.is_under_way, time.monotonic() - began >= 2.5) == (True, True)
    began = time.monotonic()
    assert client.get(file.file_id, wait=2.5).is_under_way
    assert time.monotonic() - began >= 2.5
    with server.client() as http:
        key = http.post("/api/keys", json={"name": "uploads only", "scopes": ["upload"]}).json()["key"]
    assert connect(server.url, key).upload(TEXT, name="unread.txt", wait=2.5).is_under_way


def test_waiting_for_what_does_not_come_ends(connect: Any, held: LiveServer) -> None:
    client = connect(held.url, held.root_key)
    file = client.upload(TEXT, name="stuck.txt", wait=1)
    assert file.is_under_way
    assert client.get(file.file_id, wait=0.1).is_under_way
    with pytest.raises(TimedOut):
        client.wait(file, timeout=1)


def test_an_upload_may_wait_for_longer_than_the_timeout_of_the_client(connect: Any, held: LiveServer) -> None:
    file = connect(held.url, held.root_key, timeout=0.75).upload(TEXT, name="patient.txt", wait=2)
    assert file.is_under_way


def test_a_limited_file_is_gone_after_its_last_download(connect: Any, server: LiveServer) -> None:
    client = connect(server.url, server.root_key)
    file = client.upload(TEXT, name="once.txt", expires_after_fetches=1)
    assert file.fetches_left == 1
    assert client.download(file) == TEXT
    with pytest.raises(Gone):
        client.download(file)
    parts = client.upload(TEXT, name="parts.txt", expires_after_fetches=2, multipart_threshold=1)
    assert parts.fetches_left == 2


def test_events_are_yielded_in_order(connect: Any, make_server: MakeServer) -> None:
    server = make_server()
    client = connect(server.url, server.root_key)
    files = [client.upload(TEXT, name=f"{number}.txt") for number in range(3)]
    client.delete(files[0])
    events = follow(connect, server, 4, after="0")
    kinds = [(event.type, event.data["file_id"]) for event in events]
    assert kinds == [("file.ready", file.file_id) for file in files] + [("file.deleted", files[0].file_id)]
    assert events[0].timestamp == files[0].created_at
    assert follow(connect, server, 2, after=events[1].event_id) == events[2:]
    assert follow(connect, server, 1, after="0", types=["file.deleted"]) == events[3:]
    assert follow(connect, server, 1, after="0", file=files[2]) == events[2:3]


def test_events_go_on_after_the_server_was_away(connect: Any, make_server: MakeServer) -> None:
    server = make_server()
    client = connect(server.url, server.root_key)
    client.upload(TEXT, name="before.txt")
    with ThreadPoolExecutor(1) as threads:
        followed = threads.submit(follow, connect, server, 2, after="0")
        server.restart()
        client.upload(TEXT, name="after.txt")
        names = [event.data["name"] for event in followed.result(60)]
    assert names == ["before.txt", "after.txt"]


def test_what_is_no_longer_kept_is_told(connect: Any, server: LiveServer) -> None:
    (reset,) = follow(connect, server, 1, after="1000000000")
    assert (reset.type, reset.timestamp, reset.data) == ("reset", None, {})


def test_a_key_that_may_not_read_follows_nothing(connect: Any, server: LiveServer) -> None:
    key = connect(server.url, server.root_key).create_key("blind", scopes=["upload"])
    with pytest.raises(Forbidden):
        follow(connect, server, 1, key=key.secret)


def test_the_command_line_prints_events_one_per_line(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    shell = Shell(tmp_path, server.url, server.root_key)
    shell.out("put", "-", "--name", "a.txt", stdin=TEXT)
    shell.out("put", "-", "--name", "b.txt", stdin=TEXT)
    lines = [json.loads(line) for line in shell.out("events", "--after", "0", "--count", "2").splitlines()]
    assert [(line["type"], line["data"]["name"]) for line in lines] == [
        ("file.ready", "a.txt"),
        ("file.ready", "b.txt"),
    ]
    last = shell.out("events", "--after", lines[0]["event_id"], "--count", "1", "--types", "file.ready")
    assert json.loads(last) == lines[1]


def test_put_waits_and_says_when_a_file_is_refused(waiting_shell: Shell, held: LiveServer) -> None:
    late = waiting_shell.run("put", "-", "--name", "late.txt", "--wait", "1s", stdin=TEXT)
    assert (late.returncode, late.stdout.count(b"\n")) == (75, 1)
    unknown = waiting_shell.run("put", "-", "--name", "c.txt", stdin=TEXT)
    assert (unknown.returncode, unknown.stdout.count(b"\n")) == (0, 1)
    assert unknown.stderr == b"c.txt is still being checked; --wait 60s waits for the outcome.\n"
    with LiveWorker(held):
        url = waiting_shell.out("put", "-", "--name", "a.txt", "--wait", "50s", stdin=TEXT).strip()
        assert httpx.get(url, trust_env=False).content == TEXT
        refused = waiting_shell.run("put", "-", "--name", "b.txt", "--wait", "50s", stdin=DISGUISED)
        assert (refused.returncode, refused.stderr) == (1, b"fileferry: b.txt is rejected: type_not_allowed\n")
        assert refused.stdout == b""
    listed = [line.split("\t") for line in waiting_shell.out("ls", "-l").splitlines()]
    assert [fields[2] for fields in listed if fields[5] == "b.txt"] == ["rejected: type_not_allowed"]


def test_put_limits_how_often_a_file_may_be_fetched(shell: Shell) -> None:
    url = shell.out("put", "-", "--fetches", "1", stdin=TEXT).strip()
    assert [httpx.get(url, trust_env=False).status_code for _ in range(2)] == [200, 410]
