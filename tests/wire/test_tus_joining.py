"""Partial uploads and what is made of them: no byte is sent again, and nobody joins what is another's."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from wire.asking import send
from wire.tus import BYTES, VERSION, call, create, is_there, offset_of, patch, stored, ticket

PIECES = [os.urandom(200_000), b"", b"x", os.urandom(50_001)]


@pytest.fixture
def asked(http: httpx.Client) -> dict[str, Any]:
    return ticket(http)


@pytest.fixture
def url(asked: dict[str, Any]) -> str:
    return str(asked["url"])


def partial(url: str, content: bytes) -> str:
    """Upload a partial upload; return its URL."""
    location = create(url, len(content), Upload_Concat="partial")
    if content:
        assert patch(location, 0, content, Upload_Concat="partial").status_code == 204
    return location


def join(url: str, *partials: str, **headers: str) -> httpx.Response:
    return call("POST", url, Upload_Concat=f"final;{' '.join(partials)}", **headers)


def test_partial_uploads_that_came_at_once_make_one_file(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        partials = list(pool.map(partial, [url] * len(PIECES), PIECES))
    assert len({*partials, url}) == len(PIECES) + 1
    assert not is_there(http, asked)
    answer = join(url, *partials)
    assert answer.status_code == 201
    whole = b"".join(PIECES)
    assert stored(http, asked) == whole
    assert offset_of(answer.headers["location"]) == len(whole)


def test_what_is_joined_may_be_joined_twice_in_any_order(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    a, b = partial(url, b"aaa"), partial(url, b"bb")
    assert join(url, b, a, b).status_code == 201
    assert stored(http, asked) == b"bbaaabb"


@pytest.mark.parametrize("ending", ["put", "created anew", "deleted"])
def test_joined_bytes_outlive_what_becomes_of_the_partial_upload(
    http: httpx.Client, asked: dict[str, Any], url: str, ending: str
) -> None:
    content = os.urandom(300_000)
    location = partial(url, content)
    assert join(url, location).status_code == 201
    if ending == "put":
        assert send(location, b"something else").status_code == 200
    elif ending == "created anew":
        call("POST", location, Upload_Length="4")
        patch(location, 0, b"else")
    else:
        call("DELETE", location)
    assert stored(http, asked) == content


def test_a_lost_answer_is_given_again(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    a, b = partial(url, b"aaa"), partial(url, b"bb")
    assert join(url, a, b).status_code == join(url, a, b).status_code == 201
    assert join(url, b, a).status_code == 409
    assert stored(http, asked) == b"aaabb"


def test_head_says_what_an_upload_is(url: str) -> None:
    a = partial(url, b"aaa")
    shown = call("HEAD", a).headers
    assert (shown["upload-concat"], shown["upload-length"], shown["upload-offset"]) == ("partial", "3", "3")
    joined = join(url, a, Upload_Metadata="filename YQ==")
    shown = call("HEAD", joined.headers["location"]).headers
    assert (shown["upload-concat"], shown["upload-length"]) == (f"final;{a}", "3")
    assert shown["upload-metadata"] == "filename YQ=="


def test_what_is_made_of_others_takes_no_bytes(url: str) -> None:
    joined = join(url, partial(url, b"aaa"))
    answer = patch(joined.headers["location"], 3, b"b")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_partial_upload_is_no_file(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    upload = http.get(f"/api/uploads/{partial(url, b'aaa').split('/')[4]}").json()
    assert upload["state"] == "received"
    assert not is_there(http, upload)
    assert not is_there(http, asked)


def test_partial_uploads_must_be_complete(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    a, b = partial(url, b"aaa"), create(url, 5, b"bb", Upload_Concat="partial")
    refused = join(url, a, b)
    assert (refused.status_code, refused.json()["code"], refused.json()["status"]) == (400, "not_uploaded", 400)
    assert patch(b, 2, b"bbb").status_code == 204
    assert join(url, a, b).status_code == 201
    assert stored(http, asked) == b"aaabbbbb"


def test_together_they_have_the_promised_size(http: httpx.Client) -> None:
    asked = ticket(http, size=5)
    a, b = partial(asked["url"], b"aaa"), partial(asked["url"], b"bb")
    assert join(asked["url"], a).status_code == 400
    assert join(asked["url"], a, b).status_code == 201
    assert stored(http, asked) == b"aaabb"


def test_together_they_are_no_larger_than_may_come(http: httpx.Client) -> None:
    url = ticket(http, max_size=5)["url"]
    a, b = partial(url, b"aaa"), partial(url, b"bbb")
    assert join(url, a, b).status_code == 413
    assert call("POST", url, Upload_Concat="partial", Upload_Length="6").status_code == 413


def test_a_url_cannot_be_made_to_keep_ever_more(http: httpx.Client) -> None:
    url = ticket(http, max_size=10)["url"]
    partials = [partial(url, b"0123456789") for _ in range(2)]
    assert call("POST", url, Upload_Concat="partial", Upload_Length="1").status_code == 413
    assert call("DELETE", partials[0]).status_code == 204
    assert call("POST", url, Upload_Concat="partial", Upload_Length="1").status_code == 201


def test_a_partial_upload_may_be_given_up(url: str) -> None:
    a, b = partial(url, b"aaa"), partial(url, b"bb")
    assert call("DELETE", b).status_code == 204
    assert join(url, a, b).status_code == 400
    assert join(url, a).status_code == 201


def test_bytes_of_others_cannot_be_joined(http: httpx.Client, url: str) -> None:
    """Whoever may only write to another's upload must not come to read it so."""
    theirs = ticket(http, auto_complete=False)
    whole = create(theirs["url"], 6, b"secret")
    part_of_theirs = partial(theirs["url"], b"secret")
    own = partial(url, b"own")
    for foreign in (whole, theirs["url"], part_of_theirs, url):
        assert join(url, own, foreign).status_code == 404
    for nothing in ("https://example.com/u/a/b?sig=c", "x", "/", "http://[::1", f"/u/{uuid.uuid4()}/a", "/u//a"):
        assert join(url, own, nothing).status_code == 404
    assert join(url, own).status_code == 201


@pytest.mark.parametrize("concat", ["final", "Partial", "final;", ""])
def test_a_joining_that_makes_no_sense_is_refused(url: str, concat: str) -> None:
    assert call("POST", url, Upload_Concat=concat).status_code == 400


def test_the_length_of_a_joining_is_not_told(url: str) -> None:
    assert join(url, partial(url, b"aaa"), Upload_Length="3").status_code == 400


def test_a_joining_brings_no_bytes(url: str) -> None:
    a = partial(url, b"aaa")
    answer = send(url, b"more", "POST", headers={**VERSION, **BYTES, "Upload-Concat": f"final;{a}"})
    assert answer.status_code == 400


def test_paths_name_partial_uploads_too(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    """Some clients leave the signature out; that of the upload they are joined to says enough."""
    a = partial(url, b"aaa")
    assert join(url, a[a.index("/u/") : a.index("?")]).status_code == 201
    assert stored(http, asked) == b"aaa"
