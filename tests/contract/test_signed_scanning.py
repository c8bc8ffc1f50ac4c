"""The signed flow before a real clamd: what end users are told of files that were scanned, wait for it, or cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from contract.edge import eventually, fetch
from contract.signed import CONFLICT, FINE, PDF, EndUser, office, refusal
from fileferry.scanners import samples
from support.clamd import EICAR, MARKER, LiveClamd, MakeClamd
from support.encrypted_zip import encrypted_zip
from support.live_server import LiveServer, MakeServer

pytestmark = pytest.mark.service("clamd")

TYPES = "application/pdf,text/plain,text/csv,application/zip"


@pytest.fixture
def scanning(make_server: MakeServer, clamd: LiveClamd) -> LiveServer:
    """A server that scans, and takes archives too."""
    return make_server(clamd=clamd.tcp, clamd_max_size="1MiB", end_user_types=TYPES)


@pytest.fixture
def user(scanning: LiveServer) -> Iterator[EndUser]:
    with scanning.client() as http:
        yield EndUser(http)


def scanned(user: EndUser, file_id: str) -> tuple[str, bool]:
    """Return what a file has come to, and whether anything was found; there must have been one scan, and it must be over."""
    status = user.settled(file_id)
    (step,) = status["processing_steps"]
    assert step.keys() == {"status", "createdAt", "endedAt"}
    assert step["status"] == "ANTIVIRUS_SCANNING"
    assert datetime.fromisoformat(step["createdAt"]) <= datetime.fromisoformat(step["endedAt"])
    assert status["warnings"].keys() == FINE.keys()
    return status["processing_status"], status["warnings"]["infected"]


@pytest.mark.parametrize(("name", "content"), [("a.pdf", PDF), ("a.csv", b"a,b\n1,2\n"), ("a.txt", b"harmless\n")])
def test_a_clean_file_was_scanned_and_is_served(user: EndUser, name: str, content: bytes) -> None:
    file_id = user.sends(content, name)
    assert scanned(user, file_id) == ("PROCESSED", False)
    assert fetch(user.shows(file_id)["url"]).content == content
    assert user.attaches(file_id, message_id="m").status_code == 200


@pytest.mark.parametrize(("name", "content"), [("a.txt", EICAR), ("a.pdf", PDF + MARKER)])
def test_an_infected_file_is_never_served(user: EndUser, name: str, content: bytes) -> None:
    file_id = user.sends(content, name)
    assert scanned(user, file_id) == ("FAILED", True)
    shown = user.shows(file_id)
    assert (shown["reason"], shown["url"]) == ("infected", None)
    refused = user.attaches(file_id, thread_id="t")
    assert refusal(refused) == CONFLICT
    assert user.page()["total"] == 0
    assert user.http.get(f"/api/files/{file_id}/content").status_code == 410


@pytest.mark.parametrize(
    ("content", "name"),
    [(encrypted_zip("a.txt", EICAR, b"secret"), "a.zip"), (samples.zipped(samples.zstandard(b"harmless")), "b.zip")],
    ids=["encrypted", "not opened"],
)
def test_what_cannot_be_looked_into_fails(user: EndUser, content: bytes, name: str) -> None:
    file_id = user.sends(content, name)
    assert scanned(user, file_id) == ("FAILED", False)
    assert user.shows(file_id)["reason"] == "not_scanned"


def test_what_is_not_scanned_tells_of_no_scan(user: EndUser) -> None:
    disguised, empty = user.sends(office("docx")), user.sends(b"")
    reasons = {"type_not_allowed": disguised, "empty": empty}
    for reason, file_id in reasons.items():
        status = user.settled(file_id)
        assert (status["processing_status"], status["processing_steps"]) == ("FAILED", [])
        assert user.shows(file_id)["reason"] == reason


def test_a_file_waits_for_a_scanner_that_is_away(make_server: MakeServer, make_clamd: MakeClamd) -> None:
    clamd = make_clamd()
    with make_server(clamd=clamd.unix).client() as http:
        user = EndUser(http)
        clamd.stop()
        file_id = user.sends()
        status = user.status(file_id)
        assert status["processing_status"] == "PROCESSING"
        (step,) = status["processing_steps"]
        assert step["endedAt"] is None
        assert refusal(user.attaches(file_id, message_id="m")) == CONFLICT
        clamd.start()
        assert scanned(user, file_id) == ("PROCESSED", False)


def test_a_file_that_is_found_infected_late_is_taken_back(make_server: MakeServer, make_clamd: MakeClamd) -> None:
    clamd = make_clamd()
    # In real time: a server in a process of its own has a clock of its own.
    with make_server(clamd=clamd.tcp, rescan_interval="1s", sweep_interval="1s").client() as http:
        user = EndUser(http)
        file_id = user.upload(b"nothing is known of this yet\n", "a.txt")
        user.attaches(file_id, message_id="m")
        url = user.shows(file_id)["url"]
        clamd.add_signature("Test.Late", b"nothing is known of this yet")
        eventually(lambda: user.status(file_id)["processing_status"] == "FAILED", within=30)
        assert user.status(file_id)["warnings"]["infected"]
        assert fetch(url).status_code == httpx.codes.GONE
        assert user.page()["total"] == 0
