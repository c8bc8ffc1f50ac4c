"""A plain PUT to a signed URL keeps exactly what was promised, and nothing of what it refuses."""

from __future__ import annotations

import base64
import hashlib
import os
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anycrc
import httpx
import pytest

from contract.edge import exchange, nothing_left, sha256_field
from support.live_server import LiveServer, MakeServer
from wire.asking import SMALL_PART, ask_one, confirm, confirmed, finish, open_ticket, part_url, send
from wire.slow import SlowPut

SIZE = 700_001
crc64nvme = anycrc.Model("CRC64-NVME").calc


def in_chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


def refused(answer: httpx.Response, status: int, code: str, s3: str = "") -> None:
    """Expect a problem with this code; or with S3's code its document, where the request has S3's words."""
    assert answer.headers["access-control-allow-origin"] == "*"
    if any(
        name.startswith(("x-amz-", "amz-sdk-"))
        for name in (*answer.request.headers, *map(str.lower, answer.url.params))
    ):
        document = ElementTree.fromstring(answer.content)
        assert (answer.status_code, document.tag, document.findtext("Code")) == (status, "Error", s3), answer.text
        return
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["code"] == code


def is_unspent(http: httpx.Client, ticket: dict[str, object]) -> bool:
    """Whether nothing was kept under a ticket."""
    return confirm(http, str(ticket["id"])).status_code == 409


@pytest.mark.parametrize("size", [0, 1, 65_536, SIZE, 5_000_000])
def test_a_body_comes_with_its_length_or_in_chunks(http: httpx.Client, size: int) -> None:
    content = os.urandom(size)
    for body in (content, in_chunks(content)):
        ticket = ask_one(http, size)
        answer = send(ticket["url"], body)
        assert answer.status_code == 200
        assert answer.json()["size"] == size
        assert confirmed(http, ticket) == content


def test_a_body_of_another_size_is_refused_and_nothing_of_it_kept(http: httpx.Client) -> None:
    content = os.urandom(SIZE)
    for body, status, code in (
        (content[:-1], 400, "size_mismatch"),
        (in_chunks(content[:-1]), 400, "size_mismatch"),
        (b"", 400, "size_mismatch"),
        (content + b"x", 413, "file_too_large"),
        (in_chunks(content + b"x"), 413, "file_too_large"),
    ):
        ticket = ask_one(http, SIZE)
        refused(send(ticket["url"], body), status, code)
        assert is_unspent(http, ticket)
        assert send(ticket["url"], content).status_code == 200


def test_a_refused_body_leaves_what_came_before_it(http: httpx.Client) -> None:
    ticket = ask_one(http, 3)
    assert send(ticket["url"], b"abc").status_code == 200
    refused(send(ticket["url"], b"abcd"), 413, "file_too_large")
    refused(send(ticket["url"], b"xyz", headers={"Content-Digest": sha256_field(b"other")}), 400, "digest_mismatch")
    assert confirmed(http, ticket) == b"abc"


def test_a_chunked_body_is_cut_off_as_soon_as_it_is_too_long(http: httpx.Client) -> None:
    """The sender never ends its body: an answer can only come from counting."""
    ticket = ask_one(http, 10)
    with SlowPut(ticket["url"], None) as put:
        put.send(b"b\r\nelevenbytes\r\n")
        status, body = put.answer()
    assert (status, "file_too_large" in body) == (413, True)
    assert is_unspent(http, ticket)


def test_a_body_that_announces_too_much_is_refused_unread(http: httpx.Client, server: LiveServer) -> None:
    ticket = ask_one(http, 10)
    target = ticket["url"].removeprefix(server.url)
    head = (
        f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = exchange(server, head.encode(), finish=False)
    assert answer.startswith(b"HTTP/1.1 413"), answer


def test_a_body_that_breaks_off_leaves_nothing(make_server: MakeServer) -> None:
    own = make_server()
    with own.client() as http:
        ticket = ask_one(http, 3_000_000)
        with SlowPut(ticket["url"], 3_000_000) as put:
            put.send(os.urandom(2_000_000))
        nothing_left(own)
        assert is_unspent(http, ticket)


def test_what_was_never_promised_may_have_any_size_up_to_the_maximum(http: httpx.Client) -> None:
    ticket = open_ticket(http, max_size=10)
    refused(send(ticket["url"], b"x" * 11), 413, "file_too_large")
    refused(send(ticket["url"], iter([b"x" * 11])), 413, "file_too_large")
    assert finish(http, ticket).status_code == 409
    assert send(ticket["url"], iter([b"x" * 5, b"y" * 5])).status_code == 200
    assert finish(http, ticket).json()["size"] == 10


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        ("Content-MD5", lambda content: base64.b64encode(hashlib.md5(content).digest()).decode()),
        ("Content-Digest", sha256_field),
        ("Repr-Digest", sha256_field),
        ("x-amz-checksum-sha256", lambda content: base64.b64encode(hashlib.sha256(content).digest()).decode()),
        ("x-amz-checksum-sha1", lambda content: base64.b64encode(hashlib.sha1(content).digest()).decode()),
        ("x-amz-checksum-crc32", lambda content: base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()),
        ("x-amz-checksum-crc64nvme", lambda content: base64.b64encode(crc64nvme(content).to_bytes(8, "big")).decode()),
    ],
)
def test_a_digest_sent_along_is_verified(http: httpx.Client, header: str, digest: object) -> None:
    assert callable(digest)
    ticket = ask_one(http, 5)
    refused(send(ticket["url"], b"right", headers={header: digest(b"wrong")}), 400, "digest_mismatch", s3="BadDigest")
    assert is_unspent(http, ticket)
    assert send(ticket["url"], b"right", headers={header: digest(b"right")}).status_code == 200
    assert confirmed(http, ticket) == b"right"


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("Content-MD5", "no", ""),
        ("x-amz-checksum-crc32", "AAA", "InvalidDigest"),
        ("x-amz-checksum-sha256", "AAAA", "InvalidDigest"),
        ("x-amz-checksum-crc64nvme", "AAAA", "InvalidDigest"),
        ("x-amz-checksum-xxhash64", "AAAAAAAAAAA=", "InvalidRequest"),
        ("x-amz-sdk-checksum-algorithm", "XXHASH3", "InvalidRequest"),
    ],
)
def test_a_digest_that_cannot_be_verified_is_refused(http: httpx.Client, header: str, value: str, code: str) -> None:
    ticket = ask_one(http, 5)
    answer = send(ticket["url"], b"right", headers={header: value})
    refused(answer, 400, "invalid_digest", s3=code)
    assert code != "InvalidRequest" or "xxhash" in answer.text.lower()
    assert is_unspent(http, ticket)


