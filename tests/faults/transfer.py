"""One large file through one request, made while it is sent and checked while it comes back, so that nobody holds it."""

from __future__ import annotations

import hashlib
import os
import shutil

from faults.proc import forget_peak, peak_resident, resident
from faults.raw_http import RawRequest
from support.live_server import LiveServer

MIB = 1024 * 1024
MOST_GROWTH = 64 * MIB
_BLOCK = MIB
_READ = 256 * 1024


def assert_memory_stays_small(server: LiveServer, size: int) -> None:
    """Upload and download ``size`` bytes (whole MiB); fail if the server's memory ever grows by 64 MiB; remove its data."""
    before = resident(server.pid)
    forget_peak(server.pid)
    _round_trip(server, size)
    growth = peak_resident(server.pid) - before
    print(f"{size // MIB} MiB through one request: memory of the server +{growth / MIB:.1f} MiB")
    assert growth < MOST_GROWTH, f"grew by {growth / MIB:.1f} MiB"
    server.stop()
    shutil.rmtree(server.data)


def _round_trip(server: LiveServer, size: int) -> None:
    sent, received = hashlib.sha256(), hashlib.sha256()
    noise = os.urandom(_BLOCK)
    with RawRequest(server, "/api/upload/large.bin", size=size) as request:
        for number in range(size // _BLOCK):
            block = number.to_bytes(8) + noise[8:]
            sent.update(block)
            request.send(block)
        status, file = request.answer()
    assert status == 201, file
    assert file["size"] == size
    buffer = bytearray(_READ)
    with RawRequest(server, f"/api/files/{file['id']}/content", size=0, method="GET") as request:
        response = request.response()
        while length := response.readinto(buffer):
            received.update(memoryview(buffer)[:length])
    assert received.digest() == sent.digest()
