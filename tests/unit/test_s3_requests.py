"""Requests to S3 stores: how they are signed, and what becomes of them when the store or the way to it fails."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from fileferry.blobs.s3 import Credentials, parse, signing
from fileferry.blobs.s3.objects import Objects
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.settings import load
from unit.scripted_store import CUT, OK, Script, answer, refusal

NOW = datetime(2026, 11, 30, 8, 9, 10, tzinfo=UTC)
REQUESTS = [
    ("GET", "/bucket/pre/fix/blobs/a/whole", [], {"range": "bytes=0-9"}, b""),
    ("PUT", "/bucket/a.b-c_d", [], {"content-md5": "abc=", "if-none-match": "*", "content-length": "3"}, b"abc"),
    ("GET", "/bucket/", [("prefix", "a/b c&d=e"), ("list-type", "2"), ("continuation-token", "1/2+3==")], {}, b""),
    ("POST", "/a", [("uploads", "")], {"content-type": "application/octet-stream"}, b""),
    ("PUT", "/a", [("uploadId", "~x.y"), ("partNumber", "10")], {}, b"a part"),
]


@pytest.mark.parametrize("token", [None, "the/session+token=="])
@pytest.mark.parametrize(("method", "path", "query", "headers", "body"), REQUESTS)
def test_a_request_is_signed_as_botocore_signs_it(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = signing.query_string(query)
    request = AWSRequest(method, f"http://store:9000{path}?{written}", headers, body)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
    S3SigV4Auth(BotoCredentials("the-key", "the-secret", token), "s3", "eu-west-7").add_auth(request)
    ours = signing.signed(
        Credentials("the-key", "the-secret", token),
        "eu-west-7",
        method,
        path,
        written,
        {"host": "store:9000", **headers},
        request.headers["X-Amz-Content-SHA256"],
        NOW,
    )
    assert ours["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize("token", [None, "the/session+token=="])
@pytest.mark.parametrize(("method", "path", "query", "headers", "body"), [REQUESTS[0], REQUESTS[2], REQUESTS[4]])
def test_a_url_is_signed_as_botocore_signs_it(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = AWSRequest(method, f"http://store:9000{path}?{signing.query_string(query)}", headers)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
    credentials = BotoCredentials("the-key", "the-secret", token)
    S3SigV4QueryAuth(credentials, "s3", "eu-west-7", expires=90).add_auth(request)
    ours = signing.presigned(
        Credentials("the-key", "the-secret", token),
        "eu-west-7",
        method,
        path,
        query,
        {"host": "store:9000", **headers},
        timedelta(seconds=90),
        NOW,
    )
    theirs = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    assert dict(parse_qsl(ours, keep_blank_values=True)) == theirs


LOCATIONS = {
    "s3://bucket": ("https://bucket.s3.eu-x-1.amazonaws.com", "/", "", "eu-x-1"),
    "s3://bucket/a/b/?region=us-west-2&style=path": (
        "https://s3.us-west-2.amazonaws.com",
        "/bucket/",
        "a/b/",
        "us-west-2",
    ),
    "s3://bucket/a?endpoint=http://[::1]:9000": ("http://[::1]:9000", "/bucket/", "a/", "eu-x-1"),
    "s3://bucket?endpoint=https://store.example/&style=virtual": ("https://bucket.store.example", "/", "", "eu-x-1"),
}


@pytest.mark.parametrize(("url", "expected"), LOCATIONS.items())
def test_the_place_of_a_bucket_is_read_from_the_setting(url: str, expected: tuple[str, ...]) -> None:
    read = parse(url, "eu-x-1")
    assert (read.origin, read.root, read.prefix, read.region) == expected


@pytest.mark.parametrize(
    ("url", "public"),
    {
        "s3://bucket": "https://bucket.s3.eu-x-1.amazonaws.com",
        "s3://bucket?endpoint=http://store:9000": None,
        "s3://bucket?endpoint=http://store:9000&public=https://files.example": "https://files.example",
        "s3://bucket?endpoint=http://store:9000&public=https://files.example&style=virtual": "https://bucket.files.example",
    }.items(),
)
def test_clients_are_sent_only_to_an_address_that_is_theirs(url: str, public: str | None) -> None:
    assert parse(url, "eu-x-1").public == public


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://B",
        "s3://key:secret@bucket",
        "s3://bucket/../a",
        "s3://bucket/a b",
        "s3://bucket?endpoint=ftp://x",
        "s3://bucket?endpoint=http://x/path",
        "s3://bucket?endpoint=http://x&public=files.example",
        "s3://bucket?endpiont=http://x",
        "s3://bucket?style=odd",
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_anything_is_made(url: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        parse(url)


def test_credentials_are_read_from_the_usual_variables_and_never_mixed_with_our_own() -> None:
    usual = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "AWS_REGION": "d"}
    read = load({**usual, "FILEFERRY_STORE": "s3://bucket"})
    assert (read.s3_access_key_id, read.s3_secret_access_key, read.s3_session_token) == ("a", "b", "c")
    own = load({**usual, "FILEFERRY_S3_ACCESS_KEY_ID": "e", "FILEFERRY_S3_SECRET_ACCESS_KEY": "f"})
    assert (own.s3_access_key_id, own.s3_secret_access_key, own.s3_session_token) == ("e", "f", None)
    assert own.s3_region == "d"


def test_what_passes_is_tried_again_with_longer_and_longer_pauses() -> None:
    script = Script(refusal(503, "SlowDown"), CUT, refusal(500, "InternalError"), OK)
    assert script.run(lambda objects: objects.put("a", b"abc"))
    assert len(script.requests) == 4
    first, second, third = script.pauses
    assert 0.1 <= first <= 0.2
    assert 0.2 <= second <= 0.4 <= third <= 0.8


def test_what_does_not_pass_is_given_up_within_a_bound() -> None:
    script = Script(*[refusal(503, "SlowDown")] * 20)
    with pytest.raises(Unavailable, match="503 SlowDown") as caught:
        script.run(lambda objects: objects.put("a", b"abc"))
    assert caught.value.retry_after == 5
    assert len(script.requests) == 6
    assert sum(script.pauses) < 15


REFUSALS = {
    "RequestTimeTooSkewed": "clocks",
    "InvalidAccessKeyId": "does not know the access key",
    "SignatureDoesNotMatch": "secret does not belong",
    "AccessDenied": "may not do this",
}


@pytest.mark.parametrize(("code", "sentence"), REFUSALS.items())
def test_what_is_wrong_with_the_setting_is_one_sentence_without_a_secret(code: str, sentence: str) -> None:
    script = Script(refusal(403, code))
    with pytest.raises(Unavailable, match=sentence) as caught:
        script.run(lambda objects: objects.get("identity"))
    assert "the-secret" not in str(caught.value)
    assert len(script.requests) == 1


def test_a_missing_bucket_is_no_missing_object() -> None:
    with pytest.raises(Unavailable, match="there is no such bucket"):
        Script(refusal(404, "NoSuchBucket")).run(lambda objects: objects.get("identity"))
    assert Script(refusal(404, "NoSuchKey")).run(lambda objects: objects.get("identity")) is None


@pytest.mark.parametrize("full", [refusal(507, "XMinioStorageFull"), refusal(403, "QuotaExceeded")])
def test_a_full_store_says_that_it_is_full(full: bytes) -> None:
    with pytest.raises(InsufficientStorage):
        Script(full).run(lambda objects: objects.put("a", b"abc"))


GONE, THERE = refusal(404, "NoSuchUpload"), answer(200, b"<ListPartsResult/>")
SIX = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"  # to HEAD
COMPLETED = answer(200, b"<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>")
ERROR_WITH_200 = answer(200, b'<?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>')
COMPLETIONS: dict[str, list[bytes]] = {
    "at once": [COMPLETED, SIX],
    "500 to what was done (RGW)": [*[refusal(500, "UnknownError")], GONE, SIX],
    "404 to what was done (SeaweedFS)": [GONE, GONE, SIX],
    "an error after 200 (S3)": [ERROR_WITH_200, THERE, COMPLETED, SIX],
}


@pytest.mark.parametrize("answers", COMPLETIONS.values(), ids=COMPLETIONS)
def test_a_completion_is_judged_by_what_is_there(answers: list[bytes]) -> None:
    script = Script(*answers)
    script.run(lambda objects: objects.complete_parts("a", "id", ['"1"', '"2"'], 6))
    assert script.answers == []


@pytest.mark.parametrize(
    "answers",
    [
        [refusal(400, "InvalidPart")],
        [ERROR_WITH_200, THERE, ERROR_WITH_200, THERE, SIX.replace(b"6", b"5")],
        [COMPLETED, refusal(404, "")[:-40]],
    ],
)
def test_a_blob_that_is_not_there_is_not_acknowledged(answers: list[bytes]) -> None:
    with pytest.raises(Unavailable):
        Script(*answers, *[CUT] * 20).run(lambda objects: objects.complete_parts("a", "id", ['"1"', '"2"'], 6))


def read(objects: Objects) -> Awaitable[bytes]:
    async def run() -> bytes:
        return b"".join([block async for block in objects.read("a", 2, 4)])

    return run()


RANGES: dict[str, list[bytes]] = {
    "as it should be": [answer(206, b"cdef", Content_Range="bytes 2-5/9")],
    "200 to a range (rclone)": [answer(200, b"cdef", Content_Range="bytes 2-5/9")],
    "the whole": [answer(200, b"abcdefghi")],
    "cut in the midst": [
        answer(206, b"cdef", Content_Range="bytes 2-5/9")[:-2],
        answer(206, b"ef", Content_Range="bytes 4-5/9"),
    ],
}


@pytest.mark.parametrize("answers", RANGES.values(), ids=RANGES)
def test_a_range_is_just_the_bytes_asked_for(answers: list[bytes]) -> None:
    script = Script(*answers)
    assert script.run(read) == b"cdef"
    assert len(script.requests) == len(answers)


@pytest.mark.parametrize(
    "odd", [answer(206, b"cdef"), answer(206, b"fghi", Content_Range="bytes 5-8/9")], ids=["unsaid", "another"]
)
def test_a_range_that_is_not_the_one_asked_for_is_refused(odd: bytes) -> None:
    with pytest.raises(Unavailable):
        Script(odd).run(read)
