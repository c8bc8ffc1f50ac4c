"""Requests of the hot routes get the answers that the framework's long way gives, whichever of the two they take."""

from __future__ import annotations

import importlib
import re
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest

from fileferry.web import problems
from fileferry.web.express import Express
from fileferry.web.framework import Framework
from unit.service import ROOT_KEY, Answer, Service

# Ids, tokens, signatures, numbers of versions, and what of them is in an ETag.
_CHANGING = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z0-9_-]{44}|sig=[^&\"]+|[0-9a-f]{24}|[0-9]{19}|[0-9a-f]{8,}-[0-9a-f]{8}"
)
_DROPPED = (b"x-request-id",)

Asked = tuple[str, bytes, list[tuple[bytes, bytes]], bytes]


def asked(method: str, target: bytes, body: bytes = b"", **headers: str) -> Asked:
    sent = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    if body:
        sent.append((b"content-length", str(len(body)).encode()))
    return method, target, sent, body


FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n--b--\r\n'

SHORT = {
    "an upload": asked("POST", b"/api/upload/a.txt", b"abc"),
    "an upload to a path of folders": asked("PUT", b"/api/upload/d/%C3%A9/a.txt", b"abc"),
    "an upload without a name": asked("POST", b"/api/upload", b"abc"),
    "an upload for its address only": asked("POST", b"/api/upload/a", b"abc", accept="text/plain"),
    "an upload that waits": asked("POST", b"/api/upload/a", b"abc", prefer="wait=1"),
    "an upload with a wrong digest": asked("POST", b"/api/upload/a", b"abc", content_md5="AAAAAAAAAAAAAAAAAAAAAA=="),
    "an upload with a wrong key": asked("POST", b"/api/upload/a", b"abc", x_api_key="ff_nobodys"),
    "an upload with two keys": asked("POST", b"/api/upload/a", b"abc", api_key="ff_other"),
    "an upload for an end user": asked("POST", b"/api/upload/a", b"abc", user_id="ann"),
    "a form": asked("POST", b"/v1/files", FORM, content_type="multipart/form-data; boundary=b"),
    "no form": asked("POST", b"/v1/files", b"abc", content_type="text/plain"),
    "a ticket": asked("POST", b"/api/uploads", b'{"name": "a"}'),
    "a ticket in no JSON": asked("POST", b"/api/uploads", b"{"),
    "no such upload": asked("GET", b"/api/uploads/none"),
    "no such file": asked("GET", b"/api/files/none"),
    "a bad signature": asked("PUT", b"/u/none/a?sig=x", b"abc"),
}
LONG = {
    "a parameter": asked("POST", b"/api/upload/a?expires_in=1h", b"abc"),
    "a parameter that is none": asked("POST", b"/api/upload/a?expire=1h", b"abc"),
    "another method": asked("DELETE", b"/api/upload/a"),
    "another address": asked("GET", b"/nothing"),
    "a host that is none": asked("GET", b"/api/files/none", host="a b"),
    "a path of bytes": asked("POST", b"/api/upload/%FF", b"abc", host="a_b"),
    "slashes at the end": asked("GET", b"/api//files/none/"),
    "options": asked("OPTIONS", b"/u/none/a"),
}


def ask(service: Service, one: Asked) -> Answer:
    method, target, headers, body = one
    return service.ask_raw(method, target, headers, body)


def shown(answer: Answer) -> Any:
    """Return an answer without what differs between two of the same."""
    headers = sorted((name, _CHANGING.sub(b"*", value)) for name, value in answer.headers if name not in _DROPPED)
    return answer.status, headers, _CHANGING.sub(b"*", answer.body)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service for all that is asked here."""
    service = Service(tmp_path_factory.mktemp("express") / "data")
    yield service
    service.close()


@pytest.fixture(scope="module")
def there(shared: Service) -> dict[str, Asked]:
    """What can be asked of a file and of an upload that are there."""
    file = shared.request("POST", "/api/upload/here.txt", content=b"abc").json()
    ticket = shared.request("POST", "/api/uploads", json={"name": "a.bin"}).json()
    public = urlsplit(file["url"]).path.encode()
    signed = urlsplit(ticket["url"])
    address = f"{signed.path}?{signed.query}".encode()
    return {
        "a file": asked("GET", f"/api/files/{file['id']}".encode()),
        "a public file": asked("GET", public),
        "its head": asked("HEAD", public),
        "a part of it": asked("GET", public, range="bytes=1-1"),
        "a part that it has not": asked("GET", public, range="bytes=9-"),
        "it, if it changed": asked("GET", public, if_none_match=file["etag"]),
        "it, to be saved": asked("GET", public + b"?download=1"),
        "a public file that is none": asked("GET", public[:-1].replace(b"/f/", b"/f/A")),
        "a signed URL that is none": asked("GET", f"/d/{file['id']}/a?sig=x".encode()),
        "bytes for a signed URL": asked("PUT", address, b"abc"),
        "bytes from a browser": asked("PUT", address, b"abc", origin="https://a.example"),
        "a blob": asked("PUT", address, b"abc", x_ms_blob_type="BlockBlob"),
        "an upload's state": asked("GET", f"/api/uploads/{ticket['id']}".encode()),
        "confirming": asked("POST", f"/api/uploads/{ticket['id']}/complete".encode()),
        "what became of it": asked("GET", f"/api/uploads/{ticket['id']}".encode()),
    }


@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_both_ways_give_the_same_answer(shared: Service, name: str) -> None:
    assert_same(shared, {**SHORT, **LONG}[name], is_short=name in SHORT)


def test_both_ways_give_the_same_answer_of_what_is_there(shared: Service, there: dict[str, Asked]) -> None:
    for name, one in there.items():
        print(name)
        assert_same(shared, one, is_short=True)


def assert_same(shared: Service, one: Asked, *, is_short: bool) -> None:
    """Fail unless both ways give the same answer, and the short one is taken where it is to be."""
    ways: list[Any] = []
    find = Express._way

    def found(self: Express, scope: Any) -> Any:
        ways.append(find(self, scope))
        return ways[-1]

    ask(shared, one)  # a path that is taken answers other than one that is not
    with mock.patch.object(Express, "_way", found):
        short = ask(shared, one)
    with mock.patch.object(Express, "_way", return_value=None):
        long = ask(shared, one)
    assert shown(short) == shown(long)
    assert any(ways) == is_short


def test_a_fault_of_ours_is_told_as_one(shared: Service) -> None:
    with mock.patch("fileferry.engine.receiving.tickets.Tickets.get", side_effect=RuntimeError("a fault")):
        answer = ask(shared, asked("GET", b"/api/uploads/none", x_api_key=ROOT_KEY))
    assert answer.status == 500
    assert b"a fault" not in answer.body


def test_no_other_librarys_errors_are_answered_even_where_it_is_loaded() -> None:
    importlib.import_module("starlette.exceptions")
    handlers = {Exception: problems.render}
    assert Framework(route_handlers=[], exception_handlers=handlers).exception_handlers == {Exception: problems.render}
