"""What goes wrong on the way to a URL that speaks tus: afterwards the offset is true, and going on from it gives the bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from contract.edge import eventually
from support.live_server import LiveServer, MakeServer
from wire.asking import send
from wire.tus import SlowPatch, call, checksum, create, is_there, offset_of, patch, stored, ticket

CONTENT = os.urandom(1_000_000)
SIZE = len(CONTENT)


@pytest.fixture(params=["known", "deferred"])
def upload(request: pytest.FixtureRequest, http: httpx.Client) -> tuple[dict[str, Any], str]:
    """A ticket, and the URL of an upload created there whose length is known or told in the end."""
    asked = ticket(http)
    return asked, create(asked["url"], SIZE if request.param == "known" else None)


Upload = tuple[dict[str, Any], str]


def finish(http: httpx.Client, upload: Upload) -> None:
    """Send what is missing, as every client does, and see that it is right."""
    asked, url = upload
    offset = offset_of(url)
    assert patch(url, offset, CONTENT[offset:], Upload_Length=str(SIZE)).status_code == 204
    assert stored(http, asked) == CONTENT


def test_cut_in_the_middle_of_a_body(http: httpx.Client, upload: Upload) -> None:
    _asked, url = upload
    with SlowPatch(url, 0, SIZE) as cut:
        cut.send(CONTENT[:400_000])
        cut.vanish()
    eventually(lambda: offset_of(url) > 0)
    assert offset_of(url) <= 400_000
    finish(http, upload)


def test_cut_again_and_again(http: httpx.Client, upload: Upload) -> None:
    _asked, url = upload
    for _ in range(5):
        before = offset_of(url)
        with SlowPatch(url, before, SIZE - before) as cut:
            cut.send(CONTENT[before : before + 100_000])
        eventually(lambda before=before: offset_of(url) > before)  # type: ignore[misc]
    finish(http, upload)


def test_cut_with_a_checksum_keeps_nothing_of_it(http: httpx.Client, upload: Upload) -> None:
    _asked, url = upload
    assert patch(url, 0, CONTENT[:10]).status_code == 204
    with SlowPatch(url, 10, 500_000, Upload_Checksum=checksum(CONTENT[10:500_010])) as cut:
        cut.send(CONTENT[10:300_000])
        cut.vanish()
    assert offset_of(url) == 10
    finish(http, upload)


def test_the_last_request_again_after_completion(http: httpx.Client, upload: Upload) -> None:
    asked, url = upload
    finish(http, upload)
    again = patch(url, SIZE - 9, CONTENT[-9:])
    assert (again.status_code, again.headers["upload-offset"]) == (409, str(SIZE))
    assert patch(url, SIZE, b"").status_code == 204
    assert patch(url, SIZE, b"more").status_code == 403
    assert patch(url, SIZE, b"", Upload_Length=str(SIZE + 1)).status_code == 400
    assert stored(http, asked) == CONTENT


@pytest.mark.parametrize("offset", [0, 99, 101, SIZE, SIZE + 1, 10**17])
def test_an_overlap_or_a_gap_is_refused_and_the_offset_told(http: httpx.Client, upload: Upload, offset: int) -> None:
    _asked, url = upload
    assert patch(url, 0, CONTENT[:100]).status_code == 204
    refused = patch(url, offset, CONTENT[:5])
    assert (refused.status_code, refused.headers["upload-offset"]) == (409, "100")
    assert refused.json()["retry"] == "now"
    finish(http, upload)


def test_who_comes_later_ends_who_writes(http: httpx.Client, upload: Upload) -> None:
    """A client whose connection died in silence must not wait for the server to notice."""
    _asked, url = upload
    with SlowPatch(url, 0, SIZE) as stale:
        stale.send(CONTENT[:300_000])
        offset = offset_of(url)
        assert offset <= 300_000
        assert patch(url, offset, CONTENT[offset : offset + 50]).status_code == 204
        assert stale.answer()[0] == 409
    assert offset_of(url) == offset + 50
    finish(http, upload)


def test_giving_up_ends_who_writes(http: httpx.Client, upload: Upload) -> None:
    asked, url = upload
    with SlowPatch(url, 0, SIZE) as stale:
        stale.send(CONTENT[:300_000])
        assert call("DELETE", url).status_code == 204
        assert stale.answer()[0] in (409, 410)
    assert call("HEAD", url).status_code == 410
    assert not is_there(http, asked)


def test_two_writers_at_once_leave_the_bytes_of_one_after_the_other(http: httpx.Client, upload: Upload) -> None:
    _asked, url = upload
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: patch(url, 0, CONTENT[:500_000]), range(6)))
    assert {answer.status_code for answer in answers} <= {204, 409}
    assert [answer.status_code for answer in answers].count(204) <= 1
    finish(http, upload)


def test_writers_in_two_processes(make_server: MakeServer) -> None:
    own = make_server(workers=2)
    with own.client() as http:
        asked = ticket(http)
        url = create(asked["url"], SIZE)
        for _ in range(6):
            before = offset_of(url)
            with SlowPatch(url, before, SIZE - before) as stale:
                stale.send(CONTENT[before : before + 100_000])
                offset = offset_of(url)
                assert patch(url, offset, CONTENT[offset : offset + 1000]).headers["upload-offset"] == str(
                    offset + 1000
                )
                assert stale.answer()[0] == 409
        finish(http, (asked, url))


def test_a_body_without_a_length(http: httpx.Client, upload: Upload) -> None:
    asked, url = upload

    def pieces() -> Iterator[bytes]:
        for start in range(0, SIZE, 70_000):
            yield CONTENT[start : start + 70_000]

    answer = patch(url, 0, pieces(), Upload_Length=str(SIZE))
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(SIZE))
    assert stored(http, asked) == CONTENT


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_more_than_was_declared(http: httpx.Client, chunked: bool) -> None:
    asked = ticket(http)
    url = create(asked["url"], 10)
    body: Any = iter([b"0123456789", b"!"]) if chunked else b"0123456789!"
    assert patch(url, 0, body).status_code == 413
    assert not is_there(http, asked)
    offset = offset_of(url)
    assert patch(url, offset, b"0123456789"[offset:]).status_code == 204
    assert stored(http, asked) == b"0123456789"


def test_requests_without_bytes_change_nothing(http: httpx.Client, upload: Upload) -> None:
    _asked, url = upload
    for _ in range(2):
        assert patch(url, 0, b"").headers["upload-offset"] == "0"
    finish(http, upload)


def test_pieces_that_end_just_at_the_end(http: httpx.Client) -> None:
    asked = ticket(http)
    url = create(asked["url"], None)
    for start in range(0, 400, 100):
        assert patch(url, start, CONTENT[start : start + 100]).status_code == 204
    assert patch(url, 400, b"", Upload_Length="400").status_code == 204
    assert stored(http, asked) == CONTENT[:400]


def test_a_url_that_has_ended(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(upload_url_lifetime="2s", upload_idle_timeout="7d")
    with own.client() as http:
        asked = ticket(http, size=6)
        location = create(asked["url"], 6, b"abc")
        eventually(lambda: call("HEAD", asked["url"]).status_code == 403)
        assert patch(asked["url"], 3, b"def").status_code == 403
        eventually(lambda: call("HEAD", location).status_code == 403)
        assert patch(location, 3, b"def").status_code == 403
        assert not is_there(http, asked)


def test_an_upload_that_waited_too_long(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(upload_idle_timeout="2s", sweep_interval="1s")
    with own.client() as http:
        asked = ticket(http, size=6)
        assert patch(asked["url"], 0, b"abc").status_code == 204
        eventually(lambda: call("HEAD", asked["url"]).status_code == 410)
        assert "upload-offset" not in patch(asked["url"], 3, b"def").headers
        assert not is_there(http, asked)


def test_killed_in_the_middle_of_a_body(make_server: MakeServer) -> None:
    own: LiveServer = make_server()
    with own.client() as http:
        asked = ticket(http)
        url = create(asked["url"], SIZE)
        assert patch(url, 0, CONTENT[:250_000]).status_code == 204
        with SlowPatch(url, 250_000, SIZE - 250_000) as cut:
            cut.send(CONTENT[250_000:600_000])
            own.kill()
        own.start()
        assert 250_000 <= offset_of(url) <= 600_000
        finish(http, (asked, url))


def test_a_plain_put_may_replace_what_tus_began(http: httpx.Client) -> None:
    asked = ticket(http, size=6)
    assert patch(asked["url"], 0, b"abc").status_code == 204
    assert send(asked["url"], b"plain!").status_code == 200
    assert stored(http, asked) == b"plain!"
    assert offset_of(asked["url"]) == 6
    assert patch(asked["url"], 3, b"def").status_code == 409
