"""What the server's kernel is asked to send of large files: the very bytes that would be read, slice by slice."""

from __future__ import annotations

import errno
import os
import socket
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fileferry.web import zerocopy
from unit.service import Service

SMALL = os.urandom(100_000)
LARGE = os.urandom(9_000_001)


def path_of(url: str) -> bytes:
    return urlsplit(url).path.encode()


def test_a_large_file_is_sent_by_the_kernel_in_slices_and_a_small_one_is_not(service: Service) -> None:
    sliced: list[int] = []
    answer = service.ask_raw("GET", path_of(service.upload(LARGE)["url"]), sliced=sliced)
    assert (answer.status, answer.body, sum(sliced)) == (200, LARGE, len(LARGE))
    assert max(sliced) <= zerocopy.LONGEST
    small = service.upload(SMALL, path="small")["url"]
    assert service.ask_raw("GET", path_of(small), sliced=(none := [])).body == SMALL
    assert none == []


def test_a_range_and_a_head_are_what_they_are_without(service: Service) -> None:
    url = path_of(service.upload(LARGE)["url"])
    sliced: list[int] = []
    answer = service.ask_raw("GET", url, [(b"range", b"bytes=17-8000016")], sliced=sliced)
    assert (answer.status, answer.body, sum(sliced)) == (206, LARGE[17:8000017], 8_000_000)
    asked = service.ask_raw("HEAD", url, sliced=sliced)
    assert (asked.status, asked.body, dict(asked.headers)[b"content-length"]) == (200, b"", b"9000001")
    assert sum(sliced) == 8_000_000


def test_a_file_that_lies_in_several_runs_is_sent_run_by_run(service: Service) -> None:
    blocks = [os.urandom(400_000) for _ in range(3)]
    ticket = service.request("POST", "/api/uploads", json={"path": "runs", "auto_complete": True}).json()
    order = (2, 0, 1)
    names = [b64encode(b"%06d" % number).decode() for number in range(3)]
    for number in order:
        put = service.request(
            "PUT", f"{ticket['url']}&comp=block&blockid={names[number]}", key=None, content=blocks[number]
        )
        assert put.status_code == 201, put.text
    listed = "".join(f"<Latest>{name}</Latest>" for name in names)
    done = service.request(
        "PUT", f"{ticket['url']}&comp=blocklist", key=None, content=f"<BlockList>{listed}</BlockList>"
    )
    assert done.status_code == 201, done.text
    service.process()
    (file,) = service.request("GET", "/api/files").json()["files"]
    url = file["url"]
    sliced: list[int] = []
    whole = service.ask_raw("GET", path_of(url), sliced=sliced)
    assert whole.body == b"".join(blocks)
    assert len(sliced) > 1
    part = service.ask_raw("GET", path_of(url), [(b"range", b"bytes=300000-900000")], sliced=sliced)
    assert part.body == b"".join(blocks)[300_000:900_001]


def test_the_last_byte_of_a_limited_file_comes_once_its_fetch_is_recorded(service: Service) -> None:
    file = service.upload(LARGE, expires_after_fetches="1")
    sliced: list[int] = []
    assert service.ask_raw("GET", path_of(file["url"]), sliced=sliced).body == LARGE
    assert sum(sliced) == len(LARGE) - 1
    assert service.fetch(file["url"]).status_code == 410


def test_lost_bytes_are_told_before_anything_is_sent(service: Service) -> None:
    url = service.upload(LARGE)["url"]
    for blob in service.blobs():
        blob.unlink()
    assert service.ask_raw("GET", path_of(url), sliced=[]).status == 500


def test_a_file_that_the_kernel_cannot_send_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_arguments: int) -> int:
        raise OSError(errno.EINVAL, "this filesystem has no splice")

    monkeypatch.setattr(os, "sendfile", refusing)
    (tmp_path / "blob").write_bytes(SMALL)
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "blob").open("rb", buffering=0) as file:
        assert zerocopy._send(ours.fileno(), file, 10, 50_000, 0) == 50_000
        assert theirs.recv(60_000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == SMALL[10:50_010]


def test_a_file_that_ends_too_early_is_an_error_not_a_wait(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(SMALL)
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "blob").open("rb", buffering=0) as file, pytest.raises(OSError, match="shorter"):
        zerocopy._send(ours.fileno(), file, len(SMALL) - 5, 10, 0)
