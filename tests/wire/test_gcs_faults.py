"""A Google resumable session when things go wrong: what came is kept, what is there is told, and nothing else becomes a file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.live_server import MakeServer
from wire.asking import send
from wire.google_session import SlowPiece, ask, crc32c, finished, initiate, persisted, piece, put, refused
from wire.tus import is_there, stored, ticket

CHUNK = 256 * 1024
CONTENT = os.urandom(3 * CHUNK + 333)
SIZE = len(CONTENT)


@pytest.fixture
def asked(http: httpx.Client) -> dict[str, Any]:
    return ticket(http)


@pytest.fixture
def url(asked: dict[str, Any]) -> str:
    return str(asked["url"])


def framed(content: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


@pytest.mark.parametrize("content_range", [f"0-{SIZE - 1}/{SIZE}", f"0-{SIZE - 1}/*", "0-*/*", f"0-*/{SIZE}"])
@pytest.mark.parametrize("with_length", [True, False], ids=["length", "chunked"])
def test_what_came_before_a_cut_is_kept(
    http: httpx.Client, asked: dict[str, Any], url: str, content_range: str, with_length: bool
) -> None:
    with SlowPiece(url, content_range, SIZE if with_length else None) as cut:
        cut.send(CONTENT[:CHUNK] if with_length else framed(CONTENT[:CHUNK]))
        cut.vanish()
    there = persisted(ask(url))
    assert there <= CHUNK
    assert not is_there(http, asked)
    finished(piece(url, CONTENT, there, SIZE, SIZE), CONTENT)
    assert stored(http, asked) == CONTENT


def test_a_question_ends_the_request_before_it_and_tells_what_that_brought(url: str) -> None:
    """The connection of a client that asks has died, though the server may not know that yet."""
    with SlowPiece(url, f"0-{SIZE - 1}/{SIZE}", SIZE) as stale:
        stale.send(CONTENT[:CHUNK])
        assert persisted(ask(url)) <= CHUNK
        assert stale.answer()[0] == 409


def test_cuts_many_times_over_do_no_harm(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    there = 0
    for _ in range(8):
        with SlowPiece(url, f"{there}-{SIZE - 1}/{SIZE}", SIZE - there) as cut:
            cut.send(CONTENT[there : there + 70_000])
            cut.vanish()
        before, there = there, persisted(ask(url))
        assert before <= there <= before + 70_000
    finished(piece(url, CONTENT, there, SIZE, SIZE), CONTENT)
    assert stored(http, asked) == CONTENT


def test_of_two_that_write_at_once_the_later_goes_on(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    with SlowPiece(url, f"0-{SIZE - 1}/{SIZE}", SIZE) as stale:
        stale.send(CONTENT[:CHUNK])
        finished(piece(url, CONTENT, 0, SIZE, SIZE), CONTENT)
        assert stale.answer()[0] == 409
    assert stored(http, asked) == CONTENT


def test_many_that_write_the_same_at_once_make_one_file(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: piece(url, CONTENT, 0, SIZE, SIZE), range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert finished(ask(url), CONTENT)["size"] == str(SIZE)
    assert stored(http, asked) == CONTENT


def test_a_gap_is_refused_at_once_and_does_no_harm(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    """With 400, and not with Google's 503: clients would repeat for minutes what can never succeed."""
    piece(url, CONTENT, 0, CHUNK, SIZE)
    for content_range, sent in (
        (f"{2 * CHUNK}-{SIZE - 1}/{SIZE}", CONTENT[2 * CHUNK :]),
        (f"{CHUNK + 1}-*/*", CONTENT[CHUNK + 1 :]),
    ):
        refused(put(url, content_range, sent), 400, "offset_mismatch")
    assert persisted(ask(url)) == CHUNK
    finished(piece(url, CONTENT, CHUNK, SIZE, SIZE), CONTENT)
    assert stored(http, asked) == CONTENT


def test_a_body_of_another_length_than_its_range_is_refused(
    http: httpx.Client, asked: dict[str, Any], url: str
) -> None:
    refused(put(url, f"0-9/{SIZE}", CONTENT[:9]), 400, "bad_request")
    refused(put(url, f"0-9/{SIZE}", CONTENT[:11]), 400, "bad_request")
    assert persisted(ask(url)) == 0
    # Without a length this shows only in the end: what came is where it belongs, but the piece is not acknowledged.
    refused(put(url, f"0-9/{SIZE}", iter([CONTENT[:9]])), 400, "truncated_body")
    assert persisted(ask(url)) == 9
    refused(put(url, f"9-19/{SIZE}", iter([CONTENT[9:30]])), 400, "bad_request")
    assert persisted(ask(url)) == 9
    finished(piece(url, CONTENT, 9, SIZE, SIZE), CONTENT)
    assert stored(http, asked) == CONTENT


