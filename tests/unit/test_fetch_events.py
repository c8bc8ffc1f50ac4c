"""What tells of fetches is bounded: by the minute, and by the room on the disk; whoever fetches cannot fill it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unit.service import Service


def told(service: Service) -> int:
    """Return how many fetches are told of by now, once those that wait were written."""
    service.write_fetches()
    answer = service.request("GET", "/api/events?after=0&types=file.fetched", headers={"Accept": "application/json"})
    return len(answer.json()["events"])


@pytest.mark.parametrize(("setting", "expected"), [("3", [3, 6]), ("0", [0, 0])])
def test_a_version_is_told_of_so_often_in_a_minute(
    make_service: Callable[..., Service], setting: str, expected: list[int]
) -> None:
    service = make_service(fetch_events=setting)
    url = service.upload()["url"]
    service.process()
    counts = []
    for _minute in range(2):
        assert [service.fetch(url).status_code for _ in range(10)] == [200] * 10
        counts.append(told(service))
        service.pass_time(minutes=1)
    assert counts == expected


def test_a_file_that_ends_with_its_fetches_is_always_told_of(make_service: Callable[..., Service]) -> None:
    service = make_service(fetch_events="0")
    url = service.upload(expires_after_fetches="2")["url"]
    service.process()
    assert [service.fetch(url).status_code for _ in range(3)] == [200, 200, 410]
    assert told(service) == 2


def test_a_disk_with_only_its_reserve_left_hears_of_no_fetch(tmp_path: Path) -> None:
    roomy = Service(tmp_path)
    url = roomy.upload()["url"]
    roomy.process()
    roomy.close()
    narrow = Service(tmp_path, min_free_space="1000000TB")
    try:
        assert narrow.fetch(url).content == b"abc"
        assert told(narrow) == 0
        for path, body in (("/api/keys", {"name": "k", "scopes": ["read"]}), ("/v1/folders", {"name": "f"})):
            assert narrow.request("POST", path, json=body).status_code == 507
        assert narrow.request("POST", "/api/uploads", json={"name": "a"}).status_code == 507
        assert narrow.request("POST", "/api/webhooks", json={"url": "https://a.example/"}).status_code == 507
    finally:
        narrow.close()
