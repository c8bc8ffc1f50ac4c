"""Five gigabytes, or SOAK_BYTES, over a link that breaks twenty times: they arrive whole, and little is sent twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator

import httpx
import pytest

from support.live_server import LiveServer, MakeServer
from support.lossy import LossyLink

_MIB = 1024 * 1024
_SIZE = int(os.environ.get("SOAK_BYTES", str(5 * 1024 * _MIB)))
_CUTS = 20
_RATE = 100 * _MIB
# What is under way when the link breaks is lost; buffers of the machine's own hold more of it than those of a network.
_MOST_LOST = 8 * _MIB
_NOISE = os.urandom(_MIB)
_TUS = {"Tus-Resumable": "1.0.0"}


@pytest.mark.soak
def test_a_large_file_arrives_whole_over_a_link_that_breaks_twenty_times(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(log_level="warning")
    cuts = [_SIZE * number // (_CUTS + 1) for number in range(1, _CUTS + 1)]
    began = time.monotonic()
    with LossyLink(server.port, cuts, _RATE) as link:
        file_id, requests = _upload(server, link)
        seconds = time.monotonic() - began
        # What carries no bytes of the file, mostly heads of requests, counts as overhead too.
        resent = link.carried - _SIZE
        assert link.broken == _CUTS
    with server.client() as http:
        file = http.get(f"/api/files/{file_id}").json()
        assert file["size"] == _SIZE
        assert _digest_of(file["url"]) == _digest_of_source()
    with capsys.disabled():
        print(
            f"\n{_SIZE} bytes over a link that broke {_CUTS} times: {requests} requests in {seconds:.1f} s "
            f"({_SIZE / _MIB / seconds:.0f} MiB/s), {resent} bytes resent ({resent / _SIZE:.3%})"
        )
    assert resent < _CUTS * _MOST_LOST
    server.stop()
    shutil.rmtree(server.data)


def _upload(server: LiveServer, link: LossyLink) -> tuple[str, int]:
    """Send the file by tus, asking where to go on whenever the connection broke; return its id, and how many requests it took."""
    requests = 0
    key = {"Authorization": f"Bearer {server.root_key}"}
    with httpx.Client(base_url=link.url, trust_env=False, timeout=60) as http:
        asked = {"name": "large.bin", "size": _SIZE, "auto_complete": True}
        ticket = http.post("/api/uploads", json=asked, headers=key).json()
        length = {"Upload-Length": str(_SIZE)}
        location = http.post(ticket["url"], headers={**_TUS, **length}).headers["location"]
        offset = 0
        while offset < _SIZE:
            requests += 1
            try:
                offset = int(http.head(location, headers=_TUS).headers["upload-offset"])
                headers = {
                    **_TUS,
                    "Content-Type": "application/offset+octet-stream",
                    "Upload-Offset": str(offset),
                    "Content-Length": str(_SIZE - offset),
                }
                answer = http.patch(location, content=_source(offset), headers=headers)
            except httpx.TransportError:
                continue
            assert answer.status_code == 204, answer.text
            offset = int(answer.headers["upload-offset"])
    return str(ticket["file_id"]), requests


def _source(offset: int) -> Iterator[bytes]:
    """Yield the file from ``offset`` on: no holes, and no two blocks of it the same."""
    first = offset // _MIB
    for number in range(first, -(-_SIZE // _MIB)):
        block = (number.to_bytes(8) + _NOISE[8:])[: _SIZE - number * _MIB]
        yield block[offset - number * _MIB :] if number == first else block


def _digest_of_source() -> str:
    digest = hashlib.sha256()
    for block in _source(0):
        digest.update(block)
    return digest.hexdigest()


def _digest_of(url: str) -> str:
    digest = hashlib.sha256()
    with httpx.stream("GET", url, trust_env=False, timeout=60) as response:
        for chunk in response.iter_raw():
            digest.update(chunk)
    return digest.hexdigest()
