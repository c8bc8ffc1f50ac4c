"""Every protocol of a signed URL against every fault, one test for each: the file is exactly what was meant, or there is none.

What a status has to be is in the table of protocols below; what is special to one protocol is in its own module of tests.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract.edge import eventually, sha256_field
from faults.resuming import PIECE, AzureBlocks, Draft, GoogleSession, PlainPut, PutBlob, S3Parts, Sender, Tus
from support.live_server import LiveServer
from wire import google_session, tus
from wire.asking import send
from wire.blob import md5_of
from wire.slow import SlowRequest
from wire.tus import is_there, stored, ticket

SIZE = 2 * PIECE + 4321
CONTENT = random.Random(1).randbytes(SIZE)
OTHER = random.Random(2).randbytes(SIZE)
LIMIT = 1000
"""A small size that must not be exceeded (bytes)."""


@dataclass(frozen=True)
class Overlap:
    """When CONTENT has come up to ``there``, other bytes are sent for where some of it is."""

    there: int
    start: int
    stop: int
    status: int
    file: bytes
    """What is served in the end."""


# Ranges overlap where there are ranges. A part and a block are replaced by the next of their number or id, until the list
# comes; and after a whole body another one is refused.
REFUSED = Overlap(2 * PIECE, PIECE, 2 * PIECE + 1000, 409, CONTENT)
SKIPPED = Overlap(2 * PIECE, PIECE, 2 * PIECE + 1000, 308, CONTENT)
REPLACED = CONTENT[:PIECE] + OTHER[PIECE : 2 * PIECE] + CONTENT[2 * PIECE :]
SECOND_BODY = Overlap(SIZE, 0, SIZE, 409, CONTENT)


@dataclass(frozen=True)
class Protocol:
    """How one protocol is spoken, and what it answers to what goes wrong."""

    sender: Callable[[dict[str, Any]], Sender]
    digest: Callable[[bytes], dict[str, str]]
    """The header that tells the digest of a request's body."""
    repeated: int
    """The answer to the request that completed the file, when it comes again: that of the first time, but for tus."""
    overlap: Overlap
    gap: int
    """The answer to the last piece before the middle one. Parts and blocks may come in any order; a whole body that lacks
    its beginning is too short."""
    beyond_size: int = 413
    """The answer to more bytes than were promised; to more than are allowed it is 413 everywhere."""
    mismatch: int = 400
    overtaken: int = 409
    """The answer to a request that another one has completed the file before."""
    expired: int = 403
    """The answer at a URL that has expired; to Google's clients it is a session that is not known."""


def content_md5(content: bytes) -> dict[str, str]:
    return {"Content_MD5": md5_of(content)}


def goog_hash(content: bytes) -> dict[str, str]:
    return {"x_goog_hash": f"crc32c={google_session.crc32c(content)}"}


def upload_checksum(content: bytes) -> dict[str, str]:
    return {"Upload_Checksum": tus.checksum(content)}


def content_digest(content: bytes) -> dict[str, str]:
    return {"Content_Digest": sha256_field(content)}


PROTOCOLS = {
    "plain": Protocol(PlainPut, content_md5, 200, SECOND_BODY, gap=400),
    "blob": Protocol(PutBlob, content_md5, 201, SECOND_BODY, gap=400),
    "s3": Protocol(
        S3Parts, content_md5, 200, Overlap(2 * PIECE, PIECE, 2 * PIECE, 200, REPLACED), gap=200, overtaken=404
    ),
    "azure": Protocol(AzureBlocks, content_md5, 201, Overlap(2 * PIECE, PIECE, 2 * PIECE, 201, REPLACED), gap=201),
    "google": Protocol(GoogleSession, goog_hash, 200, SKIPPED, gap=400, expired=404),
    "tus": Protocol(Tus, upload_checksum, 409, REFUSED, gap=409, mismatch=460),
    "ietf": Protocol(Draft, content_digest, 200, REFUSED, gap=409, beyond_size=400),
}


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return PROTOCOLS[request.param]


