"""Azure's operations on a signed URL: what is stored is what was sent, in the order listed; what is refused leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import httpx
import pytest
from litestar.testing import RequestFactory

from contract.edge import exchange
from contract.workspace import Place
from fileferry.errors import FerryError, InsufficientStorage, RateLimited, Unavailable
from fileferry.web.azure import render_error
from support.live_server import LiveServer, MakeServer
from wire.asking import finish, open_ticket, send
from wire.blob import (
    BLOCK_BLOB,
    VERSION,
    ask,
    block_id,
    block_list,
    get_list,
    listed,
    md5_of,
    put_blob,
    put_block,
    put_list,
    send_list,
)
from wire.slow import SlowPut

NAME = "reports/a.bin"
CRC64_OF_123456789 = "iJh5CoYUi64="
"""The check value of CRC-64/NVME, AE8B14860A799888, in eight bytes from the lowest: what Azure calls a CRC-64."""


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


@pytest.fixture
def url(place: Place) -> str:
    return str(place.ask(NAME)["upload"])


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers.get("x-ms-error-code")) == (status, code), answer.text
    assert answer.headers["x-ms-request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"
    if answer.request.method != "HEAD":
        assert answer.headers["content-type"] == "application/xml"
        assert f"<Code>{code}</Code>" in answer.text


def is_empty(place: Place) -> bool:
    """Whether no version has come of the upload."""
    return place.http.get(place.at(NAME)).status_code == 404


def chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


@pytest.mark.parametrize("size", [0, 1, 700_001])
def test_put_blob_makes_a_version_of_a_body_with_or_without_its_length(place: Place, size: int) -> None:
    content = os.urandom(size)
    for body in (content, chunks(content)):
        answer = put_blob(place.ask(NAME)["upload"], body, x_ms_client_request_id="mine")
        assert (answer.status_code, answer.content) == (201, b"")
        assert answer.headers["content-md5"] == md5_of(content)
        assert answer.headers["x-ms-version"] == VERSION["x-ms-version"]
        assert answer.headers["x-ms-client-request-id"] == "mine"
        assert answer.headers["x-ms-request-server-encrypted"] == "false"
        assert answer.headers["etag"].startswith('"')
        assert answer.headers["last-modified"].endswith("GMT")
        assert place.content(NAME) == content


def test_blocks_make_the_blob_in_the_order_of_the_list_and_not_of_their_coming(place: Place, url: str) -> None:
    pieces = {f"{number:04}": os.urandom(50_000 + number) for number in range(20)}
    coming = list(pieces)
    Random(4).shuffle(coming)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda name: put_block(url, name, pieces[name]), coming))
    for name, answer in zip(coming, answers, strict=True):
        assert (answer.status_code, answer.content) == (201, b"")
        assert answer.headers["content-md5"] == md5_of(pieces[name])
        assert "etag" not in answer.headers
    wanted = list(reversed(pieces))
    answer = put_list(url, *wanted)
    assert (answer.status_code, answer.content) == (201, b"")
    assert place.content(NAME) == b"".join(pieces[name] for name in wanted)


def test_a_block_sent_again_replaces_itself_until_the_list_comes(place: Place, url: str) -> None:
    for content in (b"first try", b"second", b"third and last"):
        assert put_block(url, "a", content).status_code == 201
    assert listed(get_list(url))["UncommittedBlocks"] == [("a", 14)]
    assert put_list(url, "a").status_code == 201
    assert place.content(NAME) == b"third and last"


def test_blocks_that_are_not_listed_are_left_out(place: Place, url: str) -> None:
    for name in ("a", "b", "c"):
        put_block(url, name, name.encode() * 10)
    assert put_list(url, "c", "a").status_code == 201
    assert place.content(NAME) == b"c" * 10 + b"a" * 10
    assert listed(get_list(url)) == {"CommittedBlocks": [("c", 10), ("a", 10)], "UncommittedBlocks": []}


def test_a_block_may_be_listed_twice(place: Place, url: str) -> None:
    put_block(url, "a", b"one")
    put_block(url, "b", b"two")
    for _ in range(2):
        assert put_list(url, "a", "b", "a").status_code == 201
    assert place.content(NAME) == b"onetwoone"
    assert listed(get_list(url))["CommittedBlocks"] == [("a", 3), ("b", 3), ("a", 3)]


def test_of_many_that_create_at_once_one_does(place: Place, url: str) -> None:
    contents = [bytes([number]) * 500_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda content: put_blob(url, content, If_None_Match="*"), contents))
    (created,) = [content for content, answer in zip(contents, answers, strict=True) if answer.status_code == 201]
    for answer in answers:
        if answer.status_code != 201:
            refused(answer, 409, "BlobAlreadyExists")
    assert place.content(NAME) == created
    assert len(place.get(NAME, include_versions=True)["versions"]) == 1


def test_a_block_that_comes_in_many_attempts_at_once_is_one_of_them(place: Place, url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: put_block(url, "a", bytes([number]) * 200_000), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert put_list(url, "a").status_code == 201
    content = place.content(NAME)
    assert (len(content), len(set(content))) == (200_000, 1)


def test_a_list_without_blocks_makes_an_empty_blob(place: Place, url: str) -> None:
    assert put_list(url).status_code == 201
    assert place.content(NAME) == b""


def test_an_empty_block_is_a_block(place: Place, url: str) -> None:
    assert put_block(url, "a", b"").status_code == 201
    assert put_block(url, "b", b"x").status_code == 201
    assert put_list(url, "a", "b").status_code == 201
    assert place.content(NAME) == b"x"


def test_the_same_list_again_gets_the_same_answer(place: Place, url: str) -> None:
    put_block(url, "a", b"one")
    first, second = put_list(url, "a"), put_list(url, "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["etag"] == second.headers["etag"]
    assert len(place.get(NAME, include_versions=True)["versions"]) == 1


def test_the_same_blob_again_gets_the_same_answer_and_another_is_refused(place: Place, url: str) -> None:
    first, second = put_blob(url, b"one"), put_blob(url, b"one")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers["etag"] == second.headers["etag"]
    refused(put_blob(url, b"two"), 409, "BlobAlreadyExists")
    refused(put_block(url, "a", b"two"), 409, "BlobAlreadyExists")
    assert place.content(NAME) == b"one"


def test_block_requests_need_no_header_of_azures(place: Place, url: str) -> None:
    """As a published client sends them: all there is, is the query."""
    assert put_block(url, "a", b"one").status_code == 201
    answer = send_list(url, block_list("a"), Content_Type="text/plain; charset=UTF-8")
    assert (answer.status_code, "x-ms-version" in answer.headers) == (201, False)
    assert place.content(NAME) == b"one"


def test_a_plus_sign_in_a_block_id_may_come_unquoted(place: Place, url: str) -> None:
    name = "\N{LATIN SMALL LETTER O WITH STROKE}>~"
    assert "+" in block_id(name)
    assert send(f"{url}&comp=block&blockid={block_id(name)}", b"one").status_code == 201
    assert put_list(url, name).status_code == 201
    assert place.content(NAME) == b"one"


def test_kinds_of_the_list_say_where_a_block_is_looked_for(place: Place, url: str) -> None:
    put_block(url, "a", b"one")
    refused(send_list(url, block_list("a", kind="Committed")), 400, "InvalidBlockList")
    assert send_list(url, block_list("a", kind="Uncommitted")).status_code == 201
    assert place.content(NAME) == b"one"


def test_what_has_arrived_can_be_listed(url: str) -> None:
    refused(get_list(url), 404, "BlobNotFound")
    put_block(url, "a", b"one")
    put_block(url, "b", b"four")
    answer = get_list(url)
    assert answer.headers["x-ms-blob-content-length"] == "0"
    assert listed(answer) == {"CommittedBlocks": [], "UncommittedBlocks": [("a", 3), ("b", 4)]}
    assert listed(get_list(url, "committed")) == {"CommittedBlocks": [], "UncommittedBlocks": []}
    put_list(url, "b", "a")
    answer = get_list(url, "committed")
    assert answer.headers["x-ms-blob-content-length"] == "7"
    assert listed(answer)["CommittedBlocks"] == [("b", 4), ("a", 3)]
    refused(get_list(url, "new"), 400, "InvalidQueryParameterValue")


def test_properties_are_there_once_the_bytes_are(place: Place, url: str) -> None:
    refused(ask(url, "HEAD"), 404, "BlobNotFound")
    put_block(url, "a", b"%PDF-1.7 ")
    refused(ask(url, "HEAD"), 404, "BlobNotFound")
    created = put_list(url, "a", x_ms_blob_content_type="application/pdf")
    answer = ask(url, "HEAD")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "9"
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-ms-blob-type"] == "BlockBlob"
    assert answer.headers["etag"] == created.headers["etag"]
    assert place.get(NAME)["size"] == 9


def test_the_right_to_upload_is_none_to_read(url: str) -> None:
    put_blob(url, b"one")
    for headers in ({}, {"x_ms_range": "bytes=0-1"}):
        refused(ask(url, "GET", **headers), 403, "AuthorizationPermissionMismatch")


def test_the_type_of_the_blob_is_the_one_said_of_it_and_not_that_of_the_request(place: Place) -> None:
    for type_of_blob, served in (("application/pdf", "application/pdf"), ("application/octet-stream", "text/plain")):
        ticket = place.ask("a.txt" if served == "text/plain" else "a.dat")
        put_blob(
            ticket["upload"],
            b"%PDF-1.7 " if type_of_blob == "application/pdf" else b"text",
            Content_Type="application/octet-stream",
            x_ms_blob_content_type=type_of_blob,
        )
        assert ask(ticket["upload"], "HEAD").headers["content-type"] == served


def test_metadata_tags_and_tiers_are_taken_and_not_kept(place: Place, url: str) -> None:
    answer = put_blob(url, b"one", x_ms_meta_order="17", x_ms_tags="a=b", x_ms_access_tier="Hot", x_ms_date="today")
    assert answer.status_code == 201
    assert not [name for name in ask(url, "HEAD").headers if name.startswith("x-ms-meta")]
    assert place.content(NAME) == b"one"


@pytest.mark.parametrize(
    ("header", "wrong", "right", "code"),
    [
        ("Content_MD5", md5_of(b"other"), md5_of(b"123456789"), "Md5Mismatch"),
        ("x_ms_content_crc64", "AAAAAAAAAAA=", CRC64_OF_123456789, "Crc64Mismatch"),
    ],
)
def test_a_digest_sent_along_is_verified(place: Place, header: str, wrong: str, right: str, code: str) -> None:
    content = b"123456789"
    whole, pieces = (place.ask(name)["upload"] for name in ("whole.bin", "pieces.bin"))
    refused(put_blob(whole, content, **{header: wrong}), 400, code)
    refused(put_blob(whole, content, **{header: "no"}), 400, "InvalidHeaderValue")
    refused(put_block(pieces, "a", content, **{header: wrong}), 400, code)
    refused(get_list(pieces), 404, "BlobNotFound")
    assert put_blob(whole, content, **{header: right}).status_code == 201
    answer = put_block(pieces, "a", content, **{header: right})
    assert (answer.status_code, answer.headers[header.replace("_", "-")]) == (201, right)
    refused(put_list(pieces, "a", **{header: wrong}), 400, code)
    assert put_list(pieces, "a").status_code == 201
    assert place.content("whole.bin") == place.content("pieces.bin") == content


def test_the_md5_of_a_list_is_that_of_the_list(url: str) -> None:
    """The SDK holds the answer's against the one it sent."""
    put_block(url, "a", b"one")
    document = block_list("a")
    answer = send_list(url, document, Content_MD5=md5_of(document))
    assert (answer.status_code, answer.headers["content-md5"]) == (201, md5_of(document))


