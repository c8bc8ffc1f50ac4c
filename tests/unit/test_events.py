"""Events as pages: which there are, in which order, and who is told of them. The clock is the test's."""

from __future__ import annotations

from typing import Any

import pytest

from unit.service import Service


def page(service: Service, after: int | str | None = 0, **options: Any) -> dict[str, Any]:
    """Return a page of events."""
    known = {} if after is None else {"after": str(after)}
    headers = {"Accept": "application/json", **options.pop("headers", {})}
    key = options.pop("key", None)
    who = {} if key is None else {"key": key}
    answer = service.request("GET", "/api/events", params={**known, **options}, headers=headers, **who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(service: Service, after: int | str | None = 0, **options: Any) -> list[tuple[str, str]]:
    """Return type and path of events."""
    return [(event["type"], event["data"]["path"]) for event in page(service, after, **options)["events"]]


def limited_key(service: Service, **limits: Any) -> str:
    """Make a key that may read, and return its secret."""
    answer = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["read", "upload"], **limits})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def test_what_happens_to_files_is_told_in_order(service: Service) -> None:
    first = service.upload(path="a/b")
    service.upload(path="c", expires_in="1h")
    service.request("DELETE", f"/api/files/{first['id']}")
    service.request("POST", f"/api/files/{first['id']}/restore")
    service.pass_time(hours=2)
    service.sweep()
    assert told(service) == [
        ("file.ready", "a/b"),
        ("file.ready", "c"),
        ("file.deleted", "a/b"),
        ("file.restored", "a/b"),
        ("file.expired", "c"),
    ]


def test_an_event_says_what_the_file_was_then(service: Service) -> None:
    file = service.upload(b"abc", path="a.txt")
    (event,) = page(service)["events"]
    assert (event["type"], event["organization_id"]) == ("file.ready", file["organization_id"])
    assert event["timestamp"] == "2030-01-01T00:00:00.000Z"
    said = {name: event["data"][name] for name in ("file_id", "version_id", "size", "status", "sha256")}
    assert said == {
        "file_id": file["id"],
        "version_id": file["version_id"],
        "size": 3,
        "status": "ready",
        "sha256": file["sha256"],
    }


def test_a_judged_file_is_told_of_once_it_is_judged(make_service: Any) -> None:
    service = make_service(allowed_types="text/plain")
    service.upload(b"some text", path="a.txt")
    service.upload(b"%PDF-1.4\n", path="b.txt")
    assert told(service) == []
    service.process()
    assert sorted(told(service)) == [("file.ready", "a.txt"), ("file.rejected", "b.txt")]


def test_pages_go_on_where_the_one_before_ended(service: Service) -> None:
    for name in "abcde":
        service.upload(path=name)
    first = page(service, limit=2)
    second = page(service, first["next_cursor"], limit=2)
    third = page(service, second["next_cursor"], limit=2)
    assert [[event["data"]["path"] for event in part["events"]] for part in (first, second, third)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert page(service, third["next_cursor"])["events"] == []


def test_without_after_only_new_events_are_told(service: Service) -> None:
    service.upload(path="a")
    begun = page(service, None)
    service.upload(path="b")
    assert begun["events"] == []
    assert told(service, begun["next_cursor"]) == [("file.ready", "b")]


def test_last_event_id_wins_over_after(service: Service) -> None:
    for name in "abc":
        service.upload(path=name)
    known = page(service)["events"][1]["id"]
    assert told(service, 0, headers={"Last-Event-ID": known}) == [("file.ready", "c")]


def test_some_types_or_one_file_can_be_asked_for(service: Service) -> None:
    kept = service.upload(path="a")
    deleted = service.upload(path="b")
    service.request("DELETE", f"/api/files/{deleted['id']}")
    assert told(service, types="file.deleted,file.expired") == [("file.deleted", "b")]
    assert told(service, file=kept["id"]) == [("file.ready", "a")]
    assert told(service, types="file.ready", file=deleted["id"]) == [("file.ready", "b")]


def test_a_page_is_looked_for_among_much_else_and_says_whether_there_is_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileferry.engine.events.outbox._BATCH", 4)
    monkeypatch.setattr("fileferry.engine.events.outbox._STRETCHES", 2)
    for number in range(12):
        service.upload(path=f"other-{number}")
    kept = service.upload(path="kept")
    headers = {"user-id": "alice"}
    service.request("PUT", "/api/upload/of-alice", content=b"x", headers=headers)
    service.process()
    of_file = page(service, file=kept["id"], limit=2)
    assert ([event["data"]["path"] for event in of_file["events"]], of_file["more"]) == (["kept"], False)
    assert told(service, of_file["next_cursor"], file=kept["id"]) == []
    first = page(service, limit=2, headers=headers)
    assert (first["events"], first["next_cursor"], first["more"]) == ([], "8", True)
    second = page(service, first["next_cursor"], limit=2, headers=headers)
    assert ([event["data"]["path"] for event in second["events"]], second["more"]) == (["of-alice"], False)
    some = page(service, limit=3)
    assert (len(some["events"]), some["next_cursor"], some["more"]) == (3, "3", True)


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=99999999999999999999", "types=file.eaten", "types="])
def test_what_cannot_be_asked_is_refused(service: Service, query: str) -> None:
    answer = service.request("GET", f"/api/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_events_that_are_no_longer_kept_are_missed_aloud(service: Service) -> None:
    for name in "abc":
        service.upload(path=name)
    known = page(service)["events"][0]["id"]
    service.pass_time(days=31)
    service.upload(path="d")
    service.sweep()
    late = page(service, known)
    assert late["reset"]
    assert [event["data"]["path"] for event in late["events"]] == ["d"]
    assert not page(service, late["next_cursor"])["reset"]


def test_an_id_that_was_never_handed_out_is_a_reset(service: Service) -> None:
    service.upload(path="a")
    answer = page(service, 1000)
    assert answer["reset"]
    assert [event["data"]["path"] for event in answer["events"]] == ["a"]
    assert not page(service, 0)["reset"]


def test_other_organizations_are_told_nothing(service: Service) -> None:
    service.request("POST", "/api/organizations", json={"slug": "other"})
    service.upload(path="ours")
    service.upload(path="theirs", organization="other")
    assert told(service) == [("file.ready", "ours")]
    assert told(service, organization="other") == [("file.ready", "theirs")]


def test_a_key_that_may_not_read_follows_nothing(service: Service) -> None:
    key = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload"]}).json()["key"]
    assert service.request("GET", "/api/events", key=key).status_code == 403
    assert service.request("GET", "/api/events", key=None).status_code == 401


def test_a_key_of_a_folder_is_told_of_files_below_it(service: Service) -> None:
    key = limited_key(service, path_prefix="team")
    for path in ("team/a", "team/sub/b", "teamwork/c", "team", "d"):
        service.upload(path=path)
    service.request("POST", "/api/upload/team/handed-off", content=b"abc")
    assert told(service, key=key) == [("file.ready", "team/a"), ("file.ready", "team/sub/b")]


def test_a_key_of_an_end_user_is_told_of_that_users_files(service: Service) -> None:
    key = limited_key(service, on_behalf_of=["*"])
    for user in ("anna", "ben"):
        headers = {"user-id": user}
        answer = service.request("PUT", f"/api/upload/{user}.txt", content=b"abc", key=key, headers=headers)
        assert answer.is_success, answer.text
    service.upload(path="ours")
    service.process()
    assert told(service, key=key, headers={"user-id": "anna"}) == [("file.ready", "anna.txt")]
    assert len(told(service)) == 3
