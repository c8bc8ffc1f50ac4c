"""A file of any size goes through in constant memory, two gigabytes of it in `make soak`; what stalled clients take comes back."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from faults.proc import resident
from faults.raw_http import RawRequest
from faults.transfer import MIB, assert_memory_stays_small
from faults.waiting import eventually
from support.live_server import MakeServer

_STALLED = 150


def test_half_a_gigabyte_through_one_request_leaves_memory_small(make_server: Any) -> None:
    assert_memory_stays_small(make_server(log_level="warning"), 512 * MIB)


def test_what_stalled_downloads_took_comes_back(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(log_level="warning", sweep_interval="1s")
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()["url"]
        for _ in range(20):
            client.get(url)
    before = resident(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(_STALLED):
            options: Any = {"size": 0, "method": "GET", "receive_buffer": 4096}
            reader = stack.enter_context(RawRequest(server, url.removeprefix(server.url), **options))
            assert reader.response().status == 200
        taken = resident(server.pid) - before
    assert taken > _STALLED * 32 * 1024, "a stalled download holds a block"
    eventually(lambda: resident(server.pid) - before < taken / 2, "most of it has come back")