def test_the_md5_of_the_whole_is_verified(place: Place, url: str) -> None:
    refused(put_blob(url, b"one", x_ms_blob_content_md5=md5_of(b"other")), 400, "Md5Mismatch")
    put_block(url, "a", b"one")
    put_block(url, "b", b"two")
    refused(put_list(url, "a", "b", x_ms_blob_content_md5=md5_of(b"other")), 400, "Md5Mismatch")
    assert is_empty(place)
    # The blocks were not what was meant: all of them come again.
    refused(put_list(url, "a", "b"), 400, "InvalidBlockList")
    put_block(url, "a", b"one")
    put_block(url, "b", b"two")
    assert put_list(url, "a", "b", x_ms_blob_content_md5=md5_of(b"onetwo")).status_code == 201
    assert place.content(NAME) == b"onetwo"
    assert ask(url, "HEAD").headers["content-md5"] == md5_of(b"onetwo")


def test_only_the_first_may_create(place: Place, url: str) -> None:
    assert put_blob(url, b"one", If_None_Match="*").status_code == 201
    refused(put_blob(url, b"two", If_None_Match="*"), 409, "BlobAlreadyExists")
    pieces = place.ask("pieces.bin")["upload"]
    put_block(pieces, "a", b"one")
    assert put_list(pieces, "a", If_None_Match="*").status_code == 201
    refused(put_list(pieces, "a", If_None_Match="*"), 409, "BlobAlreadyExists")


