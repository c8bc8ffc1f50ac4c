"""A file of any size goes through in constant memory, two gigabytes of it in `make soak`; stalled clients take little."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from faults.proc import resident
from faults.raw_http import RawRequest
from faults.transfer import MIB, assert_memory_stays_small
from support.live_server import MakeServer

_STALLED = 150


def test_half_a_gigabyte_through_one_request_leaves_memory_small(make_server: Any) -> None:
    assert_memory_stays_small(make_server(log_level="warning"), 512 * MIB)


def test_stalled_downloads_take_little_and_no_more_the_second_time(make_server: MakeServer) -> None:
    # Their bytes wait in the file; what is held of each is its connection.
    server = make_server(log_level="warning", sweep_interval="1s")
    with server.client() as client:
        url = client.put("/api/upload/large.bin", content=os.urandom(16 * MIB)).json()["url"]
        for _ in range(20):
            client.get(url)
    levels = [resident(server.pid)]
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            for _ in range(_STALLED):
                options: Any = {"size": 0, "method": "GET", "receive_buffer": 4096}
                reader = stack.enter_context(RawRequest(server, url.removeprefix(server.url), **options))
                assert reader.response().status == 200
            levels.append(resident(server.pid))
    before, once, again = levels
    assert once - before < _STALLED * 128 * 1024
    assert again - once < _STALLED * 16 * 1024
