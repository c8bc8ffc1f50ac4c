"""Parts at a signed URL: in any order, at once, again and late, the file is always exactly what was completed."""

from __future__ import annotations

import base64
import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.edge import crc32c_hex, exchange, head_of
from support.live_server import LiveServer, MakeServer
from wire.asking import SMALL_PART, Multipart, etag_of, finish, initiate, open_ticket, part_url, send
from wire.slow import SlowPut

LARGE_PART = 1024 * 1024
"""Larger than what the server holds of a part before it writes (bytes)."""


def listed(parts: dict[int, str]) -> bytes:
    """Return an S3 completion document."""
    rows = [f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts.items()]
    return f"<CompleteMultipartUpload>{''.join(rows)}</CompleteMultipartUpload>".encode()


def test_parts_sent_at_once_in_any_order_and_again_make_the_file(http: httpx.Client) -> None:
    content = os.urandom(11 * SMALL_PART + 17)
    upload = initiate(http, len(content))
    numbers = [*upload.urls, *upload.urls]
    random.Random(7).shuffle(numbers)
    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(lambda number: (number, upload.put(number, upload.piece(content, number))), numbers))
    assert upload.complete(dict(sorted(sent))).status_code == 200
    assert upload.fetch().content == content


def test_a_replaced_part_is_served_byte_for_byte_across_every_seam(http: httpx.Client) -> None:
    content = os.urandom(5 * SMALL_PART + 100)
    upload = initiate(http, len(content))
    for number in (2, 4, 6):
        upload.put(number, os.urandom(len(upload.piece(content, number))))
    etags = upload.put_all(content)
    file = upload.complete(etags).json()
    described = http.get(f"/api/files/{file['id']}").json()
    assert (described["size"], described["crc32c"]) == (len(content), crc32c_hex(content))
    whole = upload.fetch()
    assert whole.content == content
    assert whole.headers["etag"] == described["etag"]
    head = httpx.head(whole.url, trust_env=False)
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(content)), described["etag"])
    seams = [number * SMALL_PART for number in range(1, 6)]
    chance = random.Random(3)
    ranges = [(seam - 1, seam) for seam in seams] + [(seam, seam) for seam in seams] + [(0, len(content) - 1)]
    ranges += [tuple(sorted(chance.sample(range(len(content)), 2))) for _ in range(10)]
    for first, last in ranges:
        answer = upload.fetch(headers={"Range": f"bytes={first}-{last}"})
        assert answer.status_code == 206
        assert answer.content == content[first : last + 1], (first, last)
    assert upload.fetch(headers={"Range": "bytes=-150"}).content == content[-150:]