def test_a_condition_is_held_against_what_has_arrived(url: str) -> None:
    for header in ("*", '"other"'):
        refused(put_blob(url, b"one", If_Match=header), 412, "ConditionNotMet")
    etag = put_blob(url, b"one").headers["etag"]
    assert put_blob(url, b"one", If_Match=etag).status_code == 201
    refused(put_blob(url, b"one", If_Match='"other"'), 412, "ConditionNotMet")
    refused(put_blob(url, b"one", If_None_Match=etag), 412, "ConditionNotMet")
    refused(ask(url, "HEAD", If_Match='"other"'), 412, "ConditionNotMet")


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("", VERSION, "MissingRequiredHeader"),
        ("", {**VERSION, "x-ms-blob-type": "PageBlob"}, "InvalidHeaderValue"),
        ("", {**BLOCK_BLOB, "x-ms-structured-body": "XSM/1.0; properties=crc64"}, "UnsupportedHeader"),
        ("", {**BLOCK_BLOB, "x-ms-copy-source": "http://127.0.0.1/x"}, "UnsupportedHeader"),
        ("", {**BLOCK_BLOB, "x-ms-encryption-key": "AAAA"}, "UnsupportedHeader"),
        ("", {**BLOCK_BLOB, "Content-Length": "3", "Content-Encoding": "gzip"}, "InvalidHeaderValue"),
        ("&comp=metadata", {}, "InvalidQueryParameterValue"),
        ("&comp=", {}, "InvalidQueryParameterValue"),
        ("&comp=appendblock", VERSION, "InvalidQueryParameterValue"),
        ("&comp=block", {}, "MissingRequiredQueryParameter"),
        ("&comp=block&blockid=%21%21", {}, "InvalidQueryParameterValue"),
        ("&comp=block&blockid=" + block_id("x" * 65), {}, "InvalidQueryParameterValue"),
        ("&comp=block&blockid=" + block_id("../../x") + "%0d%0aX-Injected:%201", {}, "InvalidQueryParameterValue"),
    ],
)
def test_what_is_not_understood_is_named_and_keeps_nothing(
    place: Place, url: str, query: str, headers: dict[str, str], code: str
) -> None:
    answer = send(url + query, b"bad", headers=headers)
    refused(answer, 415 if "Content-Encoding" in headers else 400, code)
    assert "x-injected" not in answer.headers
    refused(get_list(url), 404, "BlobNotFound")
    assert is_empty(place)


