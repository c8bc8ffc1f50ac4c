"""200 clients that hardly move: a fast one does not wait for them, they cost little, and they get their files through too."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import httpx

from faults.crowd import READERS, UPLOADERS, SlowCrowd
from faults.proc import forget_peak, open_files, peak_resident, resident
from faults.waiting import eventually

MIB = 1024 * 1024
_ROUND_TRIPS = 60
# Client, crowd and server share the cores; a server that blocks is slower by the length of a trickle, a thousandfold.
_SLOWER_AT_MOST = 10
_MEMORY_OF_A_TRANSFER = 1.5 * MIB


def test_two_hundred_slow_clients_do_not_hold_up_a_fast_one(make_server: Any) -> None:
    server = make_server(log_level="warning")
    with server.client() as client:
        slow_file = client.put("/api/upload/slow.bin", content=os.urandom(8 * MIB)).json()
        alone = fast_round_trips(client)
        before, descriptors = resident(server.pid), open_files(server.pid)
        forget_peak(server.pid)
        with SlowCrowd(server, f"/api/files/{slow_file['id']}/content") as crowd:
            among_slow = fast_round_trips(client)
        growth = peak_resident(server.pid) - before
        eventually(lambda: open_files(server.pid) <= descriptors, "the crowd's descriptors are closed")
    print(f"median round trip alone {alone * 1e3:.1f} ms, among slow clients {among_slow * 1e3:.1f} ms")
    print(f"memory of the server +{growth / MIB:.0f} MiB")
    assert among_slow < alone * _SLOWER_AT_MOST
    assert growth < (UPLOADERS + READERS) * _MEMORY_OF_A_TRANSFER
    assert crowd.statuses == [201] * UPLOADERS
    assert all(0 < taken < slow_file["size"] for taken in crowd.downloaded)


def fast_round_trips(client: httpx.Client) -> float:
    """Upload and fetch small files, one after the other; return the median time of doing both, in seconds."""
    seconds = []
    for number in range(_ROUND_TRIPS):
        content = os.urandom(20_000)
        started = time.perf_counter()
        file = client.post(f"/api/upload/fast-{number}.bin", content=content).json()
        fetched = client.get(file["url"])
        seconds.append(time.perf_counter() - started)
        assert fetched.content == content
    return statistics.median(seconds)
