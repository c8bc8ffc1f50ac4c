"""A download URL as Azure's clients read it: their range header, their digests, their errors; others see none of it."""

from __future__ import annotations

import os

import httpx
import pytest

from contract.edge import fetch
from contract.workspace import Place
from wire.asking import send
from wire.blob import VERSION, ask, md5_of, put_blob, put_block, put_list

CONTENT = os.urandom(300_000)


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


@pytest.fixture
def url(place: Place) -> str:
    place.put("a.bin", CONTENT)
    return str(place.get("a.bin")["download"])


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers.get("x-ms-error-code")) == (status, code), answer.text
    assert answer.headers["content-security-policy"]
    if answer.request.method != "HEAD":
        assert f"<Code>{code}</Code>" in answer.text


def test_a_blob_is_served_with_its_properties(url: str) -> None:
    for method, body in (("GET", CONTENT), ("HEAD", b"")):
        answer = ask(url, method, x_ms_client_request_id="mine")
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert answer.headers["content-md5"] == md5_of(CONTENT)
        assert answer.headers["x-ms-blob-type"] == "BlockBlob"
        assert answer.headers["x-ms-version"] == VERSION["x-ms-version"]
        assert answer.headers["x-ms-client-request-id"] == "mine"
        assert answer.headers["x-ms-creation-time"] == answer.headers["last-modified"]
        assert answer.headers["accept-ranges"] == "bytes"


def test_azures_range_header_wins(url: str) -> None:
    answer = ask(url, "GET", x_ms_range="bytes=10-19", Range="bytes=0-0")
    assert (answer.status_code, answer.content) == (206, CONTENT[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    assert "content-md5" not in answer.headers
    assert answer.headers["x-ms-blob-content-md5"] == md5_of(CONTENT)


def test_a_first_range_that_goes_beyond_the_end_is_still_a_range(url: str) -> None:
    """Azure's client learns from it how large the blob is."""
    answer = ask(url, "GET", x_ms_range="bytes=0-33554431")
    assert (answer.status_code, answer.content) == (206, CONTENT)
    assert answer.headers["content-range"] == f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"


def test_an_open_range_is_served_to_its_end(url: str) -> None:
    answer = ask(url, "GET", x_ms_range="bytes=299990-")
    assert (answer.status_code, answer.content) == (206, CONTENT[299_990:])


def test_the_md5_of_a_range_is_told_where_it_is_asked_for(url: str) -> None:
    answer = ask(url, "GET", x_ms_range="bytes=10-19", x_ms_range_get_content_md5="true")
    assert (answer.status_code, answer.content) == (206, CONTENT[10:20])
    assert answer.headers["content-md5"] == md5_of(CONTENT[10:20])


def test_the_md5_of_a_long_range_is_not_told(place: Place) -> None:
    put_blob(place.ask("large.bin")["upload"], b"x" * (4 * 1024**2 + 1))
    url = place.get("large.bin")["download"]
    longest = ask(url, "GET", x_ms_range="bytes=0-4194303", x_ms_range_get_content_md5="true")
    assert longest.headers["content-md5"] == md5_of(b"x" * 4 * 1024**2)
    refused(ask(url, "GET", x_ms_range="bytes=0-4194304", x_ms_range_get_content_md5="true"), 400, "OutOfRangeInput")


def test_no_range_lies_in_an_empty_blob_but_all_of_it_can_be_had(place: Place) -> None:
    put_blob(place.ask("empty.bin")["upload"], b"")
    url = place.get("empty.bin")["download"]
    answer = ask(url, "GET", x_ms_range="bytes=0-33554431")
    refused(answer, 416, "InvalidRange")
    assert answer.headers["content-range"] == "bytes */0"
    whole = ask(url, "GET")
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")


def test_a_range_outside_the_blob_is_refused(url: str) -> None:
    refused(ask(url, "GET", x_ms_range="bytes=300000-300001"), 416, "InvalidRange")


def test_conditions_are_held_against_the_version(url: str) -> None:
    etag = ask(url, "HEAD").headers["etag"]
    assert ask(url, "GET", If_Match=etag, x_ms_range="bytes=0-1").content == CONTENT[:2]
    refused(ask(url, "GET", If_Match='"other"', x_ms_range="bytes=0-1"), 412, "ConditionNotMet")
    refused(ask(url, "HEAD", If_Match='"other"'), 412, "ConditionNotMet")
    unchanged = ask(url, "GET", If_None_Match=etag)
    assert (unchanged.status_code, unchanged.headers["x-ms-error-code"]) == (304, "ConditionNotMet")


def test_the_md5_of_blocks_is_told_where_it_was_sent_and_verified(place: Place) -> None:
    for name, headers, told in (
        ("with.bin", {"x_ms_blob_content_md5": md5_of(b"onetwo")}, md5_of(b"onetwo")),
        ("without.bin", {}, None),
    ):
        upload = place.ask(name)["upload"]
        put_block(upload, "a", b"one")
        put_block(upload, "b", b"two")
        assert put_list(upload, "a", "b", **headers).status_code == 201
        answer = ask(place.get(name)["download"], "GET")
        assert (answer.content, answer.headers.get("content-md5")) == (b"onetwo", told)


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("&comp=blocklist", {}, "InvalidQueryParameterValue"),
        ("&snapshot=2026-11-21T12:00:00Z", {}, "InvalidQueryParameterValue"),
        ("&versionid=1", {}, "InvalidQueryParameterValue"),
        ("", {"x-ms-structured-body": "XSM/1.0; properties=crc64"}, "UnsupportedHeader"),
        ("", {"x-ms-encryption-key": "AAAA"}, "UnsupportedHeader"),
    ],
)
def test_what_would_be_something_else_than_the_bytes_is_refused(
    url: str, query: str, headers: dict[str, str], code: str
) -> None:
    refused(send(url + query, method="GET", headers={**VERSION, **headers}), 400, code)


def test_the_right_to_read_is_none_to_write(url: str) -> None:
    assert put_blob(url, b"bad").status_code in (403, 404, 405)
    assert ask(url, "DELETE").status_code in (403, 404, 405)
    assert fetch(url).content == CONTENT


def test_a_changed_url_is_refused_in_azures_words(url: str) -> None:
    refused(ask(url.replace("sig=", "sig=A"), "GET"), 403, "AuthenticationFailed")


def test_who_speaks_no_azure_is_answered_without_it(url: str) -> None:
    answer = fetch(url, headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (206, CONTENT[:2])
    assert not [name for name in answer.headers if name.startswith("x-ms-")]
    assert fetch(url, headers={"Range": "bytes=300000-"}).headers["content-type"] == "application/problem+json"
