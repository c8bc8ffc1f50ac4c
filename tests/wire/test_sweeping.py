"""Uploads that were begun and left: seen while they wait, swept when they waited too long, and their bytes gone."""

from __future__ import annotations

import json
import os

import httpx
import pytest

from contract.edge import eventually
from support.live_server import LiveServer, MakeServer
from wire.asking import SMALL_PART, ask_one, confirm, fetch, initiate, send
from wire.slow import SlowPut

SIZE = 300_000
"""More than the server keeps in its database (bytes)."""


def on_disk(server: LiveServer) -> int:
    """Return how many blobs the store holds, finished or not."""
    folders = (server.data / "incoming", server.data / "blobs")
    return sum(path.is_file() for folder in folders for path in folder.rglob("*"))


def waiting(http: httpx.Client) -> dict[str, float]:
    """Return the uploads that /metrics shows, by state."""
    lines = http.get("/metrics").text.splitlines()
    shown = [line for line in lines if line.startswith("fileferry_uploads{")]
    return {line.split('state="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in shown}


def doctor(server: LiveServer) -> dict[str, object]:
    """Return what `fileferry doctor` finds beside the running server."""
    finished = server.run("doctor", "--json")
    assert finished.returncode == 0, (finished.stdout + finished.stderr).decode()
    found: dict[str, object] = json.loads(finished.stdout)
    return found


@pytest.mark.folder("its files are counted")
def test_what_waits_is_shown_and_swept_when_it_waited_too_long(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(upload_idle_timeout="3s", sweep_interval="1s")
    with own.client() as http:
        never_sent = ask_one(http, SIZE)
        never_confirmed = ask_one(http, SIZE)
        assert send(never_confirmed["url"], os.urandom(SIZE)).status_code == 200
        half = initiate(http, 2 * SIZE, SIZE)
        half.put(1, os.urandom(SIZE))
        kept = ask_one(http, SIZE)
        content = os.urandom(SIZE)
        send(kept["url"], content)
        assert confirm(http, kept["id"]).status_code == 200

        eventually(lambda: waiting(http) == {"open": 2, "received": 1})
        assert on_disk(own) == 3

        eventually(lambda: waiting(http) == {"open": 0, "received": 0})
        eventually(lambda: on_disk(own) == 1)
        for ticket in (never_sent, never_confirmed):
            assert confirm(http, ticket["id"]).status_code == 410
            assert send(ticket["url"], os.urandom(SIZE)).status_code == 410
        assert half.complete({1: "x"}).status_code == 410
        assert send(half.urls[2], os.urandom(SIZE)).status_code == 410
        assert on_disk(own) == 1
        assert fetch(http, kept["s3Key"]).content == content


def test_the_doctor_counts_uploads_under_way_and_finds_no_fault_in_them(make_server: MakeServer) -> None:
    own = make_server()
    with own.client() as http:
        ask_one(http, SIZE)
        send(ask_one(http, SIZE)["url"], os.urandom(SIZE))
        initiate(http, 2 * SIZE, SIZE).put(1, os.urandom(SIZE))
        send(ask_one(http, 0)["url"], b"")
    found = doctor(own)
    assert (found["open_uploads"], found["unconfirmed_uploads"], found["idle_uploads"]) == (2, 2, 0)
    assert (found["bytes_without_row"], found["rows_without_bytes"]) == ([], [])


def test_an_empty_file_is_not_missed(make_server: MakeServer) -> None:
    """An empty blob is a blob: a look at the store must find it."""
    own = make_server()
    with own.client() as http:
        whole, parts = ask_one(http, 0), initiate(http, 0)
        assert send(whole["url"], b"").status_code == 200
        assert confirm(http, whole["id"]).status_code == 200
        assert parts.complete(parts.put_all(b"")).status_code == 200
    assert doctor(own)["rows_without_bytes"] == []


@pytest.mark.parametrize("end", ["abort", "part too late"])
def test_an_ended_upload_gives_its_bytes_back(make_server: MakeServer, end: str) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(sweep_interval="1s")
    with own.client() as http:
        upload = initiate(http, 2 * SIZE, SIZE)
        upload.put(1, os.urandom(SIZE))
        with SlowPut(upload.urls[2], SIZE) as late:
            late.send(b"x" * (SIZE - 1))
            assert upload.call("abort").status_code == 204
            if end == "part too late":
                late.send(b"x")
                assert late.answer()[0] == 410
        eventually(lambda: on_disk(own) == 0)


def test_every_part_starts_the_waiting_anew(make_server: MakeServer) -> None:
    """Five parts come in more time than an upload may wait, each within it."""
    own = make_server(upload_idle_timeout="3s", sweep_interval="1s")
    with own.client() as http:
        content = os.urandom(5 * SMALL_PART)
        upload = initiate(http, len(content))
        idle = ask_one(http, 1)
        etags = {}
        for number in upload.urls:
            etags[number] = upload.put(number, upload.piece(content, number))
            if number == 3:
                # The other upload was asked for at the same time: its end shows that the time is over.
                eventually(lambda: send(upload.urls[1], upload.piece(content, 1)) and is_gone(http, idle))
        assert upload.complete(etags).status_code == 200
        assert upload.fetch().content == content


def is_gone(http: httpx.Client, ticket: dict[str, str]) -> bool:
    return confirm(http, ticket["id"]).status_code == 410
