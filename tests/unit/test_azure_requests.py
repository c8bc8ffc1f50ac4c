"""Requests to Azure: how they and URLs are signed, what settings open, and what becomes of them when the store fails."""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import azure.storage.blob._shared_access_signature as sdk_signature
import pytest
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest
from azure.storage.blob import generate_blob_sas
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

from fileferry.blobs.azure import Client, Credentials, parse, resolve, signing
from fileferry.blobs.azure.objects import Objects, block_id
from fileferry.blobs.objects.requests import Pause
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.settings import load
from unit.scripted_store import CUT, OK, Script, answer, refusal

NOW = datetime(2026, 11, 30, 8, 9, 10, tzinfo=UTC)
KEY = base64.b64encode(b"the key of an account").decode()
ACCOUNT = "anaccount"
CREATED = b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\nETag: "1"\r\n\r\n'


def opened(endpoint: str, pause: Pause) -> tuple[Client, Objects]:
    location = parse(f"az://container/prefix?endpoint={endpoint}", ACCOUNT)
    client = Client(location, signing.credentials_of(ACCOUNT, KEY, None), pause=pause)
    return client, Objects(client, location.prefix)


def run(script: Script, use: Any) -> Any:
    return script.run(use, opened)


# The SDK sends no Range, and would not sign it; that we do is what Azurite verifies.
REQUESTS = [
    ("GET", "/container/pre/fix/blobs/a/whole", [], {"x-ms-range": "bytes=0-9"}),
    ("PUT", "/container/a.b-c_d", [], {"content-md5": "abc=", "if-none-match": "*", "content-length": "3"}),
    (
        "PUT",
        "/a/c/b",
        [("comp", "block"), ("blockid", "YS9iK2M=")],
        {"content-length": "0", "x-ms-blob-type": "BlockBlob"},
    ),
    ("GET", "/container", [("restype", "container"), ("comp", "list"), ("prefix", "a/b c"), ("marker", "1/2+3==")], {}),
    ("DELETE", "/container/a", [], {"x-ms-delete-snapshots": "include", "if-match": '"0x8"'}),
    ("PUT", "/container/a", [], {"x-ms-copy-source": "https://h/c/b?sig=a%2Fb", "content-type": "text/plain"}),
]


