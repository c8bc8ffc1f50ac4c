"""docs/statuses.md says with which status each protocol is refused what: every cell is asked for here."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fileferry.engine.receiving.room import Room
from fileferry.engine.receiving.tickets import Tickets
from fileferry.errors import InsufficientStorage, Unavailable
from unit.service import Service
from wire.tus import BYTES, VERSION

PAGE = Path(__file__).parents[2] / "docs" / "statuses.md"
CONTENT = b"abc"
MD5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
FORM_TYPE = "multipart/form-data; boundary=b"
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--b--\r\n'
COLUMNS = ["tus", "HTTP draft", "Google", "S3 part", "Azure", "form", "plain PUT"]


class Sender:
    """Who holds a ticket's URL, and speaks any of the protocols to it."""

    def __init__(self, service: Service, ticket: dict[str, Any]) -> None:
        self._service = service
        self._url, self._part_url = ticket["url"], f"{ticket['part_url']}&partNumber=1"
        self.ticket = ticket

    def expired(self) -> Sender:
        """Return one whose URL has another signature."""
        changed = {name: self.ticket[name].replace("sp=cw", "sp=rcw") for name in ("url", "part_url")}
        return Sender(self._service, {**self.ticket, **changed})

    def send(self, protocol: str, content: bytes = CONTENT, **wrong: str) -> httpx.Response:
        """Send three bytes; ``wrong`` are headers that say something false of them."""
        said = {name.replace("_", "-"): value for name, value in wrong.items()}
        if protocol == "tus":
            return self._ask("POST", headers={**VERSION, **BYTES, "Upload-Length": "3", **said}, content=content)
        if protocol == "HTTP draft":
            return self._ask("POST", headers={"Upload-Complete": "?1", **said}, content=content)
        if protocol == "Google":
            return self._ask("PUT", headers={"Content-Range": "bytes 0-2/3", **said}, content=content)
        if protocol == "S3 part":
            return self._ask("PUT", self._part_url, headers=said, content=content)
        if protocol == "Azure":
            return self._ask("PUT", headers={"x-ms-blob-type": "BlockBlob", **said}, content=content)
        if protocol == "form":
            body = FORM % content
            return self._ask("POST", headers={"Content-Type": FORM_TYPE, **said}, content=body)
        return self._ask("PUT", headers=said, content=content)

    def ask(self, protocol: str) -> httpx.Response | None:
        """Ask how far it is; None where the protocol has no such question."""
        if protocol == "tus":
            return self._ask("HEAD", headers=VERSION, content=b"")
        if protocol == "HTTP draft":
            return self._ask("HEAD", headers={"Upload-Draft-Interop-Version": "6"}, content=b"")
        if protocol == "Google":
            return self._ask("PUT", headers={"Content-Range": "bytes */*"}, content=b"")
        if protocol == "S3 part":
            return self._ask("GET", self._part_url, content=b"")
        if protocol == "Azure":
            return self._ask("GET", f"{self._url}&comp=blocklist", content=b"")
        return None

    def _ask(self, method: str, url: str | None = None, *, content: bytes = CONTENT, **options: Any) -> httpx.Response:
        return self._service.request(method, url or self._url, key=None, content=content, **options)


@pytest.fixture
def make_sender(tmp_path: Path) -> Iterator[Callable[..., Sender]]:
    """A factory of senders to tickets of their own, all of one service with these settings."""
    made: list[Service] = []

    def make(settings: dict[str, str] | None = None, **promise: Any) -> Sender:
        if not made:
            made.append(Service(tmp_path / "data", **(settings or {})))
        answer = made[0].request("POST", "/api/uploads", json={"name": "a", "parts": True, **promise})
        assert answer.status_code == 201, answer.text
        return Sender(made[0], answer.json())

    yield make
    for service in made:
        service.close()


def row(situation: str) -> list[str]:
    """Return what the page says of a situation, in the order of its columns."""
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert re.split(r" *\| *", table[0].strip("| "))[1:] == COLUMNS
    (found,) = [line for line in table if line.startswith(f"| {situation} |")]
    return re.split(r" *\| *", found.strip("| "))[1:]


