"""What programs are told that people see on pages: how the server stands, days of use, uploads under way, files in an order."""

from __future__ import annotations

from typing import Any

import pytest

from unit.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Service(tmp_path_factory.mktemp("status"))
    yield made
    made.close()


def found(service: Service, **asked: Any) -> list[str]:
    """Return the names of the files that are found, page by page of one."""
    names, cursor = [], ""
    while True:
        answer = service.request("GET", "/api/files", params={"limit": 1, **asked, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        names += [file["name"] for file in page["files"]]
        if page["next_cursor"] is None:
            return names
        cursor = page["next_cursor"]


def make_key(service: Service, **asked: Any) -> str:
    """Return a key of the default organization."""
    answer = service.request("POST", "/api/keys", params={"organization": "default"}, json={"name": "k", **asked})
    return str(answer.json()["key"])


def test_a_root_key_is_told_how_the_server_stands_and_no_other(service: Service) -> None:
    service._run(service._engine.processes.tell("serve"))
    said = service.request("GET", "/api/server").json()
    (process,) = said["processes"]
    assert (process["role"], process["is_own"], process["is_silent"]) == ("serve", True, False)
    assert (said["store"], said["is_scanning"], said["shortcomings"], said["bucket"]) == ("disk", False, [], None)
    assert all(disk["free"] > 0 for disk in said["disks"])
    assert {task["process_id"] for task in said["tasks"]} == {"the test"}
    service.pass_time(minutes=4)
    assert service.request("GET", "/api/server").json()["processes"][0]["is_silent"]
    administrator = make_key(service, scopes=["admin"])
    assert service.request("GET", "/api/server", key=administrator).status_code == 403


def test_each_of_the_last_days_tells_what_it_brought(make_service: Any) -> None:
    service = make_service()
    service.upload(b"12345", "a.txt")
    service.pass_time(days=1)
    file = service.upload(b"123", "b.txt")
    service.process()
    service.fetch(file["url"])
    service.write_fetches()
    said = service.request("GET", "/api/usage", params={"days": "2"}).json()
    assert (said["bytes"], said["files"]) == (8, 2)
    assert said["days"] == [
        {"date": "2030-01-01", "files": 1, "bytes": 5, "fetches": 0},
        {"date": "2030-01-02", "files": 1, "bytes": 3, "fetches": 1},
    ]
    assert len(service.request("GET", "/api/usage").json()["days"]) == 30
    refused = [service.request("GET", "/api/usage", params={"days": days}).status_code for days in ("0", "366", "x")]
    assert refused == [400, 400, 400]
    confined = make_key(service, scopes=["read"], path_prefix="a")
    assert service.request("GET", "/api/usage", key=confined).status_code == 403


def test_uploads_that_are_not_complete_are_listed_with_what_has_come(service: Service) -> None:
    ticket = service.request("POST", "/api/uploads", json={"path": "coming/film.mp4", "size": 10}).json()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    service.request("PATCH", ticket["url"], key=None, headers=headers, content=b"1234")
    (listed,) = service.request("GET", "/api/uploads").json()["uploads"]
    assert (listed["id"], listed["path"], listed["size"], listed["received"]) == (
        ticket["id"],
        "coming/film.mp4",
        10,
        4,
    )
    assert "url" not in listed, "a list shows nobody where others' bytes go"
    assert service.request("DELETE", f"/api/uploads/{ticket['id']}").status_code == 204
    assert service.request("GET", "/api/uploads").json() == {"uploads": [], "next_cursor": None}


def test_files_are_found_by_name_state_and_folder_in_any_order(make_service: Any) -> None:
    service = make_service()
    for name, content in (("reports/Alpha.txt", b"12345"), ("reports/deep/beta.txt", b"1"), ("gamma.txt", b"123")):
        service.upload(content, name)
        service.pass_time(seconds=1)
    service.process()
    service.request("POST", "/api/upload/handed.txt", content=b"1234567")
    assert found(service, sort="newest") == ["handed.txt", "gamma.txt", "beta.txt", "Alpha.txt"]
    assert found(service, sort="largest") == ["handed.txt", "Alpha.txt", "gamma.txt", "beta.txt"]
    assert found(service, name="ALPHA") == ["Alpha.txt"]
    assert found(service, folder="reports") == ["Alpha.txt"]
    assert found(service, folder="reports", name="ta") == ["beta.txt"]
    assert found(service, status="processing") == []
    assert found(service, handoffs="true") == ["handed.txt"]
    assert found(service, status="ready", sort="name") == ["Alpha.txt", "beta.txt", "gamma.txt", "handed.txt"]


@pytest.mark.parametrize(
    "asked",
    [{"sort": "size"}, {"status": "new"}, {"name": "a", "prefix": "b"}, {"sort": "newest", "cursor": "WyJhIiwiYiJd"}],
)
def test_what_cannot_be_asked_of_a_list_is_a_mistake_of_the_client(service: Service, asked: dict[str, str]) -> None:
    assert service.request("GET", "/api/files", params=asked).status_code == 400