@pytest.fixture
def sender(http: httpx.Client, protocol: Protocol) -> Sender:
    """Someone with a ticket for CONTENT, who has told its size where the protocol asks for it first."""
    found = protocol.sender(ticket(http, size=SIZE, part_size=PIECE, parts=True))
    found.begin(SIZE)
    return found


@pytest.fixture
def untold(http: httpx.Client, protocol: Protocol) -> Sender:
    """Someone with a ticket for whatever comes, who knows no size yet."""
    found = protocol.sender(ticket(http))
    found.begin(None)
    return found


@pytest.fixture(scope="module")
def short_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, dict[str, Any]]]:
    """A client of a server, and a ticket of it whose URL has expired."""
    # In real time: a server in a process of its own has a clock of its own.
    own = LiveServer(tmp_path_factory.mktemp("server"), {"upload_url_lifetime": "1s"})
    try:
        own.start()
        with own.client() as http:
            expired = ticket(http)
            eventually(lambda: send(expired["url"], method="HEAD").status_code == 403)
            yield http, expired
    finally:
        own.close()


def send_up_to(sender: Sender, stop: int) -> int:
    """Send those pieces of CONTENT that end there; return how many bytes were acknowledged."""
    acknowledged = 0
    for start in range(0, SIZE, sender.piece):
        end = min(start + sender.piece, SIZE)
        if end <= stop:
            sender.send(CONTENT, start, bytes)
            acknowledged = end
    return acknowledged


def finish(sender: Sender, content: bytes) -> None:
    """Do as every client does: send what the server does not have, and complete."""
    while left := sender.next_pieces(content):
        sender.send(content, left[0], bytes)
    sender.complete(content)


def begin_slowly(sender: Sender, start: int, *, framed: bool = False) -> SlowRequest:
    """Begin the request with the piece at ``start``; nothing of its body is sent."""
    stop = min(start + sender.piece, SIZE)
    request = sender.request(start, stop, SIZE)
    return SlowRequest(request.url, None if framed else stop - start, request.method, request.headers)


def in_chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("framed", [False, True], ids=["length", "chunked"])
def test_cut_in_the_middle_of_a_body(http: httpx.Client, sender: Sender, framed: bool) -> None:
    acknowledged = send_up_to(sender, PIECE)
    brought = CONTENT[acknowledged : acknowledged + 600_000]
    with begin_slowly(sender, acknowledged, framed=framed) as cut:
        cut.send(f"{len(brought):x}\r\n".encode() + brought + b"\r\n" if framed else brought)
    assert acknowledged <= sender.next_pieces(CONTENT)[0] <= acknowledged + len(brought)
    assert not is_there(http, sender.ticket)
    finish(sender, CONTENT)
    assert stored(http, sender.ticket) == CONTENT


def test_the_last_request_again(http: httpx.Client, sender: Sender, protocol: Protocol) -> None:
    send_up_to(sender, SIZE)
    sender.complete(CONTENT)
    file = http.get(f"/api/files/{sender.ticket['file_id']}").json()
    for _ in range(2):
        assert sender.again().status_code == protocol.repeated
    assert http.get(f"/api/files/{sender.ticket['file_id']}").json() == file
    assert stored(http, sender.ticket) == CONTENT


def test_an_overlap(http: httpx.Client, sender: Sender, protocol: Protocol) -> None:
    overlap = protocol.overlap
    send_up_to(sender, overlap.there)
    again = OTHER[: overlap.there] + CONTENT[overlap.there :]
    answer = sender.push(again[overlap.start : overlap.stop], sender.request(overlap.start, overlap.stop, SIZE))
    assert answer.status_code == overlap.status
    finish(sender, CONTENT)
    assert stored(http, sender.ticket) == overlap.file


def test_a_gap(http: httpx.Client, sender: Sender, protocol: Protocol) -> None:
    acknowledged = send_up_to(sender, PIECE)
    answer = sender.push(CONTENT[2 * PIECE :], sender.request(2 * PIECE, SIZE, SIZE))
    assert answer.status_code == protocol.gap
    assert sender.next_pieces(CONTENT)[0] == acknowledged
    assert not is_there(http, sender.ticket)
    finish(sender, CONTENT)
    assert stored(http, sender.ticket) == CONTENT


