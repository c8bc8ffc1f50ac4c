"""The same raw requests to us and to Azure's own emulator: same status, same error code, same headers for clients to read.

Where we answer otherwise on purpose, the table says why.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from contract.workspace import Place
from support.node import Azurite
from wire.asking import send
from wire.blob import BLOCK_BLOB, VERSION, block_id, block_list, listed, md5_of

pytestmark = pytest.mark.service("azurite")

PRESENT = (
    "etag",
    "last-modified",
    "x-ms-request-id",
    "x-ms-creation-time",
    "x-ms-request-server-encrypted",
    "x-ms-version",
)
"""Headers whose values are each server's own; whether they come is compared."""
EQUAL = (
    "accept-ranges",
    "content-length",
    "content-md5",
    "content-range",
    "x-ms-blob-content-length",
    "x-ms-blob-content-md5",
    "x-ms-blob-type",
    "x-ms-client-request-id",
    "x-ms-error-code",
    "x-ms-lease-state",
    "x-ms-lease-status",
)
"""Headers whose values are compared."""
CONTENT = b"0123456789"
RANGE = {"x-ms-range": "bytes=2-4"}


@dataclass(frozen=True)
class Call:
    """One request. ``otherwise`` is what differs in our answer on purpose, by header or ``status``; ``why`` says the reason."""

    method: str
    query: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    otherwise: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    def send(self, url: str) -> httpx.Response:
        """Send it to a signed URL."""
        headers = {**VERSION, "x-ms-client-request-id": "mine", **self.headers}
        return send(url + self.query, self.body, self.method, headers=headers)


def put_blob(content: bytes = CONTENT, otherwise: dict[str, Any] | None = None, why: str = "", **more: str) -> Call:
    headers = {**BLOCK_BLOB, **{name.replace("_", "-"): value for name, value in more.items()}}
    return Call("PUT", "", content, headers, otherwise or {}, why)


def put_block(name: str, content: bytes, otherwise: dict[str, Any] | None = None, why: str = "", **more: str) -> Call:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    query = f"&comp=block&blockid={block_id(name).replace('=', '%3D')}"
    return Call("PUT", query, content, headers, otherwise or {}, why)


def put_list(*names: str, otherwise: dict[str, Any] | None = None, why: str = "", **more: str) -> Call:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return Call("PUT", "&comp=blocklist", block_list(*names), headers, otherwise or {}, why)


AS_DOCUMENTED = "Azure's reference says so; the emulator is lax"
UNNAMED = "the emulator sends no code with what its request parser refuses"
MD5_TOLD = {"content-md5": md5_of(b"one")}
MD5_WHY = "by the reference, Put Block tells the MD5 of what came; the emulator does not"
NO_VALIDATORS = {"present": ["x-ms-request-id", "x-ms-version"]}
NO_BLOB = "by the reference, only a blob has ETag and Last-Modified, and blocks that wait for a list are none"

