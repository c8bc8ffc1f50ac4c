"""When an answer was made and when what it tells of was changed: the second is never later (RFC 9110 section 8.8.2.1)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from unit.service import Service
from unit.words import Stage

AZURE = {"x-ms-version": "2026-04-06"}


def dates(headers: Any) -> tuple[Any, Any]:
    """Return what ``Date`` and ``Last-Modified`` say."""
    return parsedate_to_datetime(headers["date"]), parsedate_to_datetime(headers["last-modified"])


@pytest.mark.parametrize("hours", [0, -1], ids=["at once", "after the clock was set back"])
@pytest.mark.parametrize("headers", [{}, AZURE, {"Range": "bytes=0-0"}, {"If-None-Match": "*"}], ids=repr)
def test_no_file_was_changed_after_its_answer(service: Service, headers: dict[str, str], hours: int) -> None:
    url = service.upload()["url"]
    service.pass_time(hours=hours)
    for method in ("GET", "HEAD"):
        answer = service.request(method, url, key=None, headers=headers)
        date, changed = dates(answer.headers)
        assert date == service.now
        assert changed <= date


def test_no_blob_was_changed_after_its_answer(service: Service) -> None:
    stage = Stage(service)
    url = stage.ticket.decode()
    sent = {**AZURE, "x-ms-blob-type": "BlockBlob"}
    put = service.request("PUT", url, content=b"abc", headers=sent)
    service.pass_time(hours=-1)
    for answer in (
        put,
        service.request("HEAD", url, headers=AZURE),
        service.request("GET", f"{url}&comp=blocklist", headers=AZURE),
    ):
        assert answer.is_success
        date, changed = dates(answer.headers)
        assert changed <= date


def test_a_file_that_did_not_change_is_known_by_its_time(service: Service) -> None:
    url = service.upload()["url"]
    service.pass_time(hours=1)
    changed = service.fetch(url).headers["last-modified"]
    again: httpx.Response = service.request("GET", url, key=None, headers={"If-Modified-Since": changed})
    assert again.status_code == 304


@pytest.mark.parametrize("address", ["/healthz", "/nowhere", "/api/files"])
def test_every_answer_has_one_date(service: Service, address: str) -> None:
    assert len(service.request("GET", address, key=None).headers.get_list("date")) == 1