def test_two_writers(http: httpx.Client, protocol: Protocol, sender: Sender) -> None:
    """What the first had brought when it was overtaken may stay, if the server says so; nothing that comes later does."""
    acknowledged = send_up_to(sender, PIECE)
    of_first = CONTENT[:acknowledged] + OTHER[acknowledged:]
    stop = min(acknowledged + sender.piece, SIZE)
    with begin_slowly(sender, acknowledged) as first:
        first.send(of_first[acknowledged : stop - 1])
        kept = sender.next_pieces(CONTENT)[0]
        assert acknowledged <= kept < stop
        finish(sender, CONTENT)
        first.send(of_first[stop - 1 : stop])
        assert first.answer()[0] == protocol.overtaken
    assert stored(http, sender.ticket) == of_first[:kept] + CONTENT[kept:]


def test_zero_bytes(http: httpx.Client, protocol: Protocol) -> None:
    sender = protocol.sender(ticket(http))
    sender.begin(0)
    request = sender.request(0, 0, 0)
    assert sender.push(b"", request).status_code in request.fine
    sender.complete(b"")
    assert stored(http, sender.ticket) == b""


def test_a_size_that_is_told_after_the_last_whole_piece(http: httpx.Client, untold: Sender) -> None:
    """Nothing tells that it was the last: only a whole body is complete by its end."""
    content = CONTENT[: 2 * PIECE]
    for start in range(0, len(content), untold.piece):
        stop = min(start + untold.piece, len(content))
        request = untold.request(start, stop, None)
        assert untold.push(in_chunks(content[start:stop]), request).status_code in request.fine
    assert is_there(http, untold.ticket) is (untold.piece > len(content))
    untold.tell_size(len(content))
    untold.complete(content)
    assert stored(http, untold.ticket) == content


def test_bodies_in_chunks_without_a_length(http: httpx.Client, sender: Sender) -> None:
    for start in range(0, SIZE, sender.piece):
        sender.send(CONTENT, start, in_chunks)
    sender.complete(CONTENT)
    assert stored(http, sender.ticket) == CONTENT


def test_a_wrong_digest_and_then_the_right_one(http: httpx.Client, untold: Sender, protocol: Protocol) -> None:
    content = CONTENT[:LIMIT]
    request = untold.request(0, LIMIT, LIMIT)
    assert untold.push(content, request, **protocol.digest(OTHER)).status_code == protocol.mismatch
    assert untold.next_pieces(content) == [0]
    assert not is_there(http, untold.ticket)
    assert untold.push(content, request, **protocol.digest(content)).status_code in request.fine
    untold.tell_size(LIMIT)
    untold.complete(content)
    assert stored(http, untold.ticket) == content


def test_a_url_that_has_expired(short_lived: tuple[httpx.Client, dict[str, Any]], protocol: Protocol) -> None:
    http, expired = short_lived
    sender = protocol.sender(expired)
    assert sender.push(CONTENT, sender.request(0, SIZE, SIZE)).status_code == protocol.expired
    assert not is_there(http, expired)


@pytest.mark.parametrize("promise", ["size", "max_size"])
def test_too_large(http: httpx.Client, protocol: Protocol, promise: str) -> None:
    status = protocol.beyond_size if promise == "size" else 413
    for body in (CONTENT[: LIMIT + 1], in_chunks(CONTENT[: LIMIT + 1])):
        sender = protocol.sender(ticket(http, **{promise: LIMIT}))
        sender.begin(None)
        assert sender.push(body, sender.request(0, LIMIT + 1, None)).status_code == status
        assert not is_there(http, sender.ticket)


def test_what_fits_may_come_after_what_was_too_large(http: httpx.Client, protocol: Protocol) -> None:
    sender = protocol.sender(ticket(http, max_size=LIMIT))
    sender.begin(None)
    assert sender.push(CONTENT[: LIMIT + 1], sender.request(0, LIMIT + 1, None)).status_code == 413
    finish(sender, CONTENT[:LIMIT])
    sender.tell_size(LIMIT)
    assert stored(http, sender.ticket) == CONTENT[:LIMIT]