@pytest.mark.parametrize(("method", "path", "query", "headers"), REQUESTS)
def test_a_request_is_signed_as_the_sdk_signs_it(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    ours = signing.signed(signing.credentials_of(ACCOUNT, KEY, None), method, path, query, headers, NOW)
    written = signing.query_string(query)
    request = HttpRequest(method, f"https://host{path}?{written}" if query else f"https://host{path}")
    request.headers.update({name: value for name, value in ours.items() if name != "authorization"})
    context = PipelineContext(None)
    SharedKeyCredentialPolicy(ACCOUNT, KEY).on_request(PipelineRequest(request, context))
    assert ours["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize("presented", [{}, {"rscc": "no-store", "rscd": 'attachment; filename="é"', "rsct": "text/a"}])
def test_a_url_is_signed_as_the_sdk_signs_it(presented: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_signature, "X_MS_VERSION", signing.VERSION)
    theirs = generate_blob_sas(
        ACCOUNT,
        "container",
        "pre/blobs/a/whole",
        account_key=KEY,
        permission="r",
        expiry=NOW + timedelta(seconds=90),
        protocol="https",
        cache_control=presented.get("rscc"),
        content_disposition=presented.get("rscd"),
        content_type=presented.get("rsct"),
    )
    credentials = signing.credentials_of(ACCOUNT, KEY, None)
    ends = NOW + timedelta(seconds=90)
    ours = signing.shared_access(credentials, "container/pre/blobs/a/whole", "r", "https", ends, presented)
    assert dict(parse_qsl(ours)) == dict(parse_qsl(theirs))


LOCATIONS = {
    "az://files?account=ab1": ("https://ab1.blob.core.windows.net", "/files/", "", "https://ab1.blob.core.windows.net"),
    "az://files/a/b/": (
        "https://anaccount.blob.core.windows.net",
        "/files/",
        "a/b/",
        "https://anaccount.blob.core.windows.net",
    ),
    "az://files?endpoint=http://127.0.0.1:10000/anaccount": ("http://127.0.0.1:10000", "/anaccount/files/", "", None),
    "az://files?endpoint=https://inner.example&public=https://files.example/": (
        "https://inner.example",
        "/files/",
        "",
        "https://files.example",
    ),
}


@pytest.mark.parametrize(("url", "expected"), LOCATIONS.items())
def test_the_place_of_a_container_is_read_from_the_setting(url: str, expected: tuple[str, ...]) -> None:
    read = parse(url, ACCOUNT)
    assert (read.origin, read.root, read.prefix, read.public) == expected


@pytest.mark.parametrize(
    "url",
    [
        "az://",
        "az://B?account=abc",
        "az://a--b?account=abc",
        "az://files?account=A",
        "az://files",
        "az://key:secret@files?account=abc",
        "az://files/a./b?account=abc",
        "az://files?account=abc&endpoint=http://x/a/b",
        "az://files?account=abc&acount=abd",
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_anything_is_made(url: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        parse(url)


CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=anaccount;AccountKey={KEY};EndpointSuffix=core.example"


def test_an_account_is_opened_by_its_key_a_token_or_a_connection_string() -> None:
    given: dict[str, str | None] = {"account": ACCOUNT, "key": None, "sas": None, "connection": None}
    assert resolve("az://files", **{**given, "key": KEY})[1].key == b"the key of an account"
    assert resolve("az://files", **{**given, "sas": "?sv=1&sig=2"})[1] == Credentials(ACCOUNT, sas="sv=1&sig=2")
    location, credentials = resolve("az://files/a", **{**given, "account": None, "connection": CONNECTION})
    assert (location.origin, location.public) == ("https://anaccount.blob.core.example", None)
    assert credentials.key == b"the key of an account"
    assert KEY not in repr(credentials)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "AZURE_STORAGE_KEY"),
        ({"key": "not base64"}, "base64"),
        ({"connection": "AccountName"}, "NAME=VALUE"),
        ({"connection": "AccountName=another;AccountKey=aaaa"}, "another account"),
        ({"connection": "AccountName=anaccount"}, "neither"),
    ],
)
def test_credentials_that_cannot_be_used_are_told_in_a_sentence(given: dict[str, str], sentence: str) -> None:
    words: dict[str, str | None] = {"account": None, "key": None, "sas": None, "connection": None, **given}
    with pytest.raises(ValueError, match=sentence):
        resolve("az://files?account=anaccount", **words)


def test_credentials_are_read_from_the_usual_variables_and_never_mixed_with_our_own() -> None:
    usual = {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_SAS_TOKEN": "a", "AZURE_STORAGE_ACCOUNT": ACCOUNT}
    read = load({**usual, "FILEFERRY_STORE": "az://files"})
    assert (read.azure_account, read.azure_key, read.azure_sas_token) == (ACCOUNT, KEY, "a")
    own = load({**usual, "FILEFERRY_AZURE_SAS_TOKEN": "b"})
    assert (own.azure_account, own.azure_key, own.azure_sas_token) == (ACCOUNT, None, "b")
    before = load(
        {**usual, "FILEFERRY_STORE_BEFORE": "az://old", "FILEFERRY_AZURE_BEFORE_SAS_TOKEN": "c"}
    ).of_store_before()
    assert before is not None
    assert (before.store, before.azure_key, before.azure_sas_token) == ("az://old", None, "c")


def test_what_passes_is_tried_again_and_what_does_not_is_given_up_within_a_bound() -> None:
    script = Script(refusal(503, "ServerBusy"), CUT, refusal(500, "OperationTimedOut"), CREATED)
    assert run(script, lambda objects: objects.put("a", b"abc"))
    assert len(script.requests) == 4
    script = Script(*[refusal(503, "ServerBusy")] * 20)
    with pytest.raises(Unavailable, match="503 ServerBusy") as caught:
        run(script, lambda objects: objects.put("a", b"abc"))
    assert (caught.value.retry_after, len(script.requests)) == (5, 6)


REFUSALS = {
    "AuthenticationFailed": "the clocks of this machine",
    "AuthorizationPermissionMismatch": "does not permit",
    "KeyBasedAuthenticationNotPermitted": "takes no keys",
}


@pytest.mark.parametrize(("code", "sentence"), REFUSALS.items())
def test_what_is_wrong_with_the_setting_is_one_sentence_without_a_secret(code: str, sentence: str) -> None:
    script = Script(refusal(403, code))
    with pytest.raises(Unavailable, match=sentence) as caught:
        run(script, lambda objects: objects.get("identity"))
    assert KEY not in str(caught.value)
    assert len(script.requests) == 1


def test_a_missing_container_is_no_missing_blob() -> None:
    with pytest.raises(Unavailable, match="there is no such container"):
        run(Script(answer(404, x_ms_error_code="ContainerNotFound")), lambda objects: objects.size("a"))
    assert run(Script(answer(404, x_ms_error_code="BlobNotFound")), lambda objects: objects.size("a")) is None


def test_a_full_store_says_that_it_is_full() -> None:
    with pytest.raises(InsufficientStorage):
        run(Script(refusal(507, "")), lambda objects: objects.put("a", b"abc"))


def test_a_list_of_blocks_that_made_another_blob_is_not_acknowledged() -> None:
    script = Script(CREATED, answer(200, b"12345"))
    with pytest.raises(Unavailable):
        run(script, lambda objects: objects.complete_parts("a", "id", ["YQ=="], 6))


def blocks(*ids: str) -> bytes:
    listed = "".join(f"<Block><Name>{id}</Name><Size>5</Size></Block>" for id in ids)
    return answer(200, f"<BlockList><UncommittedBlocks>{listed}</UncommittedBlocks></BlockList>".encode())


def test_blocks_that_another_writer_has_put_are_not_dropped() -> None:
    mine, of_another = block_id("0" * 16, 1, NOW), block_id("1" * 16, 1, NOW)
    script = Script(blocks(mine, of_another))
    run(script, lambda objects: objects.abort_parts("a", "0" * 16))
    assert len(script.requests) == 1
    script = Script(blocks(mine), CREATED, OK)
    run(script, lambda objects: objects.abort_parts("a", "0" * 16))
    put, removed = script.requests[1:]
    assert "if-none-match: *" in put
    assert 'if-match: "1"' in removed


UNFINISHED = """<EnumerationResults><Blobs>
<Blob><Name>prefix/blobs/a/whole</Name><Properties><Content-Length>5</Content-Length></Properties></Blob>
<Blob><Name>prefix/blobs/b/whole</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>
<Blob><Name>prefix/blobs/c/whole</Name><Properties/></Blob>
<Blob><Name>prefix/blobs/d/whole</Name><Properties/></Blob></Blobs><NextMarker/></EnumerationResults>"""


def test_how_long_nothing_came_is_told_by_the_blocks_themselves() -> None:
    listing = answer(200, UNFINISHED.encode(), Date="Mon, 30 Nov 2026 09:09:10 GMT")
    ours = [block_id("0" * 16, number, NOW + timedelta(minutes=number)) for number in (1, 2)]
    script = Script(listing, blocks(), blocks(*ours), blocks(ours[0], "bm90IG91cnM="))

    async def found(objects: Objects) -> list[tuple[str, str, timedelta]]:
        return [one async for one in objects.list_unfinished("blobs/")]

    assert run(script, found) == [
        ("blobs/c/whole", "0" * 16, timedelta(minutes=58)),
        ("blobs/d/whole", "", timedelta(0)),
    ]


def read(objects: Objects) -> Awaitable[bytes]:
    async def run() -> bytes:
        return b"".join([block async for block in objects.read("a", 2, 4)])

    return run()


def test_a_range_that_was_cut_is_gone_on_with() -> None:
    cut = answer(206, b"cdef", Content_Range="bytes 2-5/9")[:-2]
    script = Script(cut, answer(206, b"ef", Content_Range="bytes 4-5/9"))
    assert run(script, read) == b"cdef"
    assert "range: bytes=4-5" in script.requests[1]


def pending(status: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nx-ms-copy-status: {status}\r\n\r\n".encode()


@pytest.mark.parametrize(("last", "then"), [("success", []), ("failed", [OK])])
def test_a_copy_is_waited_for_and_what_a_failed_one_leaves_is_removed(last: str, then: list[bytes]) -> None:
    script = Script(refusal(409, "PendingCopyOperation"), pending("pending"), pending(last), *then)

    def copy(objects: Objects) -> Awaitable[None]:
        return objects.copy("a", "b", 6)

    if last == "success":
        run(script, copy)
    else:
        with pytest.raises(Unavailable):
            run(script, copy)
        assert script.requests[-1].startswith("DELETE /container/prefix/b ")
    assert script.answers == []
    assert "if-none-match: *" in script.requests[0]
