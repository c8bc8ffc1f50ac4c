"""What time does: files, keys, grace, idempotency and tombstones end when they should, swept or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unit.service import ROOT_KEY, Service

LARGE = bytes(400_000)


def test_a_file_ends_to_the_second_though_nothing_swept_it(service: Service) -> None:
    file = service.upload(expires_in="24h")
    service.pass_time(hours=24, seconds=-1)
    assert service.fetch(file["url"]).content == b"abc"
    assert service.fetch(file["url"]).headers["cache-control"] == "public, max-age=1"
    service.pass_time(seconds=1)
    assert service.fetch(file["url"]).status_code == 410
    for path in (f"/api/files/{file['id']}", f"/api/files/{file['id']}/content", f"/v1/files/{file['id']}"):
        assert service.request("GET", path).status_code == 410
    assert service.request("GET", "/api/files").json()["files"] == []
    assert service.request("GET", "/v1/files").json()["files"] == []
    assert service.request("PATCH", f"/api/files/{file['id']}", json={"expires_at": None}).status_code == 410


@pytest.mark.parametrize("swept", [False, True])
def test_an_ended_file_gives_its_path_free(service: Service, swept: bool) -> None:
    old = service.upload(b"old", path="a", expires_in="1h")
    other = service.upload(b"other", path="b")
    service.pass_time(hours=2)
    if swept:
        service.sweep()
    headers = {"If-Match": "*"}
    assert service.request("PUT", "/api/upload/a", content=b"x", headers=headers).status_code == 412
    renamed = service.request("PATCH", f"/api/files/{other['id']}", json={"name": "a"})
    assert (renamed.status_code, renamed.json().get("path")) == (200, "a")
    headers = {"If-None-Match": "*"}
    assert service.request("PUT", "/api/upload/a", content=b"x", headers=headers).status_code == 412
    assert service.fetch(old["url"]).status_code == 410
    assert service.fetch(other["url"]).content == b"other"


def test_a_new_version_has_the_life_it_was_given(service: Service) -> None:
    service.upload(path="a", expires_in="1h")
    kept = service.upload(b"new", path="a")
    service.pass_time(days=400)
    assert service.fetch(kept["url"]).content == b"new"


def test_a_tombstone_is_kept_for_its_time_and_then_forgotten(make_service: Callable[..., Service]) -> None:
    service = make_service(tombstone_retention="10d")
    deleted, expired = service.upload(LARGE, path="a"), service.upload(LARGE, path="b", expires_in="1h")
    service.request("DELETE", f"/api/files/{deleted['id']}?permanent=true")
    service.pass_time(hours=1)
    service.sweep()
    service.pass_time(days=9)
    service.sweep()
    assert [service.fetch(file["url"]).status_code for file in (deleted, expired)] == [410, 410]
    service.pass_time(days=2)
    service.sweep()
    assert [service.fetch(file["url"]).status_code for file in (deleted, expired)] == [404, 404]


def test_a_key_and_a_grace_end_to_the_second(service: Service) -> None:
    asked = {"name": "a", "scopes": ["read"], "expires_in": "1h"}
    made = service.request("POST", "/api/keys", json=asked).json()
    renewed = service.request("POST", f"/api/keys/{made['id']}/rotate", json={"grace": "10m"}).json()

    def status(key: str) -> int:
        return service.request("GET", "/api/files", key=key).status_code

    service.pass_time(minutes=10, seconds=-1)
    assert [status(made["key"]), status(renewed["key"])] == [200, 200]
    service.pass_time(seconds=1)
    assert [status(made["key"]), status(renewed["key"])] == [401, 200]
    service.pass_time(minutes=50)
    assert [status(made["key"]), status(renewed["key"]), status(ROOT_KEY)] == [401, 401, 200]


def test_a_second_rotation_does_not_lengthen_the_first_grace(service: Service) -> None:
    made = service.request("POST", "/api/keys", json={"name": "a", "scopes": ["read"]}).json()
    service.request("POST", f"/api/keys/{made['id']}/rotate", json={"grace": "1m"})
    service.request("POST", f"/api/keys/{made['id']}/rotate", json={"grace": "1h"})
    service.pass_time(minutes=2)
    assert service.request("GET", "/api/files", key=made["key"]).status_code == 401


def test_an_idempotency_key_is_remembered_for_its_time(make_service: Callable[..., Service]) -> None:
    service = make_service(idempotency_retention="1h")
    headers = {"Idempotency-Key": "job-17"}

    def post(content: bytes) -> tuple[int, str]:
        answer = service.request("POST", "/api/upload/a", content=content, headers=headers)
        return answer.status_code, answer.json().get("id", "")

    first = post(b"abc")
    service.pass_time(minutes=50)
    service.sweep()
    assert post(b"abc") == first
    assert post(b"other")[0] == 422
    service.pass_time(minutes=20)
    service.sweep()
    assert post(b"other")[0] == 201


def test_a_policy_limits_and_sets_the_life_of_files(make_service: Callable[..., Service]) -> None:
    service = make_service(max_retention="7d")
    assert service.upload()["expires_at"] == "2030-01-08T00:00:00.000Z"
    assert service.upload(expires_in="7d")["expires_at"] == "2030-01-08T00:00:00.000Z"
    answer = service.request("PUT", "/api/upload/a?expires_in=8d", content=b"")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_expiry")
    file = service.upload(path="b")
    answer = service.request("PATCH", f"/api/files/{file['id']}", json={"expires_at": "2031-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_expiry")


def test_version_numbers_grow_even_when_the_clock_goes_back(service: Service) -> None:
    numbers = []
    for step in (0, 1, -7200, 0, 0, 7300):
        service.pass_time(seconds=step)
        numbers.append(int(service.upload(str(step).encode(), path="a")["version_id"]))
    assert numbers == sorted(set(numbers))