def test_a_lease_is_not_met(url: str) -> None:
    refused(put_blob(url, b"one", x_ms_lease_id="one"), 412, "LeaseNotPresentWithBlobOperation")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "InvalidXmlDocument"),
        (b"<oops", "InvalidXmlDocument"),
        (b"<BlockList><Other>YQ==</Other></BlockList>", "InvalidXmlDocument"),
        (b"<Blocks/>", "InvalidXmlDocument"),
        (b'<!DOCTYPE x [<!ENTITY a "YQ==">]><BlockList><Latest>&a;</Latest></BlockList>', "InvalidXmlDocument"),
        (block_list("a").decode().replace("utf-8", "utf-16").encode("utf-16"), "InvalidXmlDocument"),
        (b"<BlockList><Latest>!!</Latest></BlockList>", "InvalidBlockList"),
        (b"<BlockList><Latest/></BlockList>", "InvalidBlockList"),
        (block_list("z"), "InvalidBlockList"),
        (block_list("a", "z"), "InvalidBlockList"),
        (block_list(*["a"] * 50_001), "BlockListTooLong"),
    ],
)
def test_a_list_that_cannot_be_used_changes_nothing(place: Place, url: str, document: bytes, code: str) -> None:
    put_block(url, "a", b"one")
    refused(send_list(url, document), 400, code)
    assert is_empty(place)
    assert put_list(url, "a").status_code == 201
    assert place.content(NAME) == b"one"


def test_a_list_has_a_largest_size(url: str) -> None:
    refused(send_list(url, b"<BlockList>" + b" " * 8 * 1024 * 1024), 413, "RequestBodyTooLarge")


def test_block_ids_of_one_upload_are_equally_long(url: str) -> None:
    assert put_block(url, "aa", b"one").status_code == 201
    refused(put_block(url, "aaa", b"two"), 400, "InvalidBlobOrBlock")
    assert listed(get_list(url))["UncommittedBlocks"] == [("aa", 3)]