def test_a_refusal_of_what_comes_as_to_s3_is_the_document_that_its_clients_read(http: httpx.Client) -> None:
    """By a header, or by a parameter of the query, whatever the case."""
    url = ask_one(http, 5)["url"]
    for told, headers in (
        (f"{url}&X-Amz-Expires=60", {}),
        (url, {"amz-sdk-invocation-id": "1"}),
        (url, {"X-Amz-Date": "1"}),
    ):
        refused(send(told, b"123456", headers=headers), 413, "file_too_large", s3="EntityTooLarge")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "aws-chunked"},
        {"Content-Encoding": "gzip"},
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        {"x-amz-trailer": "x-amz-checksum-crc32"},
        {"x-amz-decoded-content-length": "2"},
    ],
)
def test_a_coded_body_is_never_stored_with_its_coding(http: httpx.Client, headers: dict[str, str]) -> None:
    framed = b"2\r\nhi\r\n0\r\nx-amz-checksum-crc32:2JLYrA==\r\n\r\n"
    ticket = ask_one(http, len(framed))
    refused(send(ticket["url"], framed, headers=headers), 415, "unsupported_type", s3="InvalidRequest")
    assert is_unspent(http, ticket)


def test_a_trailing_checksum_of_an_unknown_kind_is_said_to_be_unknown(http: httpx.Client) -> None:
    ticket = open_ticket(http, parts=True)
    headers = {"x-amz-trailer": "x-amz-checksum-xxhash128", "x-amz-sdk-checksum-algorithm": "XXHASH128"}
    for url in (ticket["url"], part_url(ticket, 1)):
        answer = send(url, b"2\r\nhi\r\n0\r\n\r\n", headers=headers)
        refused(answer, 400, "bad_request", s3="InvalidRequest")
        assert "XXHASH128" in answer.text


def test_of_two_bodies_at_once_the_last_to_finish_is_kept_whole(http: httpx.Client) -> None:
    ticket = ask_one(http, SIZE)
    with SlowPut(ticket["url"], SIZE) as slow:
        slow.send(b"A" * (SIZE - 1))
        assert send(ticket["url"], b"B" * SIZE).status_code == 200
        slow.send(b"A")
        assert slow.answer()[0] == 200
    assert confirmed(http, ticket) == b"A" * SIZE


def test_a_body_that_ends_after_confirmation_is_too_late(http: httpx.Client) -> None:
    ticket = ask_one(http, SIZE)
    with SlowPut(ticket["url"], SIZE) as slow:
        slow.send(b"A" * (SIZE - 1))
        assert send(ticket["url"], b"B" * SIZE).status_code == 200
        assert confirmed(http, ticket) == b"B" * SIZE
        slow.send(b"A")
        status, body = slow.answer()
    assert (status, "already_uploaded" in body) == (409, True)
    assert confirmed(http, ticket) == b"B" * SIZE


def test_many_senders_of_one_file_leave_one_of_their_bodies(http: httpx.Client) -> None:
    ticket = ask_one(http, SIZE)
    bodies = [bytes([letter]) * SIZE for letter in b"ABCDEFGH"]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: send(ticket["url"], body).status_code, bodies))
    assert answers == [200] * len(bodies)
    assert confirmed(http, ticket) in bodies


@pytest.mark.parametrize("stated", ["image/png", "text/html", "application/zip"])
def test_a_body_that_says_it_is_of_another_type_is_refused(http: httpx.Client, stated: str) -> None:
    ticket = ask_one(http, 3, contentType="application/pdf")
    refused(send(ticket["url"], b"abc", headers={"Content-Type": stated}), 415, "unsupported_type")
    assert is_unspent(http, ticket)


@pytest.mark.parametrize("stated", ["application/pdf", "application/PDF; v=1", "application/octet-stream", None])
def test_a_body_of_the_promised_type_or_of_none_is_taken(http: httpx.Client, stated: str | None) -> None:
    ticket = ask_one(http, 3, contentType="application/pdf")
    headers = {} if stated is None else {"Content-Type": stated}
    assert send(ticket["url"], b"abc", headers=headers).status_code == 200
    assert confirmed(http, ticket) == b"abc"


def test_a_promised_sha256_is_told_of_a_file_in_parts(http: httpx.Client) -> None:
    content = os.urandom(SMALL_PART + 1)
    ticket = open_ticket(
        http, size=len(content), part_size=SMALL_PART, sha256=hashlib.sha256(content).hexdigest(), parts=True
    )
    for number, start in enumerate(range(0, len(content), SMALL_PART), 1):
        send(f"{ticket['part_url']}&partNumber={number}", content[start : start + SMALL_PART])
    assert finish(http, ticket).json()["sha256"] == hashlib.sha256(content).hexdigest()
