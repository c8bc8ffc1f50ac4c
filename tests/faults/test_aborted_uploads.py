"""Clients that stop sending or vanish: they are told where there is someone to tell, and leave no bytes, rows or descriptors."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest

from faults.proc import open_files
from faults.raw_http import RawRequest
from faults.remains import blobs, rows
from faults.waiting import eventually
from support.live_server import LiveServer

_ABORTED = 160
_ANNOUNCED = 5 * 1024 * 1024
# Kept in memory, and large enough to have a file on disk.
_PARTS = (b"", b"x", bytes(200_000), bytes(1_500_000))
_FORM_START = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="form.bin"\r\n\r\n'


def assert_nothing_is_left(server: LiveServer) -> None:
    """Without any sweep: no bytes, no row."""
    eventually(lambda: not blobs(server.data), "the bytes of the given up uploads are gone")
    assert not rows(server.data / "fileferry.db")
    with server.client() as client:
        assert client.get("/api/files").json()["files"] == []


@pytest.mark.sqlite  # looks into the folder
def test_bodies_that_stop_get_408_and_leave_nothing(make_server: Any) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(body_idle_timeout="1s")
    with ExitStack() as open_requests:
        stopped = []
        for method, part in product(("POST", "PUT"), _PARTS):
            request = RawRequest(server, "/api/upload/stopped.bin", size=_ANNOUNCED, method=method)
            stopped.append(open_requests.enter_context(request))
            request.send(part)
        form = open_requests.enter_context(RawRequest(server, "/v1/files", size=_ANNOUNCED, boundary="cut"))
        form.send(_FORM_START + bytes(1_000_000))
        for request in stopped:
            status, problem = request.answer()
            assert (status, problem["code"], problem["retry"]) == (408, "request_timeout", "now")
        status, answer = form.answer()
        assert (status, answer["error"]["code"], answer["error"]["retry"]) == (408, "request_timeout", "now")
    assert_nothing_is_left(server)


@pytest.mark.sqlite  # looks into the folder
def test_clients_that_vanish_leave_nothing_and_no_descriptor(make_server: Any) -> None:
    server = make_server(log_level="warning")
    before = open_files(server.pid)
    with ExitStack() as open_requests:
        requests = []
        for number in range(_ABORTED):
            request = RawRequest(server, f"/api/upload/{number}.bin", size=_ANNOUNCED)
            requests.append(open_requests.enter_context(request))
            request.send(_PARTS[number % len(_PARTS)])
        eventually(lambda: len(blobs(server.data)) == _ABORTED // len(_PARTS), "every large upload is on disk in part")
        for request in requests[::2]:
            request.vanish()
    eventually(lambda: open_files(server.pid) <= before, "no descriptor is open that was not before")
    assert_nothing_is_left(server)
