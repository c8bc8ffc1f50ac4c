"""Files of the signed flow as time passes: URLs that end, transient files, and what processing has made of them so far."""

from __future__ import annotations

from collections.abc import Callable
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


def test_a_url_is_good_for_ten_minutes(caller: Caller) -> None:
    ticket = caller.ask()
    caller.service.pass_time(seconds=599)
    assert caller.status(ticket)["processing_status"] == "PENDING"
    assert caller.put(ticket).status_code == 200
    late = caller.ask()
    caller.service.pass_time(seconds=600)
    assert caller.put(late).status_code == 403
    assert caller.status(late) == {"processing_status": "FAILED", "processing_steps": [], "warnings": FINE}


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


def test_a_file_that_was_rejected_tells_so_for_a_week(caller: Caller) -> None:
    ticket = caller.ask()
    caller.put(ticket, b"%PDF-1.7\n")
    caller.service.process()
    caller.service.pass_time(days=6)
    assert caller.status(ticket)["processing_status"] == "FAILED"
    caller.service.pass_time(days=1)
    assert caller.call("GET", f"/{ticket['file_id']}/status").status_code == 404
