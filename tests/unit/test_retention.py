"""Versions with lives of their own: how many are kept and for how long, when they expire, and that their bytes go with them."""

from __future__ import annotations

from typing import Any

import pytest

from unit.service import Service

SIZE = 40_000  # in the store, not in the database


def put(service: Service, number: int, path: str = "a", **parameters: str) -> dict[str, Any]:
    """Put version ``number``, a second after whatever was before."""
    service.pass_time(seconds=1)
    return service.upload(bytes([number]) * SIZE, path=path, **parameters)


def keep(service: Service, **asked: Any) -> None:
    answer = service.request("PATCH", "/api/workspaces/default", json=asked)
    assert answer.is_success, answer.text


def kept(service: Service, file: dict[str, Any]) -> list[str]:
    """Return the ids of the versions that can be had, the newest first."""
    answer = service.request("GET", f"/api/files/{file['id']}/versions")
    assert answer.status_code == 200, answer.text
    return [version["version_id"] for version in answer.json()["versions"]]


def stored(service: Service) -> list[int]:
    """Sweep, and return which versions have bytes in the store."""
    service.sweep()
    return sorted(path.read_bytes()[0] for path in service.blobs())


def test_all_versions_are_kept_unless_told_otherwise(service: Service) -> None:
    files = [put(service, number) for number in range(5)]
    service.pass_time(days=3650)
    assert stored(service) == [0, 1, 2, 3, 4]
    assert kept(service, files[0]) == [file["version_id"] for file in reversed(files)]


def test_the_newest_versions_are_kept(service: Service) -> None:
    keep(service, keep_versions=2)
    files = [put(service, number) for number in range(4)]
    other = put(service, 9, path="other")
    assert kept(service, files[0]) == [files[3]["version_id"], files[2]["version_id"]]
    assert kept(service, other) == [other["version_id"]]
    assert stored(service) == [2, 3, 9]
    assert service.fetch(files[1]["url"]).status_code == 410
    assert service.fetch(files[2]["url"]).content == bytes([2]) * SIZE


def test_keeping_fewer_holds_for_a_file_from_its_next_version_on(service: Service) -> None:
    files = [put(service, number) for number in range(4)]
    keep(service, keep_versions=2)
    assert len(kept(service, files[0])) == 4
    files.append(put(service, 4))
    assert kept(service, files[0]) == [files[4]["version_id"], files[3]["version_id"]]
    assert stored(service) == [3, 4]


def test_keeping_fewer_holds_for_every_file_from_the_next_scan_on(service: Service) -> None:
    files = [put(service, number) for number in range(3)]
    others = [put(service, 10 + number, path="other") for number in range(3)]
    keep(service, keep_versions=1)
    service.scan(fix=True)
    assert kept(service, files[0]) == [files[2]["version_id"]]
    assert kept(service, others[0]) == [others[2]["version_id"]]
    assert stored(service) == [2, 12]


def test_keeping_all_again_brings_nothing_back_and_ends_nothing(service: Service) -> None:
    keep(service, keep_versions=1)
    files = [put(service, number) for number in range(2)]
    keep(service, keep_versions=None)
    files += [put(service, number) for number in range(2, 4)]
    assert kept(service, files[0]) == [file["version_id"] for file in reversed(files[1:])]


def test_replaced_versions_are_kept_for_a_time_after_they_were_replaced(service: Service) -> None:
    keep(service, keep_versions_for="2h")
    first = put(service, 0)
    service.pass_time(days=30)
    second = put(service, 1)
    service.pass_time(hours=1)
    assert stored(service) == [0, 1]
    put(service, 2)
    service.pass_time(minutes=59, seconds=58)
    assert stored(service) == [0, 1, 2]
    service.pass_time(seconds=1)
    assert stored(service) == [1, 2]
    assert service.fetch(first["url"]).status_code == 410
    assert service.fetch(second["url"]).status_code == 200
    service.pass_time(days=3650)
    assert stored(service) == [2]


def test_both_rules_hold_at_once(service: Service) -> None:
    keep(service, keep_versions=2, keep_versions_for="2h")
    for number in range(3):
        put(service, number)
    assert stored(service) == [1, 2]
    service.pass_time(hours=2)
    assert stored(service) == [2]


