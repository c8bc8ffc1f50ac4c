"""Ten thousand files that wait to be scanned, by one worker and by two, beside uploads; and one of 3 GiB. Prints its figures."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from faults.proc import forget_peak, peak_resident, resident
from faults.waiting import eventually
from support.clamd import LiveClamd
from support.live_server import LiveServer, MakeServer
from support.live_worker import LiveWorker

pytestmark = [pytest.mark.soak, pytest.mark.service("clamd")]

_FILES = 10_000
_CONTENT = b"one of ten thousand\n" * 50
_GIB = 1024**3


@pytest.mark.parametrize("workers", [1, 2])
def test_ten_thousand_files_are_scanned_while_uploads_go_on(
    make_server: MakeServer, clamd: LiveClamd, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(clamd=clamd.unix, processing="worker", sweep_interval="5s")
    with server.client() as http:
        _upload_all(server, "first")
        assert _count(server.data, "jobs") == _FILES
        queued_size = _size(server.data)
        alone = [_timed_upload(http, f"alone-{number}") for number in range(200)]
        began = time.monotonic()
        with ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(LiveWorker(server))
            beside = []
            while _count(server.data, "jobs"):
                beside.append(_timed_upload(http, f"beside-{len(beside)}"))
            seconds = time.monotonic() - began
            _upload_all(server, "second")
            eventually(lambda: not _count(server.data, "jobs"), "all are scanned", 300)
    states = _rows(server.data, "SELECT state, count(*) FROM versions GROUP BY state")
    assert [state for state, _ in states] == ["ready"]
    events = _rows(server.data, "SELECT count(*) FROM events WHERE type = 'file.ready'")[0][0]
    assert events == states[0][1], "each exactly once"
    done = _FILES + len(alone) + len(beside)
    with capsys.disabled():
        print(
            f"\n{workers} workers: {done / seconds:.0f} files/s; an upload takes {_ms(alone)} ms with nobody scanning, "
            f"{_ms(beside)} ms beside it (p95 {_ms(beside, 95)}); database {queued_size / 2**20:.1f} MiB with {_FILES} waiting, "
            f"{_size(server.data) / 2**20:.1f} MiB after {states[0][1]} files"
        )


def test_a_file_of_3_gib_is_verified_and_never_called_clean(
    make_server: MakeServer, clamd: LiveClamd, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(clamd=clamd.tcp, serve_unscanned="true", max_file_size="4GiB")
    with server.client() as http:
        before = resident(server.pid)
        forget_peak(server.pid)
        file = http.put("/api/upload/film.bin", content=_zeros(3 * _GIB), timeout=600).json()
        began = time.monotonic()
        eventually(lambda: http.get(f"/api/files/{file['id']}").json()["status"] == "ready", "it is judged", 300)
        seconds = time.monotonic() - began
        grown = peak_resident(server.pid) - before
    (scan,) = _rows(server.data, "SELECT scan FROM versions")
    assert "skipped_too_large" in scan[0]
    assert grown < 64 * 2**20
    with capsys.disabled():
        print(f"\n3 GiB: judged in {seconds:.1f} s, memory +{grown / 2**20:.1f} MiB")


def _upload_all(server: LiveServer, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: _upload_some(server, f"{name}-{part}"), range(8)))


def _upload_some(server: LiveServer, name: str) -> None:
    with server.client() as http:
        for number in range(_FILES // 8):
            _timed_upload(http, f"{name}-{number}")


def _timed_upload(http: httpx.Client, name: str) -> float:
    began = time.monotonic()
    http.post(f"/api/upload/{name}.txt", content=_CONTENT).raise_for_status()
    return time.monotonic() - began


def _zeros(size: int) -> Iterator[bytes]:
    block = bytes(2**20)
    for _ in range(size // len(block)):
        yield block


def _rows(data: Path, query: str) -> list[tuple[str | int, ...]]:
    with sqlite3.connect(f"file:{data / 'fileferry.db'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


def _count(data: Path, table: str) -> int:
    return int(_rows(data, f"SELECT count(*) FROM {table}")[0][0])


def _size(data: Path) -> int:
    return sum(path.stat().st_size for path in data.glob("fileferry.db*"))


def _ms(seconds: list[float], percent: int = 50) -> str:
    return f"{statistics.quantiles(seconds, n=100)[percent - 1] * 1000:.1f}"
