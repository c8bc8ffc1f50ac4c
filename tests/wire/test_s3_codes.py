"""What clients of S3 decide by: codes of refusals, pages of lists, and checksums that are verified or said to be unknown."""

from __future__ import annotations

import base64
import hashlib
import xml.etree.ElementTree as ElementTree
from typing import Any

import anycrc
import httpx
import pytest

from contract.edge import fetch
from wire.asking import etag_of, finish, open_ticket, part_url, send
from wire.google_session import crc32c, md5

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def ticket(http: httpx.Client) -> dict[str, Any]:
    """A ticket that two parts have come to."""
    asked = open_ticket(http, parts=True)
    for number, content in ((1, b"first"), (2, b"second")):
        assert send(part_url(asked, number), content).status_code == 200
    return asked


def listed(*parts: tuple[int, bytes]) -> bytes:
    """Return a list of parts to complete."""
    rows = [f"<Part><PartNumber>{number}</PartNumber><ETag>{etag_of(of)}</ETag></Part>" for number, of in parts]
    return f"<CompleteMultipartUpload>{''.join(rows)}</CompleteMultipartUpload>".encode()


WHOLE = listed((1, b"first"), (2, b"second"))


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status and code of a refusal."""
    return answer.status_code, ElementTree.fromstring(answer.content).findtext("Code")


def crc64nvme(content: bytes) -> str:
    """Return the checksum as its header has it."""
    return base64.b64encode(anycrc.Model("CRC64-NVME").calc(content).to_bytes(8, "big")).decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"{}", "MalformedXML"),
        (b"<CompleteMultipartUpload>", "MalformedXML"),
        (b"<CompleteMultipartUpload/>", "MalformedXML"),
        (b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", "MalformedXML"),
        (listed((2, b"second"), (1, b"first")), "InvalidPartOrder"),
        (listed((1, b"first"), (1, b"first")), "InvalidPartOrder"),
        (listed((1, b"first"), (3, b"third")), "InvalidPart"),
        (listed((1, b"other")), "InvalidPart"),
    ],
)
def test_a_list_that_cannot_be_completed(ticket: dict[str, Any], body: bytes, code: str) -> None:
    assert refusal(send(ticket["part_url"], body, "POST")) == (400, code)
    assert send(ticket["part_url"], WHOLE, "POST").status_code == 200


@pytest.mark.parametrize("is_file", [False, True], ids=["received", "file"])
def test_an_upload_that_is_complete_is_none_any_more(http: httpx.Client, is_file: bool) -> None:
    asked = open_ticket(http, parts=True, auto_complete=is_file)
    assert send(part_url(asked, 1), b"first").status_code == 200
    assert send(asked["part_url"], listed((1, b"first")), "POST").status_code == 200
    assert refusal(send(part_url(asked, 1), b"first")) == (404, "NoSuchUpload")
    if is_file:
        assert refusal(send(asked["part_url"], method="GET")) == (404, "NoSuchUpload")
        assert refusal(send(asked["part_url"], method="DELETE")) == (404, "NoSuchUpload")
    # A completion whose answer was lost is answered again.
    assert send(asked["part_url"], listed((1, b"first")), "POST").status_code == 200


@pytest.mark.parametrize("asked", ["1000", "1001", "2147483647"])
def test_more_parts_than_a_page_has_may_be_asked_for(ticket: dict[str, Any], asked: str) -> None:
    answer = send(f"{ticket['part_url']}&max-parts={asked}", method="GET")
    document = ElementTree.fromstring(answer.content)
    assert document.findtext(f"{NAMESPACE}MaxParts") == "1000"
    assert len(document.findall(f"{NAMESPACE}Part")) == 2


def test_a_page_is_as_long_as_it_was_asked_for(ticket: dict[str, Any]) -> None:
    document = ElementTree.fromstring(send(f"{ticket['part_url']}&max-parts=1", method="GET").content)
    assert (document.findtext(f"{NAMESPACE}MaxParts"), document.findtext(f"{NAMESPACE}NextPartNumberMarker")) == (
        "1",
        "1",
    )
    for nonsense in ("0", "-1", "many"):
        assert refusal(send(f"{ticket['part_url']}&max-parts={nonsense}", method="GET")) == (400, "InvalidArgument")


def test_crc64nvme_is_verified_of_a_part_and_of_the_whole(http: httpx.Client, ticket: dict[str, Any]) -> None:
    of_part = {"x-amz-checksum-crc64nvme": crc64nvme(b"second")}
    assert refusal(send(part_url(ticket, 2), b"sacond", headers=of_part)) == (400, "BadDigest")
    assert send(part_url(ticket, 2), b"second", headers=of_part).status_code == 200
    of_whole = {"x-amz-checksum-crc64nvme": crc64nvme(b"firstsecond"), "x-amz-checksum-type": "FULL_OBJECT"}
    of_whole["x-amz-content-sha256"] = hashlib.sha256(
        WHOLE
    ).hexdigest()  # the list's own, as who signs requests sends it
    assert send(ticket["part_url"], WHOLE, "POST", headers=of_whole).status_code == 200
    assert fetch(finish(http, ticket).json()["url"]).content == b"firstsecond"


def test_a_whole_that_is_not_what_its_checksum_says_is_no_file(http: httpx.Client, ticket: dict[str, Any]) -> None:
    said = {"x-amz-checksum-crc64nvme": crc64nvme(b"something else"), "x-amz-checksum-type": "FULL_OBJECT"}
    assert refusal(send(ticket["part_url"], WHOLE, "POST", headers=said)) == (400, "BadDigest")
    assert finish(http, ticket).status_code == 409
    of_parts = {"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}
    assert refusal(send(ticket["part_url"], WHOLE, "POST", headers=of_parts)) == (400, "InvalidRequest")
    # It begins anew, as a stream does of which the same is found.
    assert send(part_url(ticket, 1), b"first").status_code == 200


@pytest.mark.parametrize("kind", ["xxhash64", "xxhash3", "xxhash128", "adler32"])
def test_a_checksum_of_an_unknown_kind_is_said_to_be_unknown(ticket: dict[str, Any], kind: str) -> None:
    named, value = {"x-amz-checksum-algorithm": kind.upper()}, {f"x-amz-checksum-{kind}": "AAAAAAAAAAA="}
    in_trailer = {
        "x-amz-trailer": f"x-amz-checksum-{kind}",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    create = f"{ticket['url']}&uploads"
    for answer in (
        send(create, b"", "POST", headers=named),
        send(part_url(ticket, 1), b"first", headers=value),
        send(part_url(ticket, 1), b"first", headers=in_trailer),
        send(part_url(ticket, 1), b"first", headers={"x-amz-sdk-checksum-algorithm": kind}),
        send(ticket["part_url"], WHOLE, "POST", headers=value),
    ):
        assert refusal(answer) == (400, "InvalidRequest")
        assert kind in answer.text.lower()
    assert send(create, b"", "POST", headers={"x-amz-checksum-algorithm": "CRC64NVME"}).status_code == 200


def test_clients_of_google_find_the_hashes_of_a_part_and_have_theirs_verified(ticket: dict[str, Any]) -> None:
    answer = send(part_url(ticket, 1), b"first", headers={"x-goog-hash": f"md5={md5(b'first')}"})
    assert answer.headers["x-goog-hash"] == f"crc32c={crc32c(b'first')},md5={md5(b'first')}"
    wrong = send(part_url(ticket, 1), b"first", headers={"x-goog-hash": f"crc32c={crc32c(b'other')}"})
    assert refusal(wrong) == (400, "BadDigest")