def test_a_deleted_version_frees_its_bytes(service: Service) -> None:
    files = [put(service, number) for number in range(3)]
    address = f"/api/files/{files[0]['id']}/versions"
    assert service.request("DELETE", f"{address}/{files[1]['version_id']}").status_code == 204
    assert service.request("DELETE", f"{address}/{files[1]['version_id']}").status_code == 404
    assert kept(service, files[0]) == [files[2]["version_id"], files[0]["version_id"]]
    assert service.fetch(files[1]["url"]).status_code == 410
    assert stored(service) == [0, 2]
    assert service.request("DELETE", f"{address}/{files[2]['version_id']}").status_code == 409
    assert stored(service) == [0, 2]


def test_an_older_version_keeps_its_own_expiry(service: Service) -> None:
    first = put(service, 0, expires_in="1h")
    second = put(service, 1)
    assert service.fetch(first["url"]).status_code == 200
    service.pass_time(hours=1)
    assert service.fetch(first["url"]).status_code == 410
    assert kept(service, first) == [second["version_id"]]
    assert stored(service) == [1]
    assert service.fetch(second["url"]).status_code == 200


def test_a_newer_versions_expiry_is_not_that_of_the_older_one(service: Service) -> None:
    first = put(service, 0, expires_in="10h")
    put(service, 1, expires_in="20h")
    third = put(service, 2, expires_in="30h")
    assert third["expires_at"] > first["expires_at"]
    service.pass_time(hours=15)
    assert stored(service) == [1, 2]
    service.pass_time(hours=10)
    assert stored(service) == [2]


def test_a_changed_expiry_is_that_of_the_current_version_only(service: Service) -> None:
    first = put(service, 0, expires_in="1h")
    second = put(service, 1, expires_in="1h")
    changed = service.request("PATCH", f"/api/files/{first['id']}", json={"expires_at": None})
    assert changed.json()["expires_at"] is None
    service.pass_time(hours=2)
    assert stored(service) == [1]
    assert service.fetch(second["url"]).status_code == 200


def test_a_file_ends_with_its_current_version(service: Service) -> None:
    first = put(service, 0)
    put(service, 1, expires_in="1h")
    service.pass_time(hours=1)
    assert service.request("GET", f"/api/files/{first['id']}").status_code == 410
    assert stored(service) == []
    again = put(service, 2)
    assert again["id"] != first["id"]


@pytest.mark.parametrize("way", ["restored in time", "too late"])
def test_a_deleted_file_keeps_its_bytes_for_the_restore_window(service: Service, way: str) -> None:
    file = put(service, 0)
    put(service, 1)
    assert service.request("DELETE", f"/api/files/{file['id']}").status_code == 204
    service.pass_time(days=29)
    assert stored(service) == [0, 1]
    if way == "restored in time":
        assert service.request("POST", f"/api/files/{file['id']}/restore").is_success
        service.pass_time(days=365)
        assert stored(service) == [0, 1]
        assert len(kept(service, file)) == 2
        return
    service.pass_time(days=1)
    assert service.request("POST", f"/api/files/{file['id']}/restore").status_code == 404
    assert stored(service) == []
    assert service.scan(fix=False).is_clean


def test_deleting_and_restoring_brings_no_further_fetches(service: Service) -> None:
    file = put(service, 0, expires_after_fetches="2")
    deleted = (
        f"/file/v2/orgs/{file['organization_id']}/workspaces/{file['workspace_id']}/files/{file['id']}?deleted=true"
    )
    service.request("DELETE", f"/api/files/{file['id']}")
    link = service.request("GET", deleted).json()["download"]
    assert service.fetch(link).status_code == 200
    restored = service.request("POST", f"/api/files/{file['id']}/restore").json()
    assert restored["fetches_left"] == 1
    service.request("DELETE", f"/api/files/{file['id']}")
    assert [service.fetch(link).status_code for _ in range(2)] == [200, 410]
    assert service.request("POST", f"/api/files/{file['id']}/restore").status_code == 404
    assert stored(service) == []
    assert service.scan(fix=False).is_clean


def test_a_file_deleted_for_good_frees_every_version(service: Service) -> None:
    file = put(service, 0)
    put(service, 1)
    service.request("DELETE", f"/api/files/{file['id']}")
    assert service.request("DELETE", f"/api/files/{file['id']}?permanent=true").status_code == 204
    assert stored(service) == []
    assert service.request("POST", f"/api/files/{file['id']}/restore").status_code == 404


def test_no_restore_window_deletes_for_good(make_service: Any) -> None:
    service = make_service(restore_window="1s")
    file = put(service, 0)
    service.request("DELETE", f"/api/files/{file['id']}")
    service.pass_time(seconds=1)
    assert stored(service) == []
    assert service.request("POST", f"/api/files/{file['id']}/restore").status_code == 404
