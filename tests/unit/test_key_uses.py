"""When a key was used last: told by every process, written once a minute, and never set back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unit.costs import counting
from unit.service import Service


def made(service: Service, *scopes: str) -> tuple[str, str]:
    """Make a key; return its id and its secret."""
    key = service.request("POST", "/api/keys", json={"name": "a key", "scopes": scopes}).json()
    return key["id"], key["key"]


def last_use(service: Service, key_id: str) -> Any:
    """Return what an administrator is told of a key's last use, by both answers that tell it."""
    listed = {key["id"]: key for key in service.request("GET", "/api/keys").json()["keys"]}
    assert service.request("GET", f"/api/keys/{key_id}").json() == listed[key_id]
    return listed[key_id]["last_used_at"]


def test_the_last_use_of_a_key_is_when_it_was_shown_last(service: Service) -> None:
    key_id, secret = made(service, "read")
    assert last_use(service, key_id) is None
    service.pass_time(hours=1)
    assert service.request("GET", "/api/files", key=secret).is_success
    assert last_use(service, key_id) == "2030-01-01T01:00:00.000Z"
    service.pass_time(hours=1)
    assert service.request("GET", "/v1/files", key=secret).is_success
    service.pass_time(hours=1)
    assert last_use(service, key_id) == "2030-01-01T02:00:00.000Z"
    assert service.request("GET", "/api/whoami", key=secret).json()["key"]["last_used_at"] == "2030-01-01T03:00:00.000Z"


def test_what_is_refused_is_no_use(service: Service) -> None:
    key_id, secret = made(service, "read")
    named = {"organization": "another"}
    assert service.request("GET", "/api/files", key=secret, params=named).status_code == 404
    assert service.request("GET", "/api/files", key=secret + "x").status_code == 401
    assert last_use(service, key_id) is None
    service.request("DELETE", f"/api/keys/{key_id}")
    assert service.request("GET", "/api/files", key=secret).status_code == 401
    assert last_use(service, key_id) is None


def test_processes_tell_each_other_and_none_sets_the_time_back(tmp_path: Path) -> None:
    one, other = Service(tmp_path), Service(tmp_path)
    try:
        key_id, secret = made(one, "read")
        one.request("GET", "/api/files", key=secret)
        other.pass_time(minutes=5)
        other.request("GET", "/api/files", key=secret)
        assert last_use(one, key_id) == "2030-01-01T00:00:00.000Z"
        other.write_key_uses()
        one.write_key_uses()
        assert last_use(one, key_id) == last_use(other, key_id) == "2030-01-01T00:05:00.000Z"
    finally:
        other.close()
        one.close()


def test_it_is_kept_when_a_process_ends(tmp_path: Path) -> None:
    service = Service(tmp_path)
    key_id, secret = made(service, "read")
    service.request("GET", "/api/files", key=secret)
    service.close()
    again = Service(tmp_path)
    assert last_use(again, key_id) == "2030-01-01T00:00:00.000Z"
    again.close()


@pytest.mark.sqlite
def test_many_requests_write_it_once(tmp_path: Path) -> None:
    with counting() as costs:
        service = Service(tmp_path)
        _id, secret = made(service, "read")
        costs.begin()
        for _request in range(20):
            service.request("GET", "/api/files", key=secret)
        assert not [statement for statement in costs.statements if "key_uses" in statement]
        service.write_key_uses()
        service.write_key_uses()
        assert len([statement for statement in costs.statements if "INSERT INTO key_uses" in statement]) == 2
        service.close()


def test_a_disk_with_only_its_reserve_left_hears_of_no_use_and_serves(tmp_path: Path) -> None:
    roomy = Service(tmp_path)
    key_id, secret = made(roomy, "read")
    roomy.close()
    narrow = Service(tmp_path, min_free_space="1000000TB")
    assert narrow.request("GET", "/api/files", key=secret).is_success
    narrow.write_key_uses()
    assert last_use(narrow, key_id) == "2030-01-01T00:00:00.000Z"
    narrow.close()
    again = Service(tmp_path)
    assert last_use(again, key_id) is None
    again.close()
