"""``/api/events`` as a stream: its format, going on where it was cut, every process's events, and how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from contract.edge import eventually
from contract.listening import Listener
from support.live_server import LiveServer
from support.live_worker import LiveWorker

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

READY = "file.ready"


def put(server: LiveServer, path: str, **query: str) -> dict[str, Any]:
    """Upload a file to a path."""
    with server.client() as http:
        answer = http.put(f"/api/upload/{path}", content=b"some text", params=query)
        assert answer.is_success, answer.text
        file: dict[str, Any] = answer.json()
        return file


def test_events_come_as_they_happen(quiet: LiveServer) -> None:
    with Listener(quiet) as listener:
        file = put(quiet, "come.txt")
        eventually(lambda: bool(listener.events))
        (event,) = listener.events
        block = listener.blocks[-1]
    assert (block["id"], block["event"]) == (event["id"], event["type"]) == (event["id"], READY)
    assert (event["organization_id"], event["data"]["file_id"]) == (file["organization_id"], file["id"])
    assert event["timestamp"] == file["modified_at"]
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert (listener.headers["cache-control"], listener.headers["x-accel-buffering"]) == ("no-store", "no")


def test_a_stream_begins_with_where_it_begins(quiet: LiveServer) -> None:
    put(quiet, "before.txt")
    with Listener(quiet) as listener:
        beginning = listener.blocks[0]
    assert beginning["retry"] == "2000"
    put(quiet, "between.txt")
    with Listener(quiet, **{"Last-Event-ID": beginning["id"]}) as again:
        eventually(lambda: bool(again.events))
        assert again.told() == [(READY, "between.txt")]


def test_a_stream_goes_on_after_the_last_event_that_was_read(quiet: LiveServer) -> None:
    with Listener(quiet) as listener:
        put(quiet, "first.txt")
        eventually(lambda: bool(listener.events))
        known = listener.events[-1]["id"]
    for number in range(3):
        put(quiet, f"missed{number}.txt")
    with Listener(quiet, "?after=0", **{"Last-Event-ID": known}) as again:
        put(quiet, "live.txt")
        eventually(lambda: len(again.events) >= 4)
        assert again.told() == [(READY, f"missed{number}.txt") for number in range(3)] + [(READY, "live.txt")]


def test_what_is_no_longer_known_is_told_first(quiet: LiveServer) -> None:
    put(quiet, "kept.txt")
    with Listener(quiet, **{"Last-Event-ID": "1000000"}) as listener:
        eventually(lambda: len(listener.blocks) >= 3)
        kinds = [block.get("event") for block in listener.blocks]
    assert kinds[:3] == [None, "reset", READY]


def test_a_stream_may_be_of_some_types_or_one_file(quiet: LiveServer) -> None:
    with Listener(quiet, "?types=file.deleted") as deletions, quiet.client() as http:
        file = put(quiet, "short.txt")
        with Listener(quiet, f"?file={file['id']}") as of_file:
            put(quiet, "other.txt")
            http.delete(f"/api/files/{file['id']}").raise_for_status()
            eventually(lambda: bool(deletions.events) and bool(of_file.events))
            assert deletions.told() == of_file.told() == [("file.deleted", "short.txt")]


def test_a_revoked_key_is_told_nothing_more(quiet: LiveServer) -> None:
    with quiet.client() as http:
        made = http.post("/api/keys", json={"name": "listener", "scopes": ["read"]}).json()
        with Listener(quiet, key=made["key"]) as listener:
            http.delete(f"/api/keys/{made['id']}").raise_for_status()
            put(quiet, "secret.txt")
            eventually(lambda: listener.has_ended)
            assert listener.events == []


def test_events_of_other_processes_come_too(make_server: MakeServer) -> None:
    server = make_server(processing="worker", allowed_types="text/plain")
    with Listener(server) as listener:
        put(server, "judged.txt")
        with LiveWorker(server):
            eventually(lambda: bool(listener.events))
        assert listener.told() == [(READY, "judged.txt")]


def test_every_worker_of_a_server_tells_of_all(make_server: MakeServer) -> None:
    server = make_server(workers=2)
    listeners = [Listener(server) for _ in range(6)]
    try:
        for listener in listeners:
            listener.__enter__()
        paths = [f"{number}.txt" for number in range(20)]
        for path in paths:
            put(server, path)
        expected = [(READY, path) for path in paths]
        eventually(lambda: all(listener.told() == expected for listener in listeners))
    finally:
        for listener in listeners:
            listener.__exit__()


def test_a_stopping_server_ends_its_streams(make_server: MakeServer) -> None:
    server = make_server(shutdown_grace="30s")
    with Listener(server) as listener:
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 28
        eventually(lambda: listener.has_ended)


def test_a_page_waits_for_the_first_event(quiet: LiveServer) -> None:
    headers = {"Accept": "application/json", "Prefer": "wait=30"}
    with quiet.client() as http, Listener(quiet) as listener:
        position = http.get("/api/events", headers={"Accept": "application/json"}).json()["next_cursor"]
        request = http.build_request("GET", "/api/events", params={"after": position}, headers=headers)
        put(quiet, "paged.txt")
        answer: httpx.Response = http.send(request)
        eventually(lambda: bool(listener.events))
        assert answer.headers["preference-applied"] == "wait=12"
        assert answer.json()["events"] == listener.events