def test_a_question_has_no_body(url: str) -> None:
    for content_range in ("*/*", "*/3"):
        refused(put(url, content_range, b"abc"), 400, "bad_request")
    assert persisted(ask(url)) == 0


def test_another_length_than_was_said_before_is_refused(http: httpx.Client) -> None:
    promised = ticket(http, size=SIZE)["url"]
    refused(initiate(promised, SIZE + 1), 400, "size_mismatch")
    refused(put(promised, f"0-9/{SIZE - 1}", CONTENT[:10]), 400, "size_mismatch")
    refused(put(promised, "0-*/*", CONTENT[:10]), 400, "size_mismatch")
    refused(put(promised, "*/10"), 400, "size_mismatch")
    initiated = initiate(ticket(http)["url"], 20).headers["location"]
    refused(put(initiated, "0-9/10", CONTENT[:10]), 400, "size_mismatch")
    for url in (initiated, ticket(http)["url"]):
        assert persisted(put(url, "0-9/20", CONTENT[:10])) == 10
        refused(put(url, "10-19/30", CONTENT[10:20]), 400, "size_mismatch")
        finished(put(url, "10-19/20", CONTENT[10:20]), CONTENT[:20])


def test_more_than_may_come_is_refused_before_and_while_it_comes(http: httpx.Client) -> None:
    asked = ticket(http, max_size=100)
    url = asked["url"]
    refused(initiate(url, 101), 413, "file_too_large")
    refused(put(url, "0-9/101", CONTENT[:10]), 413, "file_too_large")
    refused(put(url, "0-100/*", CONTENT[:101]), 413, "file_too_large")
    refused(put(url, "0-*/*", iter([CONTENT[:101]])), 413, "file_too_large")
    assert persisted(ask(url)) == 0
    finished(put(url, "0-*/*", iter([CONTENT[:60], CONTENT[60:100]])), CONTENT[:100])
    assert stored(http, asked) == CONTENT[:100]


def test_a_wrong_hash_and_then_the_right_one(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    for content_range in (f"0-{SIZE - 1}/{SIZE}", "0-*/*"):
        refused(put(url, content_range, CONTENT, x_goog_hash=f"crc32c={crc32c(b'')}"), 400, "digest_mismatch")
        assert persisted(ask(url)) == 0
    persisted(put(url, f"0-{SIZE - 1}/*", CONTENT))
    refused(put(url, f"*/{SIZE}", x_goog_hash=f"crc32c={crc32c(b'')}"), 400, "digest_mismatch")
    finished(put(url, "0-*/*", CONTENT, x_goog_hash=f"crc32c={crc32c(CONTENT)}"), CONTENT)
    assert stored(http, asked) == CONTENT


def test_a_session_goes_on_in_another_process_of_the_server(make_server: MakeServer) -> None:
    own = make_server(workers=2)
    with own.client() as http:
        asked = ticket(http)
        with SlowPiece(asked["url"], f"0-{SIZE - 1}/{SIZE}", SIZE) as stale:
            stale.send(CONTENT[:CHUNK])
            for start in range(0, SIZE, CHUNK):
                answer = piece(asked["url"], CONTENT, start, min(start + CHUNK, SIZE), SIZE)
            assert stale.answer()[0] == 409
        finished(answer, CONTENT)
        assert stored(http, asked) == CONTENT


def test_a_session_survives_the_death_of_the_server(make_server: MakeServer) -> None:
    own = make_server()
    with own.client() as http:
        asked = ticket(http)
        location = initiate(asked["url"]).headers["location"]
        assert persisted(piece(location, CONTENT, 0, CHUNK, SIZE)) == CHUNK
        with SlowPiece(location, f"{CHUNK}-{SIZE - 1}/{SIZE}", SIZE - CHUNK) as cut:
            cut.send(CONTENT[CHUNK : 2 * CHUNK])
            own.kill()
        own.start()
        there = persisted(ask(location))
        assert CHUNK <= there <= 2 * CHUNK
        finished(piece(location, CONTENT, there, SIZE, SIZE, x_goog_hash=f"crc32c={crc32c(CONTENT)}"), CONTENT)
        own.restart()
        finished(ask(location), CONTENT)
        assert stored(http, asked) == CONTENT


def test_another_protocol_s_whole_body_ends_a_session(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = initiate(url).headers["location"]
    piece(location, CONTENT, 0, CHUNK, SIZE)
    assert send(url, b"whole").status_code == 200
    assert finished(ask(location), b"whole")["size"] == "5"
    assert stored(http, asked) == b"whole"
