"""Clients that upload while PostgreSQL is ended and cut off again and again: what they were told must hold."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import httpx

from support.live_server import LiveServer
from support.postgresql import LivePostgresql

_GIVE_UP_SECONDS = 120.0
_SIZES = (0, 900, 90_000)  # bytes: the last is more than the database takes


class Uploads:
    """Clients that each upload one small file after the other under a key of its own, and repeat what was not acknowledged."""

    def __init__(self, server: LiveServer, clients: int = 4) -> None:
        self.acknowledged: dict[str, tuple[str, bytes]] = {}
        """The URL and the bytes of each file, by its path."""
        self.refused = 0
        self.faults: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Uploads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        with self._server.client() as http:
            for number in range(1_000_000):
                if self._over.is_set() or self.faults:
                    return
                path = f"{client}/{number}"
                self._upload(http, path, random.Random(path).randbytes(_SIZES[number % len(_SIZES)]))

    def _upload(self, http: httpx.Client, path: str, content: bytes) -> None:
        headers = {"Idempotency-Key": path}
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            answer = http.put(f"/api/upload/{path}", content=content, headers=headers)
            if answer.is_success:
                self.acknowledged[path] = answer.json()["url"], content
                return
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or "Retry-After" not in answer.headers:
                self.faults.append(f"{path}: {answer.status_code} {answer.text}")
                return
            self.refused += 1
        self.faults.append(f"{path}: not taken in {_GIVE_UP_SECONDS:.0f} s")


def disturb(postgresql: LivePostgresql, uploads: Uploads, times: int) -> None:
    """End PostgreSQL as a crash does, end it as an operator does, and cut its connections, in turn, amid uploads."""
    turns: list[Callable[[], object]] = [postgresql.restart, postgresql.cut, lambda: postgresql.restart("fast")]
    for number in range(times):
        before = len(uploads.acknowledged)
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while len(uploads.acknowledged) < before + 8:
            assert not uploads.faults, uploads.faults
            assert time.monotonic() < deadline, "no upload succeeds any more"
            time.sleep(0.01)
        turns[number % len(turns)]()


def check(server: LiveServer, uploads: Uploads) -> None:
    """See that everything that was acknowledged is there, whole and once, and that nothing else is."""
    assert not uploads.faults, uploads.faults
    with server.client() as http:
        for path, (url, content) in uploads.acknowledged.items():
            assert http.get(url).content == content, path
        listed: list[str] = []
        cursor = None
        while True:
            page = http.get("/api/files", params={"limit": "1000", **({"cursor": cursor} if cursor else {})}).json()
            listed += [file["path"] for file in page["files"]]
            cursor = page.get("next_cursor")
            if not cursor:
                break
        assert sorted(listed) == sorted(uploads.acknowledged)
        told = _told_ready(http)
    assert sorted(told) == sorted(uploads.acknowledged), "each file is told of once"


def _told_ready(http: httpx.Client) -> list[str]:
    """Return the paths of the files that events say are ready, from the oldest event on."""
    told: list[str] = []
    after = "0"
    while True:
        page = http.get("/api/events", params={"after": after}, headers={"Accept": "application/json"}).json()
        if not page["events"]:
            return told
        told += [event["data"]["path"] for event in page["events"] if event["type"] == "file.ready"]
        after = page["next_cursor"]