UPLOADS: dict[str, list[Call]] = {
    "put blob": [
        Call("HEAD"),
        Call("GET", "&comp=blocklist&blocklisttype=all"),
        put_blob(x_ms_blob_content_type="text/plain"),
        Call("HEAD"),
        put_blob(b"other", If_None_Match="*"),
        put_blob(b"other", If_Match='"other"'),
        Call("HEAD", headers={"If-Match": '"other"'}),
    ],
    "put blob with digests": [
        put_blob(Content_MD5=md5_of(b"other"), otherwise={"x-ms-error-code": "Md5Mismatch"}, why=AS_DOCUMENTED),
        put_blob(Content_MD5="no", otherwise={"x-ms-error-code": "InvalidHeaderValue"}, why=AS_DOCUMENTED),
        put_blob(Content_MD5=md5_of(CONTENT)),
    ],
    "put an empty blob": [put_blob(b""), Call("HEAD")],
    "put blob of no type": [
        Call("PUT", "", CONTENT, otherwise={"x-ms-error-code": "MissingRequiredHeader"}, why=UNNAMED),
        Call(
            "PUT",
            "",
            CONTENT,
            {"x-ms-blob-type": "Weird"},
            otherwise={"x-ms-error-code": "InvalidHeaderValue"},
            why=UNNAMED,
        ),
        Call("HEAD"),
    ],
    "blocks": [
        put_block("a", b"one", MD5_TOLD, MD5_WHY),
        put_block("b", b"four", {"content-md5": md5_of(b"four")}, MD5_WHY),
        put_block("a", b"one", MD5_TOLD, MD5_WHY),
        put_block("cc", b"x"),
        put_block("a", b"x", {"x-ms-error-code": "Md5Mismatch"}, AS_DOCUMENTED, Content_MD5=md5_of(b"other")),
        put_block("a", b"one", MD5_TOLD, MD5_WHY, Content_MD5=md5_of(b"one")),
        Call("HEAD"),
        Call("GET", "&comp=blocklist&blocklisttype=all", otherwise=NO_VALIDATORS, why=NO_BLOB),
        Call("GET", "&comp=blocklist&blocklisttype=uncommitted", otherwise=NO_VALIDATORS, why=NO_BLOB),
        put_list("z"),
        put_list("a", "z"),
        Call("PUT", "&comp=blocklist", block_list("a", kind="Committed")),
        put_list("b", "a"),
        Call("HEAD"),
        Call("GET", "&comp=blocklist&blocklisttype=all"),
        put_list("b", "a", If_None_Match="*"),
        put_list("b", "a", If_Match='"other"'),
    ],
    "a list of nothing": [put_list(), Call("HEAD")],
    "what is not understood": [
        Call("PUT", "&comp=nonsense", b"x", otherwise={"x-ms-error-code": "InvalidQueryParameterValue"}, why=UNNAMED),
        Call("PUT", "&comp=block", b"x", otherwise={"x-ms-error-code": "MissingRequiredQueryParameter"}, why=UNNAMED),
        Call("PUT", "&comp=block&blockid=%21%21", b"x"),
        Call(
            "PUT",
            f"&comp=block&blockid={block_id('x' * 66)}",
            b"x",
            otherwise={"x-ms-error-code": "InvalidQueryParameterValue"},
            why=AS_DOCUMENTED,
        ),
        Call("PUT", "&comp=blocklist", b"<oops", otherwise={"x-ms-error-code": "InvalidXmlDocument"}, why=UNNAMED),
        Call(
            "GET",
            "&comp=blocklist&blocklisttype=none",
            otherwise={"x-ms-error-code": "InvalidQueryParameterValue"},
            why=UNNAMED,
        ),
    ],
    "what is complete stays as it is": [
        put_blob(),
        put_blob(
            b"other",
            {"status": 409, "x-ms-error-code": "BlobAlreadyExists"},
            "a version never changes: the next one has a URL of its own",
        ),
        Call(
            "DELETE",
            otherwise={"status": 409, "x-ms-error-code": "BlobImmutableDueToPolicy"},
            why="a version is deleted with a key, not with the URL it was uploaded to",
        ),
    ],
}
DOWNLOADS: list[Call] = [
    Call("HEAD"),
    Call("GET"),
    Call("GET", headers=RANGE),
    Call("GET", headers={**RANGE, "Range": "bytes=0-0"}),
    Call("GET", headers={"Range": "bytes=0-0"}),
    Call("GET", headers={"x-ms-range": "bytes=0-33554431"}),
    Call("GET", headers={"x-ms-range": "bytes=4-"}),
    Call("GET", headers={**RANGE, "x-ms-range-get-content-md5": "true"}),
    Call("GET", headers={"x-ms-range": "bytes=100-200"}),
    Call("GET", headers={"If-Match": '"other"'}),
    Call("HEAD", headers={"If-Match": '"other"'}),
    Call("GET", headers={"If-Match": "*"}),
    Call("GET", headers={"If-None-Match": '"other"'}),
    Call("GET", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    Call("GET", headers={"If-Unmodified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
]
# Of an empty blob the emulator serves ranges that no blob can have; a first read in ranges is all that clients try.
DOWNLOADS_OF_NOTHING = [Call("HEAD"), Call("GET"), Call("GET", headers={"x-ms-range": "bytes=0-33554431"})]


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


def look(answer: httpx.Response) -> dict[str, Any]:
    """Return what is compared of an answer."""
    looked: dict[str, Any] = {
        "status": answer.status_code,
        "present": [name for name in PRESENT if name in answer.headers],
    }
    looked |= {name: answer.headers[name] for name in EQUAL if name in answer.headers}
    if answer.status_code >= 300:
        # Of a refusal its code counts; its body is each server's own.
        return {name: looked.get(name) for name in ("status", "x-ms-error-code", "content-range")}
    if "<BlockList>" in answer.text:
        looked.pop("content-length", None)  # of a document that may be spelled differently
        groups = listed(answer)
        looked["blocks"] = (groups["CommittedBlocks"], sorted(groups["UncommittedBlocks"]))
    elif answer.request.method == "GET":
        looked["body"] = answer.content
    return looked


def compare(calls: list[Call], ours: str, theirs: str) -> None:
    for call in calls:
        expected = look(call.send(theirs))
        if "status" in call.otherwise:
            expected = {"status": None, "x-ms-error-code": None, "content-range": None}
        expected |= call.otherwise
        assert look(call.send(ours)) == expected, f"{call.method} {call.query} {call.headers} {call.why}"


@pytest.mark.parametrize("calls", UPLOADS.values(), ids=UPLOADS)
def test_an_upload_url_answers_as_azure_does(place: Place, azurite: Azurite, calls: list[Call]) -> None:
    compare(calls, place.ask("a.bin")["upload"], azurite.sas_url(uuid.uuid4().hex))


@pytest.mark.parametrize("content", [CONTENT, b"", os.urandom(100_000)], ids=["short", "empty", "long"])
def test_a_download_url_answers_as_azure_does(place: Place, azurite: Azurite, content: bytes) -> None:
    theirs = azurite.sas_url(uuid.uuid4().hex)
    ours = place.ask("a.bin")["upload"]
    for url in (ours, theirs):
        assert put_blob(content).send(url).status_code == 201
    compare(DOWNLOADS if content else DOWNLOADS_OF_NOTHING, place.get("a.bin")["download"], theirs)


def test_a_url_of_another_right_is_refused_as_azure_does(place: Place, azurite: Azurite) -> None:
    compare([Call("GET")], place.ask("a.bin")["upload"], azurite.sas_url(uuid.uuid4().hex, "cw"))
