"""Whole fetches: what counts as one, that each is told of, and that a file ends after as many as it may have."""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import eventually, fetch
from contract.listening import Listener
from support.live_server import LiveServer

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

SMALL = b"fetched whole"
LARGE = os.urandom(20_000_000)
FETCHED = "file.fetched"


def put(server: LiveServer, path: str, content: bytes = SMALL, **query: Any) -> dict[str, Any]:
    """Upload a file to a path."""
    with server.client() as http:
        answer = http.put(f"/api/upload/{path}", content=content, params=query)
        assert answer.is_success, answer.text
        file: dict[str, Any] = answer.json()
        return file


def look_at(server: LiveServer, file: dict[str, Any]) -> dict[str, Any]:
    """Ask the native API what a file is now."""
    with server.client() as http:
        found: dict[str, Any] = http.get(f"/api/files/{file['id']}").json()
        return found


def addresses(server: LiveServer, file: dict[str, Any]) -> dict[str, Callable[..., httpx.Response]]:
    """Return every way to get a file's bytes, by name."""
    url = f"/file/v2/orgs/{file['organization_id']}/workspaces/{file['workspace_id']}/files/{file['id']}"
    with server.client() as http:
        download = http.get(url).json()["download"]
    key = {"X-API-Key": server.root_key}
    content = f"{server.url}/api/files/{file['id']}/content"
    return {
        "public": lambda: fetch(file["url"]),
        "signed": lambda: fetch(download),
        "key": lambda: fetch(content, headers=key),
    }


def created(http: httpx.Client, way: str, limit: dict[str, Any]) -> str:
    """Make a limited file in one of the ways there are, and return its public URL."""
    texts = {name: str(value).lower() for name, value in limit.items()}
    if way == "upload":
        opened = http.post("/api/uploads", json={"name": "a", **limit}).json()
        httpx.put(opened["url"], content=SMALL).raise_for_status()
        answer = http.post(f"/api/uploads/{opened['id']}/complete")
    elif way == "form":
        answer = http.post("/v1/files", files={"file": ("a", SMALL)}, data=texts)
    elif way == "JSON":
        answer = http.post("/v1/files", json={"filename": "a", "base64": "YQ==", **limit})
    else:
        answer = http.request(way, "/api/upload/created", content=SMALL, params=texts)
    assert answer.is_success, answer.text
    return str(answer.json()["url"])


@pytest.mark.parametrize("way", ["PUT", "POST", "upload", "form", "JSON"])
@pytest.mark.parametrize("limit", [{"expires_after_fetches": 1}, {"delete_after_first_complete_fetch": True}])
def test_a_file_ends_after_its_last_fetch(server: LiveServer, way: str, limit: dict[str, Any]) -> None:
    with server.client() as http:
        url = created(http, way, limit)
        assert [fetch(url).status_code for _ in range(3)] == [200, 410, 410]


@pytest.mark.parametrize("content", [b"", b"a", SMALL, LARGE[:100_000], LARGE], ids=len)
def test_every_way_to_the_bytes_counts(quiet: LiveServer, content: bytes) -> None:
    file = put(quiet, f"counted{len(content)}", content, expires_after_fetches=4)
    ways = addresses(quiet, file)
    for left, get in zip((3, 2, 1), ways.values(), strict=True):
        answer = get()
        assert (answer.status_code, answer.content == content) == (200, True)
        assert answer.headers["cache-control"] == "no-store"
        assert look_at(quiet, file)["fetches_left"] == left
    assert ways["public"]().status_code == 200
    assert {name: get().status_code for name, get in ways.items()} == {"public": 410, "signed": 410, "key": 410}


def test_only_a_whole_body_counts(quiet: LiveServer) -> None:
    file = put(quiet, "partly", expires_after_fetches=1)
    assert httpx.head(file["url"]).status_code == 200
    assert fetch(file["url"], headers={"Range": "bytes=0-"}).status_code == 206
    assert fetch(file["url"], headers={"Range": "bytes=-5"}).status_code == 206
    assert fetch(file["url"], headers={"If-None-Match": file["etag"]}).status_code == 304
    assert fetch(file["url"], headers={"If-Match": '"other"'}).status_code == 412
    assert look_at(quiet, file)["fetches_left"] == 1
    assert [fetch(file["url"]).status_code for _ in range(2)] == [200, 410]