def test_a_block_announced_larger_than_any_may_be_is_refused_unread(server: LiveServer, url: str) -> None:
    target = url.removeprefix(server.url) + "&comp=block&blockid=YQ%3D%3D"
    size = 4000 * 1024**2 + 1
    head = f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n"
    answer = exchange(server, head.encode(), finish=False)
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert b"<Code>RequestBodyTooLarge</Code>" in answer


def test_a_block_that_breaks_off_is_none(url: str) -> None:
    with SlowPut(f"{url}&comp=block&blockid=YQ%3D%3D", 3_000_000) as put:
        put.send(os.urandom(1_000_000))
    refused(get_list(url), 404, "BlobNotFound")


def test_delete_ends_an_upload_and_spares_a_version(place: Place, url: str) -> None:
    put_block(url, "a", b"one")
    assert ask(url, "DELETE").status_code == 202
    assert put_list(url, "a").status_code in (403, 410)
    assert is_empty(place)
    done = place.ask(NAME)["upload"]
    put_blob(done, b"one")
    refused(ask(done, "DELETE"), 409, "BlobImmutableDueToPolicy")
    assert place.content(NAME) == b"one"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_methods_are_refused(url: str, method: str) -> None:
    refused(ask(url, method), 405, "UnsupportedHttpVerb")


def test_a_url_that_is_not_valid_is_refused_in_azures_words(place: Place, url: str) -> None:
    for answer in (
        put_blob(url.replace("sig=", "sig=A"), b"one"),
        put_block(url.partition("?")[0] + "?x=", "a", b"one"),
        put_list(url.replace("sp=", "sp=r"), "a"),
    ):
        refused(answer, 403, "AuthenticationFailed")
    assert is_empty(place)


def test_an_expired_url_is_refused_in_azures_words(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(upload_url_lifetime="1s")
    with own.client() as http:
        ticket = open_ticket(http, auto_complete=True)
        put_block(ticket["url"], "a", b"one")
        while put_block(ticket["url"], "a", b"one").status_code == 201:
            pass
        refused(put_block(ticket["url"], "a", b"one"), 403, "AuthenticationFailed")


def test_what_would_be_too_large_is_refused(make_server: MakeServer) -> None:
    own = make_server(max_file_size="1MiB")
    with own.client() as http:
        ticket = open_ticket(http, auto_complete=True)
        refused(put_blob(ticket["url"], b"x" * (1024**2 + 1)), 413, "RequestBodyTooLarge")
        refused(put_blob(ticket["url"], chunks(b"x" * (1024**2 + 1))), 413, "RequestBodyTooLarge")
        for name in ("a", "b"):
            put_block(ticket["url"], name, b"x" * 700_000)
        assert "RequestBodyTooLarge" in (
            put_block(ticket["url"], "c", b"x" * 700_000).text + put_list(ticket["url"], "a", "b").text
        )


@pytest.mark.parametrize(
    "error", [RateLimited(retry_after=7), Unavailable(retry_after=7), InsufficientStorage(retry_after=7)]
)
def test_what_has_to_be_waited_for_is_what_azures_clients_repeat(error: FerryError) -> None:
    """They repeat a 503, and take a 429 or a 507 for the end."""
    answer = render_error(RequestFactory().put("/u/x/y"), error)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (503, "ServerBusy")
    assert answer.headers["Retry-After"] == "7"


def test_a_ticket_that_is_completed_by_a_call_waits_for_it(http: httpx.Client) -> None:
    ticket = open_ticket(http)
    put_block(ticket["url"], "a", b"one")
    assert finish(http, ticket).status_code == 409
    answer = put_list(ticket["url"], "a")
    assert answer.status_code == 201
    assert ask(ticket["url"], "HEAD").headers["content-length"] == "3"
    made = finish(http, ticket)
    assert (made.status_code, made.json()["size"], made.json()["etag"]) == (200, 3, answer.headers["etag"])


def test_a_page_of_another_origin_may_do_all_that(server: LiveServer, url: str) -> None:
    asked = "content-md5,if-none-match,x-ms-blob-type,x-ms-client-request-id,x-ms-date,x-ms-meta-any,x-ms-version"
    headers = {"Origin": "https://example.org", "Access-Control-Request-Headers": asked}
    answer = send(url.partition("?")[0], method="OPTIONS", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-headers"]) == (200, asked)
    exposed = put_blob(url, b"one").headers["access-control-expose-headers"].lower()
    for name in ("etag", "x-ms-request-id", "x-ms-version", "x-ms-error-code", "content-md5", "x-ms-content-crc64"):
        assert name in exposed