def told(answer: httpx.Response | None) -> str:
    """Return a status as the page writes it."""
    return "–" if answer is None else str(answer.status_code)


def wrong_digest(protocol: str) -> dict[str, str]:
    """Return the header by which a protocol's clients promise another digest."""
    sha1 = base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    named = {"tus": {"Upload_Checksum": f"sha1 {sha1}"}, "Google": {"x_goog_hash": f"md5={MD5}"}}
    return named.get(protocol, {"Content_MD5": MD5} if protocol != "HTTP draft" else {"Content_Digest": f"md5=:{MD5}:"})


def test_bytes_are_taken(make_sender: Callable[..., Sender]) -> None:
    assert [told(make_sender().send(name)) for name in COLUMNS] == row("all bytes, in one request")


def test_a_url_that_is_not_valid(make_sender: Callable[..., Sender]) -> None:
    sender = make_sender().expired()
    assert [told(sender.send(name)) for name in COLUMNS] == row("the URL is changed, or over")


def test_more_than_may_come(make_sender: Callable[..., Sender]) -> None:
    sender = make_sender(max_size=2)
    assert [told(sender.send(name)) for name in COLUMNS] == row("more bytes than may come")


def test_bytes_that_are_others_than_was_said(make_sender: Callable[..., Sender]) -> None:
    answers = [make_sender().send(name, **wrong_digest(name)) for name in COLUMNS]
    assert [told(answer) for answer in answers] == row("a digest does not match")


def test_an_upload_that_was_given_up(make_sender: Callable[..., Sender]) -> None:
    found = []
    for name in COLUMNS:
        sender = make_sender()
        assert sender._service.request("DELETE", f"/api/uploads/{sender.ticket['id']}").is_success
        found.append(told(sender.send(name)))
    assert found == row("the upload was given up")


def test_an_upload_that_is_complete(make_sender: Callable[..., Sender]) -> None:
    found = []
    for name in COLUMNS:
        sender = make_sender(auto_complete=True)
        assert sender.send("plain PUT").status_code == 200
        found.append(told(sender.send(name, b"xyz")))
    assert found == row("the upload is complete")


def test_no_space(make_sender: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_room: Room, _size: int = 0) -> None:
        raise InsufficientStorage()

    senders = [make_sender() for _ in COLUMNS]
    monkeypatch.setattr(Room, "refuse_full", refuse)
    answers = [sender.send(name) for sender, name in zip(senders, COLUMNS, strict=True)]
    assert [told(answer) for answer in answers] == row("no space is left")


def test_too_many_requests(make_sender: Callable[..., Sender]) -> None:
    sender = make_sender({"key_requests": "1/360 days"})
    answers = [sender.send(name) for name in COLUMNS]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert [told(answer) for answer in answers] == row("too many requests")


def test_how_far_it_is_with_too_many_requests(make_sender: Callable[..., Sender]) -> None:
    """To be refused this is to lose what was sent: tus-js-client begins at 0."""
    sender = make_sender({"key_requests": "1/360 days"}, size=3)
    answers = [sender.ask(name) for name in COLUMNS]
    assert [told(answer) for answer in answers] == row("how far it is, with too many requests")
    asked = answers[0]
    assert asked is not None
    assert asked.headers["upload-offset"] == "0"
    assert re.search(r"r=0;", asked.headers["ratelimit"])


def test_how_far_it_is_of_a_server_that_cannot_say(
    make_sender: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = make_sender()

    async def fail(*_: object) -> None:
        raise Unavailable(retry_after=7)

    monkeypatch.setattr(Tickets, "at", fail)
    answers = [sender.ask(name) for name in COLUMNS]
    assert {answer.headers["retry-after"] for answer in answers if answer is not None} == {"7"}
    assert [told(answer) for answer in answers] == row("how far it is, of a server that cannot say")
    assert answers[0] is not None
    assert answers[0].headers["tus-resumable"] == "1.0.0"
