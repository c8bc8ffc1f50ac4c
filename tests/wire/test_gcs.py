"""A Google resumable session on a signed URL: every form of its requests gets the answer that its clients insist on."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from wire.asking import etag_of, finish, send
from wire.google_session import ask, crc32c, finished, initiate, md5, persisted, piece, put, refused
from wire.test_signed_url import query_of, with_query
from wire.tus import is_there, stored, ticket

CHUNK = 256 * 1024
CONTENT = os.urandom(2 * CHUNK + 777)
SIZE = len(CONTENT)


@pytest.fixture
def asked(http: httpx.Client) -> dict[str, Any]:
    return ticket(http)


@pytest.fixture
def url(asked: dict[str, Any]) -> str:
    return str(asked["url"])


def chunked(content: bytes) -> Iterator[bytes]:
    """Give a body that is sent without a length."""
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


# What initiates, and with which status its kind is answered.
INITIATIONS: dict[str, tuple[str, dict[str, str], bytes, int]] = {
    "signed url": ("", {"x-goog-resumable": "start", "Content-Type": "application/pdf"}, b"", 201),
    "signed url with json": ("", {"x-goog-resumable": "start", "Content-Type": "application/json"}, b"{}", 201),
    "type alone": ("", {"x-upload-content-type": "application/pdf"}, b"", 200),
    "length alone": ("", {"x-upload-content-length": str(SIZE)}, b"", 200),
    "json api": ("&uploadType=resumable&name=o", {"Content-Type": "application/json"}, b'{"name":"o"}', 200),
    "json api without a body": ("&uploadType=resumable", {}, b"", 200),
}


@pytest.mark.parametrize("initiation", INITIATIONS.values(), ids=INITIATIONS)
def test_initiating_gives_a_session(
    http: httpx.Client, asked: dict[str, Any], url: str, initiation: tuple[str, dict[str, str], bytes, int]
) -> None:
    query, headers, body, status = initiation
    answer = send(url + query, body, "POST", headers=headers)
    assert (answer.status_code, answer.content) == (status, b"")
    location = answer.headers["location"]
    assert persisted(piece(location, CONTENT, 0, CHUNK, SIZE)) == CHUNK
    finished(piece(location, CONTENT, CHUNK, SIZE, SIZE), CONTENT)
    assert stored(http, asked) == CONTENT


# The requests of one session on CONTENT: what follows `bytes` in Content-Range, the bytes sent, and how many are there then;
# None is the end.
Step = tuple[str, slice, int | None]
FIRST, SECOND, LAST = slice(0, CHUNK), slice(CHUNK, 2 * CHUNK), slice(2 * CHUNK, SIZE)
NOTHING = slice(0, 0)
SESSIONS: dict[str, list[Step]] = {
    "whole": [(f"0-{SIZE - 1}/{SIZE}", slice(SIZE), None)],
    "known total": [
        (f"0-{CHUNK - 1}/{SIZE}", FIRST, CHUNK),
        (f"{CHUNK}-{2 * CHUNK - 1}/{SIZE}", SECOND, 2 * CHUNK),
        (f"{2 * CHUNK}-{SIZE - 1}/{SIZE}", LAST, None),
    ],
    "unknown total": [
        (f"0-{CHUNK - 1}/*", FIRST, CHUNK),
        (f"{CHUNK}-{2 * CHUNK - 1}/*", SECOND, 2 * CHUNK),
        (f"{2 * CHUNK}-{SIZE - 1}/{SIZE}", LAST, None),
    ],
    "unknown total, told by a request without bytes": [
        (f"0-{2 * CHUNK - 1}/*", slice(0, 2 * CHUNK), 2 * CHUNK),
        (f"{2 * CHUNK}-{SIZE - 1}/*", LAST, SIZE),
        (f"*/{SIZE}", NOTHING, None),
    ],
    "unknown total, told by an empty piece": [
        (f"0-{SIZE - 1}/*", slice(SIZE), SIZE),
        (f"{SIZE}-{SIZE - 1}/{SIZE}", NOTHING, None),
    ],
    "open-ended": [("0-*/*", slice(SIZE), None)],
    "open-ended after a piece": [(f"0-{CHUNK - 1}/*", FIRST, CHUNK), (f"{CHUNK}-*/*", slice(CHUNK, SIZE), None)],
    "open-ended with a total": [(f"0-*/{SIZE}", slice(SIZE), None)],
    "open-ended with a total, in two": [
        (f"0-*/{SIZE}", FIRST, CHUNK),
        (f"{CHUNK}-*/{SIZE}", slice(CHUNK, SIZE), None),
    ],
    "questions in between": [
        ("*/*", NOTHING, 0),
        (f"*/{SIZE}", NOTHING, 0),
        (f"0-{CHUNK - 1}/{SIZE}", FIRST, CHUNK),
        ("*/*", NOTHING, CHUNK),
        (f"*/{SIZE}", NOTHING, CHUNK),
        (f"{CHUNK}-{SIZE - 1}/{SIZE}", slice(CHUNK, SIZE), None),
    ],
    "a resent piece": [
        (f"0-{CHUNK - 1}/{SIZE}", FIRST, CHUNK),
        (f"0-{CHUNK - 1}/{SIZE}", FIRST, CHUNK),
        (f"{CHUNK}-{SIZE - 1}/{SIZE}", slice(CHUNK, SIZE), None),
    ],
    "pieces that overlap": [
        (f"0-{CHUNK - 1}/{SIZE}", FIRST, CHUNK),
        (f"10-{2 * CHUNK - 1}/{SIZE}", slice(10, 2 * CHUNK), 2 * CHUNK),
        (f"0-{SIZE - 1}/{SIZE}", slice(SIZE), None),
    ],
    "pieces of any size": [
        ("0-0/*", slice(0, 1), 1),
        ("1-1000/*", slice(1, 1001), 1001),
        (f"1001-{SIZE - 1}/{SIZE}", slice(1001, SIZE), None),
    ],
}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("with_length", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("steps", SESSIONS.values(), ids=SESSIONS)
def test_a_session_goes_by_its_content_ranges(
    http: httpx.Client, asked: dict[str, Any], url: str, steps: list[Step], with_length: bool, method: str
) -> None:
    for content_range, sent, there in steps:
        assert not is_there(http, asked)
        body = CONTENT[sent]
        answer = put(url, content_range, body if with_length or not body else chunked(body), method)
        if there is None:
            finished(answer, CONTENT)
        else:
            assert persisted(answer) == there
    assert stored(http, asked) == CONTENT


@pytest.mark.parametrize("content_range", ["*/0", "0-*/*", "0-*/0", "0--1/0", "0--1/*"])
def test_an_empty_file(http: httpx.Client, asked: dict[str, Any], url: str, content_range: str) -> None:
    answer = put(url, content_range)
    if content_range.endswith("-1/*"):
        assert persisted(answer) == 0
        answer = put(url, "*/0")
    finished(answer, b"")
    assert stored(http, asked) == b""


def test_the_object_resource_says_what_clients_read(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = initiate(url, x_upload_content_type="application/pdf").headers["location"]
    found = finished(put(location, "0-7/8", b"%PDF-1.7"), b"%PDF-1.7")
    file = http.get(f"/api/files/{asked['file_id']}").json()
    assert found["kind"] == "storage#object"
    assert (found["name"], found["bucket"]) == (file["name"], file["workspace_id"])
    assert found["id"] == f"{found['bucket']}/{found['name']}/{found['generation']}"
    assert found["contentType"] == file["content_type"] == "application/pdf"
    assert found["generation"].isdigit()
    assert found["metageneration"] == "1"
    assert found["timeCreated"] == found["updated"] == file["created_at"]
    assert http.get(found["selfLink"]).json()["id"] == asked["file_id"]
    assert http.get(found["mediaLink"]).content == b"%PDF-1.7"
    assert send(found["mediaLink"], method="GET").status_code == 401


def test_308_is_told_to_those_who_cannot_take_it_as_200(url: str) -> None:
    """The client for Go sends this header with every request."""
    for answer, there in (
        (piece(url, CONTENT, 0, CHUNK, SIZE, X_GUploader_No_308="yes"), CHUNK),
        (ask(url, X_GUploader_No_308="yes"), CHUNK),
    ):
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-http-status-code-override"] == "308"
        assert answer.headers["range"] == f"bytes=0-{there - 1}"
    answer = piece(url, CONTENT, CHUNK, SIZE, SIZE, X_GUploader_No_308="yes")
    assert "x-http-status-code-override" not in answer.headers
    finished(answer, CONTENT)


def test_what_is_complete_answers_as_it_did(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    """The last answer may have been lost: whatever a client then tries must bring it again."""
    piece(url, CONTENT, 0, CHUNK, SIZE)
    first = finished(piece(url, CONTENT, CHUNK, SIZE, SIZE), CONTENT)
    for answer in (
        piece(url, CONTENT, CHUNK, SIZE, SIZE),
        piece(url, CONTENT, CHUNK, SIZE, SIZE, x_goog_hash=f"crc32c={crc32c(CONTENT)}"),
        piece(url, CONTENT, 0, CHUNK, SIZE),
        piece(url, CONTENT, 0, SIZE, SIZE),
        put(url, "0-*/*", chunked(CONTENT)),
        put(url, f"{CHUNK}-*/*", CONTENT[CHUNK:]),
        ask(url),
        put(url, f"*/{SIZE}"),
    ):
        assert finished(answer, CONTENT) == first
    assert stored(http, asked) == CONTENT


def test_what_is_complete_takes_nothing_else(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    finished(put(url, "0-4/5", b"first"), b"first")
    for answer in (
        put(url, "0-4/5", b"other"),
        put(url, "0-4/5", b"first", x_goog_hash=f"crc32c={crc32c(b'first')},md5={md5(b'first')}"[:-4] + "AA=="),
        put(url, "0-5/6", b"longer"),
        put(url, "5-9/10", b"later"),
        put(url, "0-*/*", b"firs"),
        put(url, "0-*/*", chunked(b"first and more")),
        initiate(url),
    ):
        assert answer.status_code in (400, 409)
    assert stored(http, asked) == b"first"


def test_a_ticket_that_waits_for_its_call_is_no_file_before(http: httpx.Client) -> None:
    asked = ticket(http, size=4, auto_complete=False)
    first = finished(put(asked["url"], "0-3/4", b"four"), b"four")
    assert finished(ask(asked["url"]), b"four") == first
    assert not is_there(http, asked)
    assert finish(http, asked).status_code == 200
    assert stored(http, asked) == b"four"


def test_initiating_again_starts_anew(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = initiate(url).headers["location"]
    assert persisted(put(location, "0-4/*", b"wrong")) == 5
    location = initiate(url).headers["location"]
    assert persisted(ask(location)) == 0
    finished(put(location, "0-4/5", b"right"), b"right")
    assert stored(http, asked) == b"right"


def test_the_type_is_the_one_that_was_said_first(http: httpx.Client) -> None:
    said = {"x_upload_content_type": "application/pdf"}
    as_json = {"Content_Type": "application/json; charset=UTF-8"}
    resource = json.dumps({"contentType": "application/pdf"}).encode()
    for promise, begun, sent in (
        ({"content_type": "application/pdf"}, {}, {}),
        ({}, said, {}),
        ({}, {"content": resource, **as_json}, {}),
        ({}, said, {"Content_Type": "application/octet-stream"}),
        ({}, {}, {"Content_Type": "application/pdf"}),
    ):
        asked = ticket(http, name="report", **promise)
        location = initiate(asked["url"], **begun).headers["location"]
        answer = put(location, "0-7/8", b"%PDF-1.7", **sent)
        assert finished(answer, b"%PDF-1.7")["contentType"] == "application/pdf"
    refused(initiate(ticket(http, content_type="image/png")["url"], **said), 415, "unsupported_type")


HASHES = {"crc32c": crc32c, "md5": md5}


@pytest.mark.parametrize("name", HASHES)
def test_a_hash_on_the_last_piece_is_of_the_whole(
    http: httpx.Client, asked: dict[str, Any], url: str, name: str
) -> None:
    right, wrong = (f"{name}={HASHES[name](content)}" for content in (CONTENT, CONTENT[CHUNK:]))
    piece(url, CONTENT, 0, CHUNK, SIZE)
    refused(piece(url, CONTENT, CHUNK, SIZE, SIZE, x_goog_hash=wrong), 400, "digest_mismatch")
    assert not is_there(http, asked)
    # Nobody can tell which of the bytes were wrong: all go again.
    assert persisted(ask(url)) == 0
    piece(url, CONTENT, 0, CHUNK, SIZE)
    finished(piece(url, CONTENT, CHUNK, SIZE, SIZE, x_goog_hash=right), CONTENT)
    assert stored(http, asked) == CONTENT


def test_hashes_may_be_said_when_initiating(http: httpx.Client) -> None:
    for begun in (
        {"x_goog_hash": f"crc32c={crc32c(b'right')}, md5={md5(b'right')}"},
        {"content": json.dumps({"crc32c": crc32c(b"right")}).encode(), "Content_Type": "application/json"},
        {"content": json.dumps({"md5Hash": md5(b"right")}).encode(), "Content_Type": "application/json"},
    ):
        asked = ticket(http)
        location = initiate(asked["url"], **begun).headers["location"]
        refused(put(location, "0-4/5", b"wrong"), 400, "digest_mismatch")
        finished(put(location, "0-4/5", b"right"), b"right")
        assert stored(http, asked) == b"right"


def test_an_md5_of_the_body_is_of_the_piece(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    whole, first = md5(CONTENT), md5(CONTENT[:CHUNK])
    refused(piece(url, CONTENT, 0, CHUNK, SIZE, Content_MD5=whole), 400, "digest_mismatch")
    assert persisted(ask(url)) == 0
    assert persisted(piece(url, CONTENT, 0, CHUNK, SIZE, Content_MD5=first)) == CHUNK
    finished(piece(url, CONTENT, 10, SIZE, SIZE, Content_MD5=md5(CONTENT[10:])), CONTENT)
    assert stored(http, asked) == CONTENT


@pytest.mark.parametrize("value", ["crc32c=AAAA", "crc32c=?", "md5=AAAAAA==", "sha1=AAAA", "AAAAAA=="])
def test_a_hash_that_cannot_be_read_is_refused(url: str, value: str) -> None:
    refused(put(url, "0-2/3", b"abc", x_goog_hash=value), 400, "invalid_digest")
    assert persisted(ask(url)) == 0


def test_cancelling_a_session_ends_it(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = initiate(url).headers["location"]
    piece(location, CONTENT, 0, CHUNK, SIZE)
    for _ in range(2):
        answer = send(location, method="DELETE")
        assert (answer.status_code, answer.content) == (499, b"")
    for late in (
        piece(location, CONTENT, CHUNK, SIZE, SIZE),
        ask(location),
        put(location, f"*/{CHUNK}"),
        initiate(location),
    ):
        refused(late, 410, "gone")
    assert not is_there(http, asked)


def test_a_session_that_nobody_initiated_is_cancelled_too(url: str) -> None:
    piece(url, CONTENT, 0, CHUNK, SIZE)
    assert send(url, method="DELETE").status_code == 499
    refused(ask(url), 410, "gone")


def test_what_is_no_session_is_deleted_as_anything_is(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    assert send(url, method="DELETE").status_code == 204
    assert send(url, b"late").status_code == 410
    assert not is_there(http, asked)


def test_what_is_complete_cannot_be_cancelled(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    put(url, "0-3/4", b"four")
    refused(send(url, method="DELETE"), 409, "already_uploaded")
    assert stored(http, asked) == b"four"


def test_a_url_that_is_not_good_is_an_unknown_session(http: httpx.Client) -> None:
    asked = ticket(http)
    for bad in (with_query(asked["url"], sig="nonsense"), with_query(asked["url"], se="2001-01-01T00:00:00Z")):
        for answer in (ask(bad), piece(bad, CONTENT, 0, CHUNK, SIZE), initiate(bad), put(bad, "0-*/*", b"abc")):
            refused(answer, 404, "link_refused")
    assert persisted(ask(asked["url"])) == 0


def test_a_session_lives_longer_than_the_url_that_it_was_initiated_with(url: str) -> None:
    location = initiate(url).headers["location"]
    assert query_of(location)["se"] > query_of(url)["se"]


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes",
        "bytes 0-4",
        "bytes=0-4/5",
        "bytes 4-0/5",
        "bytes 0-5/5",
        "bytes 5-*/4",
        "bytes -4/5",
        "bytes a-b/c",
        "bytes 0-4/-5",
        "bytes */",
        "bytes 0-4/5, 5-9/10",
        "items 0-4/5",
        f"bytes 0-4/{10**30}",
        "bytes ٠-٤/٥",
    ],
)
def test_a_range_that_makes_no_sense_is_refused(url: str, content_range: str) -> None:
    answer = send(url, b"01234", headers={"Content-Range": content_range.encode()})
    refused(answer, 400, "invalid_parameter")
    assert persisted(ask(url)) == 0


def test_unsupported_wishes_are_refused_rather_than_passed_over(url: str) -> None:
    for headers in ({"x_goog_if_generation_match": "0"}, {"x_goog_encryption_algorithm": "AES256"}):
        refused(initiate(url, **headers), 400, "bad_request")
    refused(initiate(f"{url}&ifGenerationMatch=0"), 400, "bad_request")
    refused(put(url, "0-2/3", b"abc", Content_Encoding="gzip"), 415, "unsupported_type")


def test_nonsense_while_initiating_is_refused(url: str) -> None:
    refused(initiate(url, x_upload_content_length="many"), 400, "bad_request")
    refused(initiate(url, content=b"{", Content_Type="application/json"), 400, "bad_request")
    refused(initiate(url, content=b'{"crc32c": 1}', Content_Type="application/json"), 400, "invalid_parameter")
    refused(initiate(url, content=bytes(100_000)), 413, "file_too_large")


def test_one_whole_put_answers_what_google_s_clients_read(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    for location in (initiate(url).headers["location"], ticket(http)["url"]):
        answer = send(location, CONTENT)
        assert (answer.status_code, answer.headers["etag"]) == (200, etag_of(CONTENT))
        assert answer.json()["md5Hash"] == md5(CONTENT)
        assert answer.headers["x-goog-hash"] == f"crc32c={crc32c(CONTENT)},md5={md5(CONTENT)}"
        assert answer.headers["x-goog-stored-content-length"] == str(SIZE)
    assert stored(http, asked) == CONTENT


def test_a_whole_put_in_a_session_answers_with_the_object_resource(url: str) -> None:
    location = initiate(url).headers["location"]
    found = send(location, CONTENT).json()
    assert (found["kind"], found["size"], found["crc32c"]) == ("storage#object", str(SIZE), crc32c(CONTENT))
    again = finished(ask(location), CONTENT)
    assert {name: found[name] for name in ("id", "generation", "md5Hash")} == {
        name: again[name] for name in ("id", "generation", "md5Hash")
    }


def test_a_hash_on_a_whole_put_is_verified(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    """That of the request, and one that was said when initiating."""
    right = f"crc32c={crc32c(CONTENT)},md5={md5(CONTENT)}"
    assert send(url, CONTENT[1:], headers={"x-goog-hash": right}).status_code == 400
    location = initiate(url, x_goog_hash=right).headers["location"]
    assert send(location, CONTENT[1:]).status_code == 400
    assert not is_there(http, asked)
    assert send(location, CONTENT, headers={"x-goog-hash": right}).status_code == 200
    assert stored(http, asked) == CONTENT


def test_a_digest_of_the_ticket_is_held_against_the_whole(http: httpx.Client) -> None:
    """A digest that was promised before cannot be talked away."""
    wrong = base64.b16encode(bytes(32)).decode().lower()
    asked = ticket(http, size=5, sha256=wrong)
    refused(put(asked["url"], "0-4/5", b"01234", x_goog_hash=f"md5={md5(b'01234')}"), 400, "digest_mismatch")
    assert not is_there(http, asked)