def test_a_transfer_that_breaks_does_not_count(quiet: LiveServer) -> None:
    file = put(quiet, "broken", LARGE, expires_after_fetches=1)
    free = put(quiet, "unlimited", LARGE)
    with Listener(quiet, f"?types={FETCHED}") as listener:
        for url in (file["url"], free["url"]):
            _break_off(quiet, url)
        assert fetch(free["url"]).content == LARGE
        assert fetch(file["url"]).content == LARGE
        eventually(lambda: len(listener.events) >= 2)
        assert sorted(listener.told()) == [(FETCHED, "broken"), (FETCHED, "unlimited")]
    assert fetch(file["url"]).status_code == 410


def test_who_closes_as_soon_as_all_is_there_has_fetched_it(quiet: LiveServer) -> None:
    file = put(quiet, "closed", LARGE[:3_000_000])
    with Listener(quiet, f"?types={FETCHED}") as listener:
        for _ in range(20):
            _take_and_close(quiet, file["url"], 3_000_000)
        eventually(lambda: len(listener.events) >= 20)
        assert listener.told() == [(FETCHED, "closed")] * 20


def test_concurrent_last_fetches_may_all_finish_and_no_later_one(quiet: LiveServer) -> None:
    file = put(quiet, "raced", LARGE[:300_000], expires_after_fetches=1)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: fetch(file["url"]), range(8)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] >= 1
    assert statuses[200] + statuses[410] == 8
    assert all(answer.content == LARGE[:300_000] for answer in answers if answer.status_code == 200)
    assert fetch(file["url"]).status_code == 410


def test_each_whole_fetch_is_told_of_once(quiet: LiveServer) -> None:
    file = put(quiet, "told", LARGE[:200_000])
    limited = put(quiet, "told-limited", expires_after_fetches=2)
    with Listener(quiet) as listener:
        httpx.head(file["url"])
        fetch(file["url"], headers={"Range": "bytes=0-"})
        fetch(file["url"], headers={"If-None-Match": file["etag"]})
        for _ in range(3):
            fetch(file["url"])
        for _ in range(3):
            fetch(limited["url"])
        eventually(lambda: len(listener.events) >= 6)
        assert Counter(listener.told()) == {
            (FETCHED, "told"): 3,
            (FETCHED, "told-limited"): 2,
            ("file.expired", "told-limited"): 1,
        }
        of_limited = [kind for kind, path in listener.told() if path == "told-limited"]
        assert of_limited == [FETCHED, FETCHED, "file.expired"]


def test_a_further_version_has_its_own_limit(quiet: LiveServer) -> None:
    first = put(quiet, "versioned", expires_after_fetches=1)
    second = put(quiet, "versioned", b"second")
    assert [fetch(first["url"]).status_code for _ in range(2)] == [200, 410]
    assert [fetch(second["url"]).status_code for _ in range(2)] == [200, 200]
    assert (look_at(quiet, second)["status"], look_at(quiet, second)["fetches_left"]) == ("ready", None)


@pytest.mark.parametrize(
    "query",
    [
        "expires_after_fetches=0",
        "expires_after_fetches=1000001",
        "expires_after_fetches=-1",
        "expires_after_fetches=many",
        "delete_after_first_complete_fetch=perhaps",
        "delete_after_first_complete_fetch=true&expires_after_fetches=2",
    ],
)
def test_a_limit_that_is_none_is_refused(server: LiveServer, query: str) -> None:
    with server.client() as http:
        answer = http.put(f"/api/upload/refused?{query}", content=SMALL)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_fetches_outlive_a_stop_and_last_ones_a_kill(make_server: MakeServer) -> None:
    server = make_server()
    free, last = put(server, "free"), put(server, "last", delete_after_first_complete_fetch="true")
    assert fetch(free["url"]).status_code == 200
    server.restart()
    assert fetch(last["url"]).status_code == 200
    server.kill()
    server.start()
    assert fetch(last["url"]).status_code == 410
    with server.client() as http:
        page = http.get("/api/events?after=0&types=file.fetched", headers={"Accept": "application/json"}).json()
        assert [event["data"]["path"] for event in page["events"]] == ["free", "last"]


def _take_and_close(server: LiveServer, url: str, size: int) -> None:
    """Read a body of ``size`` bytes, and close at its last one."""
    target = url.removeprefix(server.url)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {server.url[7:]}\r\n\r\n".encode())
        came = b""
        while b"\r\n\r\n" not in came:
            came += connection.recv(65536)
        left = size - len(came.partition(b"\r\n\r\n")[2])
        while left:
            left -= len(connection.recv(1 << 20))


def _break_off(server: LiveServer, url: str) -> None:
    """Read the beginning of a body, then reset the connection."""
    target = url.removeprefix(server.url)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {server.url[7:]}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