@pytest.mark.parametrize("size", [SMALL_PART, LARGE_PART])
def test_a_slow_sender_of_old_bytes_never_mixes_with_new_ones(http: httpx.Client, size: int) -> None:
    """The slow one finishes last, so its bytes are the part; what it never is, is some of each."""
    old, new, other = b"A" * size, b"B" * size, b"C" * size
    upload = initiate(http, 2 * size, size)
    upload.put(2, other)
    with SlowPut(upload.urls[1], size) as slow:
        slow.send(old[: size // 2])
        assert upload.put(1, new) == etag_of(new)
        slow.send(old[size // 2 :])
        assert slow.answer()[0] == 200
    assert [part["etag"] for part in upload.parts().json()["parts"]] == [etag_of(old), etag_of(other)]
    assert upload.complete({1: etag_of(new), 2: etag_of(other)}).status_code == 400
    assert upload.complete({1: etag_of(old), 2: etag_of(other)}).status_code == 200
    assert upload.fetch().content == old + other


@pytest.mark.parametrize("size", [SMALL_PART, LARGE_PART])
def test_a_sender_that_breaks_off_leaves_the_part_that_was_there(http: httpx.Client, size: int) -> None:
    good = os.urandom(size)
    upload = initiate(http, size, size)
    with SlowPut(upload.urls[1], size) as first:
        first.send(b"x" * (size - 1))
    etag = upload.put(1, good)
    with SlowPut(upload.urls[1], size) as again:
        again.send(b"y" * (size - 1))
    assert upload.complete({1: etag}).status_code == 200
    assert upload.fetch().content == good


@pytest.mark.parametrize("size", [SMALL_PART, LARGE_PART])
def test_a_part_that_ends_after_completion_is_too_late(http: httpx.Client, size: int) -> None:
    content = os.urandom(2 * size)
    upload = initiate(http, len(content), size)
    etags = upload.put_all(content)
    with SlowPut(upload.urls[2], size) as late, SlowPut(upload.urls[1], size) as cut_off:
        late.send(b"x" * (size - 1))
        cut_off.send(b"y" * (size // 2))
        assert upload.complete(etags).status_code == 200
        late.send(b"x")
        status, body = late.answer()
    assert (status, "<Code>NoSuchUpload</Code>" in body) == (404, True)
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content


def test_a_part_begun_after_completion_is_refused_unread(http: httpx.Client) -> None:
    upload = initiate(http, 3)
    assert upload.complete(upload.put_all(b"abc")).status_code == 200
    for content in (b"abc", b"xyz", iter([b"xyz"])):
        assert send(upload.urls[1], content).status_code == 404
    assert upload.fetch().content == b"abc"


def test_completions_at_once_make_one_file_and_give_one_answer(http: httpx.Client) -> None:
    content = os.urandom(3 * SMALL_PART)
    upload = initiate(http, len(content), checksum=hashlib.sha256(content).hexdigest())
    etags = upload.put_all(content)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: upload.complete(etags), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.text for answer in answers}) == 1
    assert len(http.get(f"/v1/files/{upload.folder}").json()["files"]) == 1
    assert upload.fetch().content == content


def test_parts_and_completions_and_a_whole_body_at_once_leave_one_of_the_contents(http: httpx.Client) -> None:
    """Whatever wins, what is served is whole: never parts of one and parts of the other."""
    for _round in range(4):
        old, new = os.urandom(2 * SMALL_PART), os.urandom(2 * SMALL_PART)
        upload = initiate(http, len(old))
        etags = upload.put_all(old)
        whole = upload.whole()
        with ThreadPoolExecutor(4) as pool:
            completions = [pool.submit(upload.complete, etags) for _ in range(2)]
            sending = pool.submit(send, whole, new)
            part = pool.submit(send, upload.urls[2], old[SMALL_PART:])
        assert sending.result().status_code in (200, 409)
        assert part.result().status_code in (200, 404, 409)
        answers = [completion.result() for completion in completions]
        assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
        if any(answer.status_code == 200 for answer in answers):
            assert upload.fetch().content in (old, new)


def test_a_whole_body_ends_the_parts(http: httpx.Client) -> None:
    """Parts that come after it must not reach what was received."""
    ticket = open_ticket(http)
    assert send(part_url(ticket, 1), b"part").status_code == 200
    assert send(ticket["url"], b"whole body").status_code == 200
    assert send(part_url(ticket, 1), b"late part").status_code == 404
    answer = send(ticket["part_url"], listed({1: etag_of(b"late part")}), "POST")
    assert (answer.status_code, "<Code>InvalidPart</Code>" in answer.text) == (400, True)
    file = finish(http, ticket).json()
    assert send(file["url"], method="GET").content == b"whole body"


def test_completing_again_with_other_etags_is_no_repetition(http: httpx.Client) -> None:
    upload = initiate(http, 3)
    etags = upload.put_all(b"abc")
    assert upload.complete(etags).status_code == 200
    assert upload.complete({1: etag_of(b"xyz")}).status_code == 400
    assert upload.complete(etags).status_code == 200


def test_parts_of_a_file_of_unknown_size_may_have_any_size_and_leave_gaps(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True)
    pieces = {3: os.urandom(70_000), 1: b"", 700: os.urandom(1), 10_000: os.urandom(300_000)}
    for number, piece in pieces.items():
        answer = send(part_url(ticket, number), iter([piece]) if number % 2 else piece)
        assert (answer.status_code, answer.headers["etag"]) == (200, etag_of(piece))
    file = finish(http, ticket).json()
    content = b"".join(pieces[number] for number in sorted(pieces))
    assert (file["size"], file["crc32c"]) == (len(content), crc32c_hex(content))
    assert send(file["url"], method="GET").content == content


def test_only_the_parts_that_are_listed_make_a_file_of_unknown_size(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True)
    for number in (1, 2, 3):
        send(part_url(ticket, number), str(number).encode())
    parts = [{"part_number": number, "etag": etag_of(str(number).encode())} for number in (1, 3)]
    file = http.post(f"/api/uploads/{ticket['id']}/complete", json={"parts": parts}).json()
    assert send(file["url"], method="GET").content == b"13"


def test_nothing_can_be_completed_before_anything_came(http: httpx.Client) -> None:
    for promise in ({"parts": True}, {"parts": True, "size": 0}, {"parts": True, "size": 5}, {}):
        ticket = open_ticket(http, **promise)
        assert finish(http, ticket).status_code in (400, 409)
        assert send(ticket["part_url"], listed({}), "POST").status_code == 400
        assert send(part_url(ticket, 1), b"12345" if promise.get("size") else b"").status_code == 200
        assert finish(http, ticket).status_code == 200


def test_all_parts_together_stay_within_the_maximum(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True, max_size=10)
    assert send(part_url(ticket, 1), b"x" * 6).status_code == 200
    for body in (b"y" * 5, iter([b"y" * 5]), b"y" * 11):
        assert send(part_url(ticket, 2), body).status_code == 413
    assert send(part_url(ticket, 1), b"z" * 7).status_code == 200
    assert send(part_url(ticket, 2), b"y" * 3).status_code == 200
    assert finish(http, ticket).json()["size"] == 10


def test_an_absurd_length_is_refused_and_spoils_nothing(http: httpx.Client, server: LiveServer) -> None:
    ticket = open_ticket(http, parts=True)
    target = part_url(ticket, 1).removeprefix(server.url)
    for length in [999999999999999999] * 10 + [10 * 1024**4]:
        head = head_of(server, "PUT", target, f"Content-Length: {length}", "Expect: 100-continue")
        assert exchange(server, head, finish=False).startswith(b"HTTP/1.1 413")
    assert send(part_url(ticket, 1), b"x").status_code == 200
    assert finish(http, ticket).json()["size"] == 1


def test_a_part_of_another_size_or_digest_is_refused_and_leaves_the_one_before(http: httpx.Client) -> None:
    content = os.urandom(SMALL_PART + 10)
    upload = initiate(http, len(content))
    etags = upload.put_all(content)
    for number, body, status in (
        (1, content[: SMALL_PART - 1], 400),
        (1, content[: SMALL_PART + 1], 413),
        (1, iter([content[: SMALL_PART - 1]]), 400),
        (1, iter([content[: SMALL_PART + 1]]), 413),
        (2, content[:9], 400),
        (2, content[:11], 413),
        (2, b"", 400),
    ):
        assert send(upload.urls[number], body).status_code == status
    wrong = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    assert "<Code>BadDigest</Code>" in send(upload.urls[2], os.urandom(10), headers=wrong).text
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        b'<!DOCTYPE a [<!ENTITY n "1">]><a><Part><PartNumber>&n;</PartNumber><ETag>ETAG</ETag></Part></a>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY n "1">]><a><Part><PartNumber>&n;</PartNumber>'
        "<ETag>ETAG</ETag></Part></a>".encode("utf-16"),
        b"<a>" * 100_000,
        b" " * (4 * 1024**2 + 1),
    ],
    ids=["empty", "not-xml", "no-parts", "no-number", "no-etag", "entity", "entity-utf16", "deep", "large"],
)
def test_a_list_of_parts_that_cannot_be_read_completes_nothing(http: httpx.Client, document: bytes) -> None:
    ticket = open_ticket(http, parts=True)
    etag = send(part_url(ticket, 1), b"x").headers["etag"]
    # The entity tag goes in as it is, so that only what the case is about is wrong.
    for encoding in ("utf-8", "utf-16-le"):
        document = document.replace("ETAG".encode(encoding), etag.strip('"').encode(encoding))
    answer = send(ticket["part_url"], document, "POST")
    assert answer.status_code in (400, 413)
    assert answer.text.startswith("<?xml")
    assert http.get(f"/api/uploads/{ticket['id']}").json()["state"] == "open"


def test_a_restart_between_parts_loses_none(make_server: MakeServer) -> None:
    own = make_server()
    content = os.urandom(3 * LARGE_PART)
    with own.client() as http:
        upload = initiate(http, len(content), LARGE_PART)
        etags = {number: upload.put(number, upload.piece(content, number)) for number in (3, 1)}
        with SlowPut(upload.urls[2], LARGE_PART) as torn:
            torn.send(os.urandom(LARGE_PART // 2))
            own.kill()
    own.start()
    with own.client() as http:
        again = Multipart(**{**vars(upload), "http": http})
        assert {part["partNumber"]: part["etag"] for part in again.parts().json()["parts"]} == etags
        etags[2] = again.put(2, again.piece(content, 2))
        assert again.complete(dict(sorted(etags.items()))).status_code == 200
        assert again.fetch().content == content


def test_a_completion_names_the_etag_that_s3_gives_and_where_the_file_is(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True, auto_complete=True)
    pieces = {1: b"one", 2: b"two"}
    etags = {number: send(part_url(ticket, number), piece).headers["etag"] for number, piece in pieces.items()}
    answers = [send(ticket["part_url"], listed(etags), "POST") for _again in range(2)]
    joined = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces.values())).hexdigest()
    for answer in answers:
        assert answer.status_code == 200
        assert f'<ETag>"{joined}-2"</ETag>' in answer.text
        location = answer.text.partition("<Location>")[2].partition("</Location>")[0]
        assert send(location, method="GET").status_code == 401, "to upload is no right to read"
        assert http.get(location).content == b"onetwo"


def test_a_completion_in_the_way_of_s3_leaves_the_last_word_to_who_asked(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True)
    etags = {1: send(part_url(ticket, 1), b"one").headers["etag"]}
    for _again in range(2):
        answer = send(ticket["part_url"], listed(etags), "POST")
        assert (answer.status_code, "/f/" in answer.text) == (200, False)
    assert http.get(f"/api/uploads/{ticket['id']}").json()["state"] == "received"
    assert http.get(f"/api/files/{ticket['file_id']}").status_code == 404
    assert finish(http, ticket).json()["size"] == 3
    assert http.get(f"/api/files/{ticket['file_id']}/content").content == b"one"


@pytest.mark.folder("what its files take is measured")
def test_the_space_of_replaced_and_refused_parts_is_given_back(server: LiveServer, http: httpx.Client) -> None:
    ticket = open_ticket(http, size=2 * LARGE_PART, part_size=LARGE_PART, parts=True)
    before = set((server.data / "incoming").iterdir())
    for number in (1, 1, 1, 1, 2):
        content = os.urandom(LARGE_PART)
        assert send(part_url(ticket, number), content).status_code == 200
    wrong = {"Content-MD5": etag_md5(b"something else")}
    assert send(part_url(ticket, 2), os.urandom(LARGE_PART), headers=wrong).status_code == 400
    (gathered,) = set((server.data / "incoming").iterdir()) - before
    assert gathered.stat().st_size > 4 * LARGE_PART
    assert gathered.stat().st_blocks * 512 <= 2 * LARGE_PART + SMALL_PART
    assert finish(http, ticket).json()["size"] == 2 * LARGE_PART


def etag_md5(content: bytes) -> str:
    """Return the value of Content-MD5."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
