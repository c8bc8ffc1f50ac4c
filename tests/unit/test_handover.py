"""What a proxy that looks for X-Sendfile is told, and that its fetches count; ``clients/test_nginx.py`` has a real proxy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unit.service import Service

CONTENT = os.urandom(300_000)


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """A service behind a proxy that looks for X-Sendfile."""
    return make_service(accel="x-sendfile")


def test_a_whole_file_is_handed_over_by_its_path_and_counted(service: Service) -> None:
    url = service.upload(CONTENT)["url"]
    answer = service.fetch(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert Path(answer.headers["x-sendfile"]).read_bytes() == CONTENT
    service.write_fetches()
    told = service.request("GET", "/api/events?after=0&types=file.fetched", headers={"Accept": "application/json"})
    assert len(told.json()["events"]) == 1


def test_what_no_file_has_alone_is_sent_here(service: Service) -> None:
    small, limited = (
        service.upload(b"small", path="s")["url"],
        service.upload(CONTENT, expires_after_fetches="1")["url"],
    )
    assert service.fetch(small).content == b"small"
    assert service.fetch(limited).content == CONTENT
    assert service.fetch(limited).status_code == 410
    part = service.request("GET", service.upload(CONTENT)["url"], key=None, headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, CONTENT[1:3])


def test_lost_bytes_are_told_before_the_proxy_looks_for_them(service: Service) -> None:
    url = service.upload(CONTENT)["url"]
    for blob in service.blobs():
        blob.unlink()
    answer = service.fetch(url)
    assert (answer.status_code, "x-sendfile" in answer.headers) == (500, False)
