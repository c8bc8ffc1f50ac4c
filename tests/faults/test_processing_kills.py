"""Files that are judged while scanner and workers die: each ends in the right state, and in one only."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.waiting import eventually
from support.clamd import EICAR, LiveClamd, MakeClamd
from support.encrypted_zip import encrypted_zip
from support.live_server import MakeServer
from support.live_worker import LiveWorker

pytestmark = [pytest.mark.service("clamd"), pytest.mark.sqlite]

# In real time: a server in a process of its own has a clock of its own.
_QUICK = {"processing_lease": "2s", "sweep_interval": "1s"}


def test_every_kind_of_file_ends_in_its_state(make_server: MakeServer, clamd: LiveClamd) -> None:
    server = make_server(
        clamd=clamd.unix, allowed_types="application/pdf,application/zip,text/plain", refuse_empty="true"
    )
    with server.client() as http:
        sent = {
            "clean.txt": b"harmless",
            "infected.txt": EICAR,
            "empty.txt": b"",
            "disguised.pdf": b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff" + bytes(200),
            "secret.zip": encrypted_zip("inside.txt", b"who knows", b"password"),
        }
        files = {name: _put(http, name, content) for name, content in sent.items()}
        found = {name: _settled(http, file) for name, file in files.items()}
    assert {name: (file["status"], file["reason"]) for name, file in found.items()} == {
        "clean.txt": ("ready", None),
        "infected.txt": ("rejected", "infected"),
        "empty.txt": ("rejected", "empty"),
        "disguised.pdf": ("rejected", "type_not_allowed"),
        "secret.zip": ("rejected", "not_scanned"),
    }
    assert _ends(server.data) == Counter({"file.ready": 1, "file.rejected": 4})


@pytest.mark.parametrize("address", ["tcp", "unix"])
def test_files_wait_while_the_scanner_is_away_and_readiness_says_so(
    make_server: MakeServer, make_clamd: MakeClamd, address: str
) -> None:
    clamd = make_clamd()
    server = make_server(clamd=getattr(clamd, address), **_QUICK)
    with server.client() as http:
        assert http.get("/readyz").json() == {"status": "ok"}
        clamd.kill()
        file = _put(http, "a.txt", b"patient")
        eventually(lambda: http.get("/readyz").json().get("reason") == "scanner_away", "degraded")
        assert http.get(f"/api/files/{file['id']}").json()["status"] == "processing"
        assert http.get(file["url"]).status_code == 409
        clamd.start()
        assert _settled(http, file)["status"] == "ready"
        eventually(lambda: http.get("/readyz").json() == {"status": "ok"}, "ready again")


def test_a_scanner_killed_in_the_middle_scans_again_when_it_is_back(
    make_server: MakeServer, make_clamd: MakeClamd
) -> None:
    clamd = make_clamd()
    server = make_server(clamd=clamd.tcp, clamd_max_size="100MiB", processing="worker", **_QUICK)
    with server.client() as http:
        files = [_put(http, f"{number}.bin", bytes(5_000_000) + content) for number, content in enumerate((b"", EICAR))]
        clamd.pause()  # it takes connections and answers nothing
        # Begun by a worker that finds both there: while one waits in vain for clamd, nothing more is begun after 5 seconds.
        with LiveWorker(server):
            eventually(lambda: _under_way(server.data) == 2, "both are being scanned")
            clamd.kill()
            clamd.start()
            found = [_settled(http, file, 60) for file in files]
    assert [(file["status"], file["reason"]) for file in found] == [("ready", None), ("rejected", "infected")]
    assert _ends(server.data) == Counter({"file.ready": 1, "file.rejected": 1})


def test_what_a_killed_worker_was_at_is_done_by_another_once(make_server: MakeServer, make_clamd: MakeClamd) -> None:
    clamd = make_clamd()
    server = make_server(clamd=clamd.tcp, processing="worker", **_QUICK)
    with server.client() as http, LiveWorker(server) as first:
        clamd.pause()
        files = [_put(http, f"{number}.txt", content) for number, content in enumerate([b"a", b"b", EICAR])]
        eventually(lambda: _under_way(server.data) == 3, "the worker is at them")
        first.kill()
        clamd.resume()
        with LiveWorker(server) as second:
            found = [_settled(http, file, 60) for file in files]
            assert [(file["status"], file["reason"]) for file in found] == [
                ("ready", None),
                ("ready", None),
                ("rejected", "infected"),
            ]
            assert second.stop() == 0
        # One that was killed says nothing of its end, and stays listed for a while.
        assert _processes(server.data) == {("serve", server.pid), ("worker", first.pid)}
    assert _ends(server.data) == Counter({"file.ready": 2, "file.rejected": 1})


def test_a_server_that_leaves_processing_to_workers_judges_nothing(make_server: MakeServer, clamd: LiveClamd) -> None:
    server = make_server(clamd=clamd.tcp, processing="worker")
    with server.client() as http:
        file = _put(http, "a.txt", b"waits")
        with LiveWorker(server):
            assert _settled(http, file)["status"] == "ready"


def test_what_is_found_late_is_recalled(make_server: MakeServer, make_clamd: MakeClamd) -> None:
    clamd = make_clamd()
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(clamd=clamd.unix, rescan_interval="1s", **_QUICK)
    with server.client() as http:
        file = _settled(http, _put(http, "a.txt", b"nobody knows yet that this is evil"))
        assert http.get(file["url"]).status_code == 200
        clamd.add_signature("Test.Late", b"yet that this is evil")
        eventually(lambda: http.get(file["url"]).status_code == 410, "its link has ended")
    assert _ends(server.data) == Counter({"file.ready": 1, "file.recalled": 1})


def _put(http: httpx.Client, name: str, content: bytes) -> dict[str, Any]:
    answer = http.put(f"/api/upload/{name}", content=content)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def _settled(http: httpx.Client, file: dict[str, Any], within: float = 30) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def is_settled() -> bool:
        found.update(http.get(f"/api/files/{file['id']}").json())
        return found["status"] != "processing"

    eventually(is_settled, f"{file['name']} is judged", within)
    return found


def _rows(data: Path, query: str) -> list[Any]:
    with sqlite3.connect(f"file:{data / 'fileferry.db'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


def _ends(data: Path) -> Counter[str]:
    kinds = "('file.ready', 'file.rejected', 'file.recalled')"
    return Counter(row[0] for row in _rows(data, f"SELECT type FROM events WHERE type IN {kinds}"))


def _processes(data: Path) -> set[tuple[str, int]]:
    return set(_rows(data, "SELECT role, pid FROM processes"))


def _under_way(data: Path) -> int:
    return int(_rows(data, "SELECT count(*) FROM jobs WHERE holder IS NOT NULL")[0][0])
