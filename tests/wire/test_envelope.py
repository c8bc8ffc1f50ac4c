"""A file put inside a multipart form is stored, and not the form; what is no such form is stored as it came."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests

from contract.edge import MULTIPART, exchange, file_part, form, part
from contract.workspace import Place
from support.live_server import LiveServer
from wire.asking import ask_one, confirm, confirmed, open_ticket, send
from wire.blob import md5_of

NAME = "a.bin"
BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


def put(url: str, body: Any, **headers: str) -> httpx.Response:
    """PUT a hand-made form."""
    return send(url, body, headers={"Content-Type": MULTIPART, **{k.replace("_", "-"): v for k, v in headers.items()}})


def bytewise(body: bytes, size: int = 1) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("headers", [{}, BLOCK_BLOB], ids=["plain", "azure"])
@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_what_requests_wraps_is_unwrapped(place: Place, headers: dict[str, str], size: int) -> None:
    content = os.urandom(size)
    ticket = place.ask(NAME)
    answer = requests.put(
        ticket["upload"],
        files={"file": ("other name.pdf", io.BytesIO(content))},
        headers=headers,
        timeout=30,
        proxies={"http": ""},
    )
    assert answer.status_code == (201 if headers else 200), answer.text
    if not headers:
        assert (answer.json()["unwrapped"], answer.json()["size"]) == ("multipart/form-data", size)
    else:
        assert answer.headers["Content-MD5"] == md5_of(content)
    assert place.content(NAME) == content
    assert place.get(NAME)["name"] == NAME


def test_a_form_is_unwrapped_however_it_is_cut(place: Place) -> None:
    content = b"\r\n--edge\r\n--edge-7f2\r\n" * 3
    body = form(part('name="note"', b"before"), file_part(content), part('name="after"', b"x"))
    for size in (1, 7, 64):
        assert put(place.ask(NAME)["upload"], bytewise(body, size)).status_code == 200
        assert place.content(NAME) == content


def test_the_type_of_the_part_is_the_type_of_the_file(place: Place) -> None:
    body = form(file_part(b"%PDF-1.7 ", more="\r\nContent-Type: application/pdf"))
    put(place.ask("report")["upload"], body, x_ms_blob_type="BlockBlob")
    answer = httpx.head(place.get("report")["download"], trust_env=False)
    assert answer.headers["content-type"] == "application/pdf"


@pytest.mark.parametrize(
    "name",
    [
        b'filename="r\xc3\xa9sum\xc3\xa9.pdf"',
        b'filename="r\xe9sum\xe9.pdf"',
        b"filename*=utf-8''r%C3%A9sum%C3%A9.pdf",
        b'filename=""',
    ],
    ids=["utf-8", "latin-1", "extended", "empty"],
)
def test_however_the_file_is_called_in_the_form_it_is_unwrapped(place: Place, name: bytes) -> None:
    body = form(part(b'name="file"; ' + name, b"one"))
    assert put(place.ask(NAME)["upload"], body).json()["unwrapped"]
    assert place.content(NAME) == b"one"


def test_what_comes_before_a_form_is_no_part_of_it(place: Place) -> None:
    assert put(place.ask(NAME)["upload"], b"preamble\r\n" + form(file_part(b"one"))).json()["unwrapped"]
    assert place.content(NAME) == b"one"


@pytest.mark.parametrize("body", [b"", b"--edge-7f2", b"no form at all"], ids=["empty", "cut short", "none"])
def test_what_is_no_form_is_stored_as_it_came(place: Place, body: bytes) -> None:
    for content in (body, bytewise(body, 1000)):
        answer = put(place.ask(NAME)["upload"], content)
        assert (answer.status_code, "unwrapped" in answer.json()) == (200, False)
        assert place.content(NAME) == body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(file_part(b"one"), file_part(b"two")), "too_many_files"),
        (form(file_part(b"one"))[:-10], "truncated_body"),
        (form(file_part(b"one"), b"--edge-7f2c\r\nNonsense\r\n\r\n"), "bad_request"),
        (form(file_part(b"one"), part('name="long"', b"x" * 70_000)), "bad_request"),
        (form(file_part(b"one"), *[part('name="f"', b"x")] * 20), "bad_request"),
        (b"--edge-7f2c\r\nNonsense\r\n\r\none\r\n--edge-7f2c--\r\n", "bad_request"),
        (form(part('name="long"', b"x" * 70_000), file_part(b"one")), "bad_request"),
        (form(part('name="only a field"', b"one")), "missing_file"),
        (form(), "missing_file"),
        (form(file_part(b"", filename="")), "missing_file"),
    ],
    ids=[
        "two files",
        "not closed",
        "bad header",
        "long field",
        "many fields",
        "nonsense",
        "file far behind",
        "fields only",
        "no parts",
        "none chosen",
    ],
)
def test_a_form_that_is_not_as_it_should_be_is_refused_and_nothing_of_it_kept(
    place: Place, body: bytes, code: str
) -> None:
    ticket = place.ask(NAME)
    answer = put(ticket["upload"], body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert put(ticket["upload"], body, x_ms_blob_type="BlockBlob").headers["x-ms-error-code"] == "InvalidInput"
    assert place.http.get(place.at(NAME)).status_code == 404
    assert send(ticket["upload"], b"raw").status_code == 200
    assert place.content(NAME) == b"raw"


def test_the_size_that_was_promised_decides(http: httpx.Client) -> None:
    body = form(file_part(b"one"))
    for size, stored in ((len(body), body), (3, b"one")):
        ticket = ask_one(http, size)
        assert put(ticket["url"], body).status_code == 200
        assert confirmed(http, ticket) == stored
    ticket = ask_one(http, 4)
    assert put(ticket["url"], body).json()["code"] == "size_mismatch"
    assert confirm(http, ticket["id"]).status_code == 409


def test_a_multipart_document_that_was_promised_stays_one(http: httpx.Client, place: Place) -> None:
    body = form(file_part(b"one"))
    ticket = open_ticket(http, content_type="multipart/form-data")
    assert put(ticket["url"], body).json()["size"] == len(body)
    put(place.ask(NAME)["upload"], body, x_ms_blob_type="BlockBlob", x_ms_blob_content_type=MULTIPART)
    assert place.content(NAME) == body


def test_a_type_that_was_promised_of_the_file_is_no_hindrance(http: httpx.Client) -> None:
    ticket = ask_one(http, 9, name="a.pdf", contentType="application/pdf")
    assert put(ticket["url"], form(file_part(b"%PDF-1.7 "))).status_code == 200
    assert confirmed(http, ticket) == b"%PDF-1.7 "


def test_a_digest_sent_along_is_that_of_the_form(place: Place) -> None:
    body = form(file_part(b"one"))
    ticket = place.ask(NAME)
    assert put(ticket["upload"], body, Content_MD5=md5_of(b"one")).json()["code"] == "digest_mismatch"
    assert put(ticket["upload"], body, Content_MD5=md5_of(body)).status_code == 200
    assert place.content(NAME) == b"one"


def test_a_file_in_a_form_may_be_no_larger_than_one_without(place: Place, http: httpx.Client) -> None:
    ticket = open_ticket(http, max_size=10)
    assert put(ticket["url"], form(file_part(b"x" * 11))).json()["code"] == "file_too_large"
    assert put(ticket["url"], form(file_part(b"x" * 10))).json()["size"] == 10


def test_a_block_of_a_document_that_was_promised_may_be_a_form(http: httpx.Client) -> None:
    body = form(file_part(b"one"))
    ticket = open_ticket(http, content_type="multipart/form-data")
    assert put(f"{ticket['url']}&comp=block&blockid=YQ%3D%3D", body).status_code == 201
    listed = b"<BlockList><Latest>YQ==</Latest></BlockList>"
    assert send(f"{ticket['url']}&comp=blocklist", listed).status_code == 201
    assert http.post(f"/api/uploads/{ticket['id']}/complete").json()["size"] == len(body)


def test_a_form_that_breaks_off_leaves_nothing(place: Place, server: LiveServer) -> None:
    ticket = place.ask(NAME)
    head = f"PUT {ticket['upload'].removeprefix(server.url)} HTTP/1.1\r\nHost: x\r\nContent-Type: {MULTIPART}\r\n"
    body = form(file_part(b"x" * 500_000))[:400_000]
    exchange(server, f"{head}Content-Length: 1000000\r\n\r\n".encode() + body)
    assert place.http.get(place.at(NAME)).status_code == 404
