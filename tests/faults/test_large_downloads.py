"""Large downloads from a real server, whose kernel sends them: whole, in part, one after the other, and given up midway."""

from __future__ import annotations

import http.client
import os
import re
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from faults.proc import open_files
from faults.raw_http import head
from faults.waiting import eventually
from fileferry.web import zerocopy
from support.live_server import LiveServer

CONTENT = os.urandom(20_000_003)


@pytest.fixture(scope="module")
def path(quiet: LiveServer) -> str:
    """The path of the URL of a large file."""
    with quiet.client() as client:
        url: str = client.put("/api/upload/large.bin", content=CONTENT).json()["url"]
    return url.removeprefix(quiet.url)


def sent_bytes(server: LiveServer, route: str = "/metrics") -> float:
    with httpx.Client(trust_env=False) as client:
        page = client.get(f"{server.url}{route}").text
    found = re.search(r"^fileferry_sent_bytes_total ([\d.e+]+)", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_parts_and_wholes_follow_each_other_on_one_connection(quiet: LiveServer, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", quiet.port, timeout=60)
    try:
        for asked, start, end in ((None, 0, len(CONTENT)), ("bytes=5-9000004", 5, 9_000_005), (None, 0, len(CONTENT))):
            connection.request("GET", path, headers={"Range": asked} if asked else {})
            answer = connection.getresponse()
            assert answer.status == (206 if asked else 200)
            assert answer.read() == CONTENT[start:end]
    finally:
        connection.close()


def test_many_at_once_get_their_own_bytes(quiet: LiveServer, path: str) -> None:
    def fetch(number: int) -> bool:
        start = number * 100_001
        with httpx.Client(trust_env=False, timeout=60) as client:
            answer = client.get(f"{quiet.url}{path}", headers={"Range": f"bytes={start}-"})
        return answer.content == CONTENT[start:]

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(fetch, range(24)))


def test_what_was_sent_to_a_client_that_left_is_counted_and_no_more(quiet: LiveServer, path: str) -> None:
    before, descriptors = sent_bytes(quiet), open_files(quiet.pid)
    taken = 0
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", quiet.port))
        connection.sendall(head(quiet, path, size=0, method="GET"))
        while taken < 1_000_000:
            taken += len(connection.recv(65_536))
        # Gone without a word, as by a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: sent_bytes(quiet) - before > 900_000, "it is counted")
    assert sent_bytes(quiet) - before < len(CONTENT) / 2
    eventually(lambda: open_files(quiet.pid) <= descriptors, "file and connection are closed")


def test_nothing_is_counted_for_a_client_that_left_before_the_answer(quiet: LiveServer) -> None:
    """One slice, of which a client without room for it takes little, and none that is a whole."""
    content = CONTENT[: zerocopy.LONGEST]
    with quiet.client() as client:
        file = client.put("/api/upload/one-slice.bin", content=content).json()
        before = sent_bytes(quiet)
        for _ in range(5):
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
                connection.connect(("127.0.0.1", quiet.port))
                connection.sendall(head(quiet, file["url"].removeprefix(quiet.url), size=0, method="GET"))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert client.get(file["url"]).content == content
        eventually(lambda: len(fetches(client, file["id"])) > 0, "the whole fetch is told")
        assert len(fetches(client, file["id"])) == 1
    assert sent_bytes(quiet) - before < 2 * len(content)


def fetches(client: httpx.Client, id: str) -> list[dict[str, Any]]:
    asked = {"after": 0, "types": "file.fetched", "file": id}
    found: list[dict[str, Any]] = client.get(
        "/api/events", params=asked, headers={"Accept": "application/json"}
    ).json()["events"]
    return found


def test_a_download_that_is_under_way_ends_before_the_server_does(make_server: Any) -> None:
    server = make_server()
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=CONTENT).json()["url"]
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head(server, url.removeprefix(server.url), size=0, method="GET"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(server.stop)
            assert answer.read() == CONTENT
            assert stopping.result() in (0, -15)
