"""Files of the signed flow as time passes: URLs that end, transient files, and what processing has made of them so far."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from unit.service import Service

FINE = {"empty": False, "infected": False, "length": False}


class Caller:
    """An end user of a service in this process."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the flow for something."""
        return self.service.request(method, f"/v1/files{path}", headers={"user-id": "ada"}, **options)

    def ask(self, **query: str) -> dict[str, Any]:
        """Return a ticket."""
        answer = self.call("GET", "/signed-url", params={"filename": "a.txt", **query})
        assert answer.status_code == 200, answer.text
        ticket: dict[str, Any] = answer.json()
        return ticket

    def put(self, ticket: dict[str, Any], content: bytes = b"abc") -> httpx.Response:
        """Send the bytes."""
        return self.service.request("PUT", ticket["file_url"], key=None, content=content)

    def status(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """Return how far the file is."""
        answer = self.call("GET", f"/{ticket['file_id']}/status")
        assert answer.status_code == 200, answer.text
        status: dict[str, Any] = answer.json()
        return status


@pytest.fixture
def caller(service: Service) -> Caller:
    return Caller(service)


def test_a_url_that_was_asked_for_within_a_second_is_good_for_all_of_its_time(caller: Caller) -> None:
    caller.service.pass_time(milliseconds=1)
    ticket = caller.ask()
    caller.service.pass_time(minutes=10, milliseconds=-1)
    assert caller.put(ticket).status_code == 200


def test_a_url_is_good_for_ten_minutes(caller: Caller) -> None:
    ticket = caller.ask()
    caller.service.pass_time(seconds=599)
    assert caller.status(ticket)["processing_status"] == "PENDING"
    assert caller.put(ticket).status_code == 200
    late = caller.ask()
    caller.service.pass_time(seconds=600)
    assert caller.put(late).status_code == 403
    assert caller.status(late) == {"processing_status": "FAILED", "processing_steps": [], "warnings": FINE}
    assert caller.call("GET", f"/{late['file_id']}").json()["reason"] == "not_uploaded"


def test_what_was_never_sent_fails_and_is_forgotten_in_the_end(caller: Caller) -> None:
    ticket = caller.ask()
    caller.service.pass_time(days=8)
    caller.service.sweep()
    assert caller.status(ticket)["processing_status"] == "FAILED"
    caller.service.pass_time(days=31)
    caller.service.sweep()
    assert caller.call("GET", f"/{ticket['file_id']}/status").status_code == 404


def test_what_comes_in_pieces_has_as_long_again_after_each(caller: Caller) -> None:
    ticket = caller.ask()
    caller.service.pass_time(seconds=500)
    block = f"{ticket['file_url']}&comp=block&blockid=QUFB"
    assert caller.service.request("PUT", block, key=None, content=b"abc").status_code == 201
    caller.service.pass_time(seconds=599)
    assert caller.status(ticket)["processing_status"] == "PENDING"
    caller.service.pass_time(seconds=1)
    assert caller.status(ticket)["processing_status"] == "FAILED"


@pytest.mark.parametrize("way", ["whole", "part", "stream"])
def test_what_comes_slowly_has_not_failed(caller: Caller, way: str) -> None:
    ticket = caller.ask()
    seen = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            caller.service.pass_time(minutes=4)
            status = await caller.service.ask(
                "GET", f"/v1/files/{ticket['file_id']}/status", headers={"user-id": "ada"}
            )
            seen.append(status.json()["processing_status"])
            yield b"abc"

    url, request = ticket["file_url"], caller.service.request
    if way == "whole":
        answer = request("PUT", url, key=None, content=body())
    elif way == "part":
        begun = request("POST", f"{url}&uploads=", key=None).text
        upload_id = begun.partition("<UploadId>")[2].partition("<")[0]
        answer = request("PUT", f"{url}&uploadId={upload_id}&partNumber=1", key=None, content=body())
    else:
        tus = {"Tus-Resumable": "1.0.0"}
        made = request("POST", url, key=None, headers={**tus, "Upload-Length": "12"}).headers["location"]
        bytes_sent = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        answer = request("PATCH", made, key=None, headers=bytes_sent, content=body())
    assert answer.is_success, answer.text
    assert set(seen) == {"PENDING"}


def test_a_file_is_processing_until_it_was_judged(caller: Caller) -> None:
    ticket = caller.ask()
    caller.put(ticket)
    assert caller.status(ticket) == {"processing_status": "PROCESSING", "processing_steps": [], "warnings": FINE}
    refused = caller.call("POST", f"/{ticket['file_id']}/attach", json={"message_id": "m"})
    assert (refused.status_code, refused.json()["error_code"]) == (409, "conflict")
    assert refused.json()["detail"] == "Conflict - File is infected with a virus or it's still being processed"
    caller.service.process()
    assert caller.status(ticket)["processing_status"] == "PROCESSED"
    assert caller.call("POST", f"/{ticket['file_id']}/attach", json={"message_id": "m"}).status_code == 200


def test_a_file_that_is_not_to_persist_is_removed_a_day_after_it_came(caller: Caller) -> None:
    kept, transient = caller.ask(), caller.ask(persist="false")
    caller.service.pass_time(minutes=9)
    for ticket in (kept, transient):
        caller.put(ticket)
    caller.service.process()
    caller.call("POST", f"/{transient['file_id']}/attach", json={"message_id": "m"})
    caller.service.pass_time(hours=23, minutes=59)
    assert caller.call("GET", "").json()["total"] == 2
    url = caller.call("GET", f"/{transient['file_id']}").json()["url"]
    caller.service.pass_time(minutes=1)
    assert caller.call("GET", f"/{transient['file_id']}/status").status_code == 404
    assert caller.service.fetch(url).status_code == 410
    assert [file["file_id"] for file in caller.call("GET", "").json()["files"]] == [kept["file_id"]]
    caller.service.sweep()
    assert caller.status(kept)["processing_status"] == "PROCESSED"


def test_how_long_a_transient_file_is_kept_can_be_set(make_service: Callable[..., Service]) -> None:
    caller = Caller(make_service(transient_retention="1h", max_retention="30m"))
    ticket = caller.ask(persist="false")
    caller.put(ticket)
    caller.service.process()
    caller.service.pass_time(minutes=29)
    assert caller.status(ticket)["processing_status"] == "PROCESSED"
    caller.service.pass_time(minutes=1)
    assert caller.call("GET", f"/{ticket['file_id']}/status").status_code == 404


def test_a_file_is_processing_again_that_was_fetched_for_the_last_time_while_its_next_version_waits(
    caller: Caller,
) -> None:
    def put(content: bytes, **query: str) -> dict[str, Any]:
        headers = {"user-id": "ada"}
        answer = caller.service.request("PUT", "/api/upload/a", content=content, params=query, headers=headers)
        return {**answer.json(), "file_id": answer.json()["id"]}

    file = put(b"one", expires_after_fetches="1")
    caller.service.process()
    put(b"two")
    assert caller.service.fetch(file["url"]).content == b"one"
    assert caller.status(file)["processing_status"] == "PROCESSING"
    assert caller.call("GET", f"/{file['id']}").json()["processing_status"] == "PROCESSING"
    refused = caller.call("POST", f"/{file['id']}/attach", json={"message_id": "m"})
    assert refused.json()["detail"] == "Conflict - File is infected with a virus or it's still being processed"
    caller.service.process()
    assert caller.status(file)["processing_status"] == "PROCESSED"


def test_a_file_that_was_rejected_tells_so_for_a_week(caller: Caller) -> None:
    ticket = caller.ask()
    caller.put(ticket, b"%PDF-1.7\n")
    caller.service.process()
    caller.service.pass_time(days=6)
    assert caller.status(ticket)["processing_status"] == "FAILED"
    caller.service.pass_time(days=1)
    assert caller.call("GET", f"/{ticket['file_id']}/status").status_code == 404


SESSIONS = {
    "google": {"x-goog-resumable": "start"},
    "tus": {"Tus-Resumable": "1.0.0", "Upload-Length": "6"},
    "draft": {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?0", "Upload-Length": "6"},
}
BYTES = {
    "google": {"Content-Range": "bytes 0-5/6"},
    "tus": {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    "draft": {
        "Upload-Draft-Interop-Version": "6",
        "Upload-Offset": "0",
        "Upload-Complete": "?1",
        "Content-Type": "application/partial-upload",
    },
}
METHODS = {"google": "PUT", "tus": "PATCH", "draft": "PATCH"}


def begun(caller: Caller, protocol: str) -> tuple[dict[str, Any], str]:
    """Return a ticket and the URL of the session that was begun at its URL."""
    ticket = caller.ask()
    answer = caller.service.request("POST", ticket["file_url"], key=None, headers=SESSIONS[protocol])
    assert answer.is_success, answer.text
    return ticket, answer.headers["location"]


def sent(caller: Caller, protocol: str, url: str) -> httpx.Response:
    """Send all bytes to the URL of a session."""
    return caller.service.request(METHODS[protocol], url, key=None, headers=BYTES[protocol], content=b"abcdef")


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_session_grants_no_longer_than_its_ticket_and_what_has_failed_stays_so(caller: Caller, protocol: str) -> None:
    ticket, url = begun(caller, protocol)
    caller.service.pass_time(seconds=599)
    assert caller.status(ticket)["processing_status"] == "PENDING"
    caller.service.pass_time(seconds=1)
    assert caller.status(ticket)["processing_status"] == "FAILED"
    assert sent(caller, protocol, url).status_code in (403, 404)
    again = caller.service.request("POST", url, key=None, headers=SESSIONS[protocol])
    assert again.status_code in (403, 404)
    assert caller.status(ticket)["processing_status"] == "FAILED"


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_session_is_not_kept_alive_by_beginning_it_again(caller: Caller, protocol: str) -> None:
    _ticket, url = begun(caller, protocol)
    for _again in range(2):
        caller.service.pass_time(seconds=400)
        caller.service.request("POST", url, key=None, headers=SESSIONS[protocol])
    assert sent(caller, protocol, url).status_code in (403, 404)


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_session_that_goes_on_outlives_its_url(caller: Caller, protocol: str) -> None:
    ticket = caller.ask()
    caller.service.pass_time(seconds=500)
    answer = caller.service.request("POST", ticket["file_url"], key=None, headers=SESSIONS[protocol])
    caller.service.pass_time(seconds=500)
    assert sent(caller, protocol, answer.headers["location"]).is_success
    caller.service.process()
    assert caller.status(ticket)["processing_status"] == "PROCESSED"


def test_what_came_whole_and_waits_for_a_word_has_not_failed(caller: Caller) -> None:
    ticket = caller.service.request("POST", "/api/uploads", json={"name": "a.txt"}, headers={"user-id": "ada"}).json()
    assert caller.service.request("PUT", ticket["url"], key=None, content=b"abc").status_code == 200
    caller.service.pass_time(days=2)
    assert caller.status(ticket)["processing_status"] == "PROCESSING"
    done = caller.service.request("POST", f"/api/uploads/{ticket['id']}/complete", headers={"user-id": "ada"})
    assert done.is_success


def ordinary(caller: Caller, protocol: str) -> tuple[dict[str, Any], str]:
    """Return a ticket of the usual time, and the URL of a session."""
    ticket = caller.service.request("POST", "/api/uploads", json={"name": "a.txt", "auto_complete": True}).json()
    answer = caller.service.request("POST", ticket["url"], key=None, headers=SESSIONS[protocol])
    return ticket, answer.headers["location"]


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_session_of_an_ordinary_ticket_rests_for_a_day_and_not_for_a_week(caller: Caller, protocol: str) -> None:
    ticket, url = ordinary(caller, protocol)
    _other, late = ordinary(caller, protocol)
    caller.service.pass_time(hours=23, minutes=59)
    assert sent(caller, protocol, url).is_success
    caller.service.pass_time(minutes=1)
    assert sent(caller, protocol, late).status_code in (403, 404)
    assert caller.service.request("GET", f"/api/files/{ticket['file_id']}").is_success


@pytest.mark.parametrize("protocol", SESSIONS)
def test_a_fresh_url_begins_a_session_though_the_ticket_is_old(caller: Caller, protocol: str) -> None:
    ticket, _url = ordinary(caller, protocol)
    caller.service.pass_time(days=3)
    fresh = caller.service.request("POST", f"/api/uploads/{ticket['id']}/urls").json()["url"]
    begun_late = caller.service.request("POST", fresh, key=None, headers=SESSIONS[protocol]).headers["location"]
    caller.service.pass_time(hours=23)
    assert sent(caller, protocol, begun_late).is_success


def test_where_a_published_document_promises_a_week_it_is_a_week(caller: Caller) -> None:
    service = caller.service
    said = {"filename": "a.txt", "file_size": 6, "mime_type": "text/plain"}
    url = service.request("POST", "/v1/organizations/default/files/upload-url", json=said).json()["upload_url"]
    by_key = service.request("POST", "/tus/", headers=SESSIONS["tus"]).headers["location"]
    service.pass_time(days=6, hours=23)
    assert sent(caller, "google", url).is_success
    assert sent(caller, "tus", by_key).is_success


@pytest.mark.parametrize("protocol", SESSIONS)
def test_what_has_failed_is_completed_by_no_key_and_by_no_fresh_url(caller: Caller, protocol: str) -> None:
    ticket, url = begun(caller, protocol)
    upload_id = url.partition("/u/")[2].partition("/")[0]
    native, headers = f"/api/uploads/{upload_id}", {"user-id": "ada"}
    part = {**BYTES[protocol], "Content-Range": "bytes 0-5/*"}
    if protocol == "google":
        assert caller.service.request("PUT", url, key=None, headers={"Content-Range": "bytes 0-5/*"}, content=b"abcdef")
    else:
        part.pop("Content-Range")
        part["Upload-Complete"] = "?0"
        caller.service.request("PATCH", url, key=None, headers=part, content=b"abc")
    caller.service.pass_time(minutes=10)
    assert caller.status(ticket)["processing_status"] == "FAILED"
    for body in ({}, {"parts": [{"part_number": 1, "etag": "x"}]}):
        assert not caller.service.request("POST", f"{native}/complete", headers=headers, json=body).is_success
    fresh = caller.service.request("POST", f"{native}/urls", headers=headers)
    if fresh.is_success:
        answer = caller.service.request("PUT", fresh.json()["url"], key=None, content=b"abcdef")
        assert answer.status_code == 403
    caller.service.process()
    assert caller.status(ticket)["processing_status"] == "FAILED"


def test_blocks_and_parts_of_what_has_failed_make_no_file(caller: Caller) -> None:
    ticket = caller.ask()
    url, request = ticket["file_url"], caller.service.request
    upload_id = url.partition("/u/")[2].partition("/")[0]
    begun_parts = request("POST", f"{url}&uploads=", key=None).text
    name = begun_parts.partition("<UploadId>")[2].partition("<")[0]
    assert request("PUT", f"{url}&uploadId={name}&partNumber=1", key=None, content=b"abc").is_success
    caller.service.pass_time(minutes=10)
    assert caller.status(ticket)["processing_status"] == "FAILED"
    done = request("POST", f"/api/uploads/{upload_id}/complete", headers={"user-id": "ada"})
    assert (done.status_code, done.json()["code"]) == (410, "gone")
    assert caller.status(ticket)["processing_status"] == "FAILED"
