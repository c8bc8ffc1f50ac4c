"""tus 1.0.0 on a signed URL: what arrives is what was sent, every answer says what clients go by, nonsense changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import google_crc32c
import httpx
import pytest

from contract.edge import fetch
from support.live_server import LiveServer, MakeServer
from wire.asking import finish, send
from wire.test_signed_url import with_query
from wire.tus import BYTES, VERSION, call, checksum, create, is_there, metadata, offset_of, patch, stored, ticket

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def asked(http: httpx.Client) -> dict[str, Any]:
    return ticket(http)


@pytest.fixture
def url(asked: dict[str, Any]) -> str:
    return str(asked["url"])


def test_bytes_in_pieces_make_the_file(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, len(CONTENT))
    for start, end in ((0, 1), (1, 70_000), (70_000, 70_000), (70_000, len(CONTENT))):
        assert not is_there(http, asked)
        answer = patch(location, start, CONTENT[start:end])
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["upload-offset"] == str(end)
    assert stored(http, asked) == CONTENT
    assert offset_of(location) == offset_of(url) == len(CONTENT)


def test_a_ready_made_url_needs_no_creation(http: httpx.Client) -> None:
    asked = ticket(http, size=len(CONTENT))
    shown = call("HEAD", asked["url"])
    assert (shown.headers["upload-offset"], shown.headers["upload-length"]) == ("0", str(len(CONTENT)))
    assert patch(asked["url"], 0, CONTENT[:10]).headers["upload-offset"] == "10"
    assert patch(asked["url"], 10, CONTENT[10:]).status_code == 204
    assert stored(http, asked) == CONTENT


def test_a_ticket_that_waits_for_its_call_is_no_file_before(http: httpx.Client) -> None:
    asked = ticket(http, size=4, auto_complete=False)
    location = create(asked["url"], 4, b"four")
    assert offset_of(location) == 4
    assert not is_there(http, asked)
    assert finish(http, asked).status_code == 200
    assert stored(http, asked) == b"four"


def test_creation_names_an_absolute_url_that_lives_as_long_as_the_upload(url: str) -> None:
    answer = call("POST", url, Upload_Length="5")
    assert answer.status_code == 201
    assert answer.headers["upload-offset"] == "0"
    assert answer.headers["location"].startswith(url.split("/u/")[0] + "/u/")
    until = parsedate_to_datetime(answer.headers["upload-expires"])
    # What the ticket grants: an hour less than its day is room for a slow machine.
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    then = parsedate_to_datetime(patch(answer.headers["location"], 0, b"a").headers["upload-expires"])
    # With every byte the upload lives on; the URL, by a part of a second at most.
    assert timedelta(0) <= then - until <= timedelta(seconds=1)


def test_the_url_that_ends_sooner_says_so(url: str) -> None:
    create(url, 5)
    until = parsedate_to_datetime(patch(url, 0, b"a").headers["upload-expires"])
    assert until == datetime.fromisoformat(httpx.URL(url).params["se"])


def test_bytes_may_come_with_the_creation(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    answer = call("POST", url, CONTENT[:100], **BYTES, Upload_Length=str(len(CONTENT)))
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "100")
    assert patch(answer.headers["location"], 100, CONTENT[100:]).status_code == 204
    assert stored(http, asked) == CONTENT


def test_an_empty_upload_is_complete_at_once(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    answer = call("POST", url, Upload_Length="0", Upload_Metadata="")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "0")
    assert stored(http, asked) == b""


@pytest.mark.parametrize("last", [b"", b"!"], ids=["in a request of its own", "with the last bytes"])
def test_the_length_may_be_told_later(http: httpx.Client, asked: dict[str, Any], url: str, last: bytes) -> None:
    location = create(url, None)
    assert call("HEAD", location).headers["upload-defer-length"] == "1"
    assert patch(location, 0, CONTENT).status_code == 204
    assert not is_there(http, asked)
    size = len(CONTENT + last)
    assert patch(location, len(CONTENT), last, Upload_Length=str(size)).headers["upload-offset"] == str(size)
    assert stored(http, asked) == CONTENT + last
    shown = call("HEAD", location).headers
    assert (shown["upload-length"], "upload-defer-length" in shown) == (str(size), False)


def test_a_length_is_told_once(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, None)
    assert patch(location, 0, b"abc", Upload_Length="6").status_code == 204
    for other in ("5", "7"):
        assert patch(location, 3, b"def", Upload_Length=other).status_code == 400
    assert patch(location, 3, b"def", Upload_Length="6").status_code == 204
    assert stored(http, asked) == b"abcdef"


def test_a_length_cannot_be_less_than_has_come(url: str) -> None:
    location = create(url, None)
    assert patch(location, 0, b"abc").status_code == 204
    assert patch(location, 3, b"", Upload_Length="2").status_code == 400
    assert offset_of(location) == 3


@pytest.mark.parametrize(
    "said", ["", "filename YS5iaW4=", "a,b Yg==,is_it", "name w6k=,filetype dGV4dC9wbGFpbg=="], ids=str
)
def test_metadata_come_back_as_they_were_sent(url: str, said: str) -> None:
    location = create(url, 9, Upload_Metadata=said)
    assert call("HEAD", location).headers["upload-metadata"] == said
    assert patch(location, 0, b"x").status_code == 204
    assert call("HEAD", location).headers["upload-metadata"] == said


@pytest.mark.parametrize("said", ["a %", "a b c", "a YQ==,a YQ==", "é YQ==", "a YQ"], ids=str)
def test_metadata_that_cannot_be_read_are_refused(url: str, said: str) -> None:
    answer = send(url, method="POST", headers={**VERSION, "Upload-Length": "1", "Upload-Metadata": said.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_metadata")


def test_the_type_is_the_stated_one_where_the_ticket_named_none(http: httpx.Client) -> None:
    asked = ticket(http, name="a")
    create(asked["url"], 4, b"abcd", Upload_Metadata=metadata(filetype="text/csv"))
    assert http.get(f"/api/files/{asked['file_id']}").json()["content_type"] == "text/csv"
    promised = ticket(http, name="a", content_type="text/csv")
    said = metadata(filetype="image/png")
    assert call("POST", promised["url"], Upload_Length="4", Upload_Metadata=said).status_code == 415


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_a_checksum_that_is_wrong_keeps_nothing(
    http: httpx.Client, asked: dict[str, Any], url: str, algorithm: str
) -> None:
    location = create(url, 6)
    assert patch(location, 0, b"abc", Upload_Checksum=checksum(b"abc", algorithm)).status_code == 204
    refused = patch(location, 3, b"xyz", Upload_Checksum=checksum(b"def", algorithm))
    assert (refused.status_code, refused.json()["status"]) == (460, 460)
    assert offset_of(location) == 3
    assert patch(location, 3, b"def", Upload_Checksum=checksum(b"def", algorithm)).status_code == 204
    assert stored(http, asked) == b"abcdef"


def test_checksums_of_cyclic_redundancy_are_four_bytes_from_the_highest(http: httpx.Client) -> None:
    for said in ("crc32 y/Q5Jg==", "crc32c 4waSgw=="):
        asked = ticket(http, size=9)
        assert patch(asked["url"], 0, b"123456780", Upload_Checksum=said).status_code == 460
        assert patch(asked["url"], 0, b"123456789", Upload_Checksum=said).status_code == 204
    assert google_crc32c.value(b"123456789").to_bytes(4, "big").hex() == "e3069283"


@pytest.mark.parametrize(
    "said", ["", "sha1", "sha1 %", "sha1 YQ==", "whirlpool YQ==", "SHA1 YQ==", "crc64 YQ=="], ids=str
)
def test_a_checksum_that_cannot_be_verified_is_refused(url: str, said: str) -> None:
    """No body has a digest of another length, so that one is not matched by any."""
    status = 460 if said == "sha1 YQ==" else 400
    location = create(url, 3)
    assert patch(location, 0, b"abc", Upload_Checksum=said).status_code == status
    assert offset_of(location) == 0
    assert call("POST", url, b"abc", **BYTES, Upload_Length="3", Upload_Checksum=said).status_code == status


def test_a_digest_that_the_ticket_promises_holds_for_the_whole(http: httpx.Client) -> None:
    digest = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"
    asked = ticket(http, size=4, sha256=digest)
    assert patch(asked["url"], 0, b"ab").status_code == 204
    assert patch(asked["url"], 2, b"xx").status_code == 460
    assert offset_of(asked["url"]) == 0
    assert patch(asked["url"], 0, b"abcd").status_code == 204
    assert stored(http, asked) == b"abcd"


def test_an_upload_that_was_given_up_is_gone(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, 3, b"a")
    assert call("DELETE", location).status_code == 204
    for answer in (call("HEAD", location), patch(location, 1, b"bc"), call("DELETE", location)):
        assert answer.status_code == 410
        assert "upload-offset" not in answer.headers
    assert call("POST", url, Upload_Length="3").status_code == 410
    assert not is_there(http, asked)


def test_a_file_is_not_given_up(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, 3, b"abc")
    answer = call("DELETE", location)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert stored(http, asked) == b"abc"


def test_what_is_created_anew_begins_at_the_start(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, 99, b"bad")
    again = create(url, 6, Upload_Metadata="new bWV0YQ==")
    assert offset_of(location) == offset_of(again) == 0
    assert call("HEAD", location).headers["upload-metadata"] == "new bWV0YQ=="
    assert patch(again, 0, b"better").status_code == 204
    assert stored(http, asked) == b"better"


def test_a_method_may_be_overridden(http: httpx.Client, asked: dict[str, Any], url: str) -> None:
    location = create(url, 3)
    answer = call("POST", location, b"abc", **BYTES, Upload_Offset="0", X_HTTP_Method_Override="PATCH")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "3")
    assert stored(http, asked) == b"abc"
    assert call("POST", location, X_HTTP_Method_Override="HEAD").headers["upload-offset"] == "3"
    other = ticket(http)["url"]
    assert call("POST", other, X_HTTP_Method_Override="DELETE").status_code == 204
    assert call("HEAD", other).status_code == 410


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_discovery_needs_no_signature_and_no_version(url: str, signed: bool) -> None:
    answer = send(url if signed else url.partition("?")[0], method="OPTIONS", headers={"Tus-Resumable": "0.2.2"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    }
    assert int(answer.headers["tus-max-size"]) > 0
    assert answer.headers["tus-checksum-algorithm"].split(",")[0] == "sha1"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("version", ["0.2.2", "1.0.1", "", "1.0.0,1.0.0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_is_not_processed(http: httpx.Client, method: str, version: str) -> None:
    asked = ticket(http, size=1)
    answer = call(method, asked["url"], b"x", **BYTES, Upload_Offset="0", Upload_Length="1", Tus_Resumable=version)
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    assert offset_of(asked["url"]) == 0


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PATCH", {**BYTES, "Upload-Offset": "0"}),
        ("PATCH", {"Upload-Offset": "0"}),
        ("POST", {"Upload-Length": "1"}),
        ("POST", {**BYTES}),
        ("POST", {"Upload-Concat": "final;x"}),
    ],
)
def test_a_request_that_can_only_be_of_tus_must_name_its_version(
    http: httpx.Client, method: str, headers: dict[str, str]
) -> None:
    asked = ticket(http, size=1)
    answer = send(asked["url"], b"x", method, headers=headers)
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert offset_of(asked["url"]) == 0


NONSENSE = ["-1", "+1", "1.0", "0x1", "1e3", "", "１", "9" * 19, "9" * 4000, "1 1", "NaN"]


@pytest.mark.parametrize("number", NONSENSE, ids=lambda number: ascii(number[:20]))
def test_numbers_are_whole_bounded_and_not_negative(url: str, number: str) -> None:
    location = create(url, 5)
    written = {**VERSION, **BYTES}
    for method, headers in (
        ("POST", {"Upload-Length": number.encode()}),
        ("PATCH", {"Upload-Offset": number.encode()}),
        ("PATCH", {"Upload-Offset": b"0", "Upload-Length": number.encode()}),
    ):
        answer = send(location, b"abc", method, headers={**written, **headers})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert offset_of(location) == 0


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 400),
        ({"Upload_Length": "1", "Upload_Defer_Length": "1"}, 400),
        ({"Upload_Defer_Length": "0"}, 400),
        ({"Upload_Length": "8", "Upload_Defer_Length": ""}, 400),
        ({"Upload_Length": "4", "Upload_Concat": "part"}, 400),
        ({"Upload_Concat": "final;"}, 400),
        ({"Upload_Length": "9"}, 400),
        ({"Upload_Length": "8", "Content_Encoding": "gzip"}, 415),
    ],
    ids=str,
)
def test_a_creation_that_makes_no_sense_is_refused(http: httpx.Client, said: dict[str, str], status: int) -> None:
    asked = ticket(http, size=8)
    assert call("POST", asked["url"], **said).status_code == status
    assert patch(asked["url"], 0, b"12345678").status_code == 204


def test_what_is_larger_than_may_come_is_refused(http: httpx.Client, make_server: MakeServer) -> None:
    own = make_server(max_file_size="10")
    with own.client() as narrow:
        url = ticket(narrow)["url"]
        assert call("POST", url, Upload_Length="11").status_code == 413
        assert call("OPTIONS", url).headers["tus-max-size"] == "10"
        location = create(url, None)
        assert patch(location, 0, b"1234567890").status_code == 204
        assert patch(location, 10, b"1").status_code == 413
        assert offset_of(location) == 10


@pytest.mark.parametrize("kind", ["application/octet-stream", "", "application/offset+octet-stream-not", "text/plain"])
def test_bytes_have_one_type_only(url: str, kind: str) -> None:
    location = create(url, 3)
    for method in ("PATCH", "POST"):
        answer = call(method, location, b"abc", Content_Type=kind, Upload_Offset="0", Upload_Length="3")
        assert answer.status_code == 415
    assert offset_of(location) == 0


def test_an_empty_creation_may_have_any_type(url: str) -> None:
    """aiohttp gives a request without a body one."""
    answer = call("POST", url, b"", Content_Type="application/octet-stream", Upload_Length="3")
    assert answer.status_code == 201


def test_a_patch_needs_an_offset(url: str) -> None:
    assert call("PATCH", url, b"abc", **BYTES).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_methods_are_not_of_tus(url: str, method: str) -> None:
    answer = call(method, url, b"x" if method == "PUT" else None)
    assert answer.status_code == 405
    assert "PATCH" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("change", [{"sig": "A" * 23}, {"se": "2099-01-01T00:00:00Z"}, {"sp": "r"}, {"sig": None}])
def test_without_the_signature_nothing_is_told_and_nothing_done(
    http: httpx.Client, method: str, change: dict[str, str | None]
) -> None:
    asked = ticket(http, size=3)
    create(asked["url"], 3, b"a", Upload_Metadata=metadata(filename="secret"))
    headers = {**BYTES, "Upload_Offset": "1", "Upload_Length": "3"}
    answer = call(method, with_query(asked["url"], **change), b"bc", **headers)
    assert answer.status_code == 403
    assert not {"upload-offset", "upload-length", "upload-metadata", "location"} & set(answer.headers)
    assert offset_of(asked["url"]) == 1


def test_the_url_of_another_upload_is_not_this_ones(http: httpx.Client) -> None:
    mine, theirs = ticket(http, size=3), ticket(http, size=3)
    forged = theirs["url"].partition("?")[0] + "?" + mine["url"].partition("?")[2]
    assert call("DELETE", forged).status_code == 403
    assert patch(theirs["url"], 0, b"abc").status_code == 204


def test_a_page_of_another_origin_reads_answers_and_refusals(url: str) -> None:
    location = create(url, 3)
    for answer in (call("HEAD", location), patch(location, 0, b"a"), patch(location, 0, b"a")):
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert {"upload-offset", "location", "content-location", "tus-resumable"} <= set(exposed.split(", "))


def test_the_holder_of_a_signed_url_is_not_told_the_public_one(http: httpx.Client, asked: dict[str, Any]) -> None:
    location = create(asked["url"], 3)
    for answer in (patch(location, 0, b"abc"), call("HEAD", location)):
        assert "content-location" not in answer.headers


def test_large_uploads_in_many_pieces_survive_a_restart(make_server: MakeServer) -> None:
    own: LiveServer = make_server()
    content = os.urandom(3_000_000)
    with own.client() as http:
        asked = ticket(http, size=len(content))
        for start in range(0, len(content), 700_000):
            assert patch(asked["url"], start, content[start : start + 700_000]).status_code == 204
            if start == 700_000:
                own.restart()
        assert stored(http, asked) == content
        assert fetch(http.get(f"/api/files/{asked['file_id']}").json()["url"]).content == content
