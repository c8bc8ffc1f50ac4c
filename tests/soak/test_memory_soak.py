"""Two gigabytes, and ten, through one request, and many uploads to a bucket: memory must not depend on the size."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from faults import proc
from faults.transfer import MIB, MOST_GROWTH, assert_memory_stays_small
from support.live_server import MakeServer
from support.object_stores import SeaweedFS


@pytest.mark.soak
@pytest.mark.parametrize("gigabytes", [2, 10])
def test_gigabytes_through_one_request_leave_memory_small(make_server: Any, gigabytes: int) -> None:
    assert_memory_stays_small(make_server(log_level="warning"), gigabytes * 1024 * MIB)


@pytest.mark.soak
@pytest.mark.service("seaweedfs")
def test_sixteen_uploads_to_a_bucket_at_once_leave_memory_small(
    make_server: MakeServer, seaweedfs: SeaweedFS, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(workers=1, **seaweedfs.settings())
    piece = os.urandom(MIB)

    def upload(name: str, mebibytes: int) -> None:
        with server.client() as http:
            headers = {"Content-Length": str(mebibytes * MIB)}
            answer = http.put(
                f"/api/upload/{name}", content=(piece for _ in range(mebibytes)), headers=headers, timeout=600
            )
        assert answer.is_success, answer.text

    upload("first.bin", 16)
    before = proc.resident(server.pid)
    proc.forget_peak(server.pid)
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(upload, f"{number}.bin", 48) for number in range(16)]:
            done.result()
    grown = proc.peak_resident(server.pid) - before
    with capsys.disabled():
        print(f"\n16 uploads of 48 MiB to a bucket at once: memory +{grown / MIB:.0f} MiB")
    assert grown < MOST_GROWTH
