"""boto3 and botocore at a signed URL: their own requests, with our signature for theirs, and their readers for our answers."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from support.live_server import LiveServer
from wire.asking import SMALL_PART, Multipart, ask_one, confirm, confirmed, etag_of, finish, initiate, open_ticket

BUCKET = "u"
"""A signed URL is /u/UPLOAD/NAME?SIGNATURE: to an S3 client the bucket ``u``, and a key with one slash."""


def s3_client(server: LiveServer, signed_url: str, endpoint: str | None = None) -> Any:
    """Return a client of S3 whose every request gets the signature of ``signed_url``, wherever it was meant to go."""
    settings = Config(
        signature_version=UNSIGNED,
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        proxies={},
    )
    client = boto3.client("s3", endpoint_url=endpoint or server.url, region_name="us-east-1", config=settings)
    signature = "&".join(pair for pair in urlsplit(signed_url).query.split("&") if pair[:3] in ("se=", "sp=", "sig"))

    def sign(request: Any, **_event: Any) -> None:
        address = urlsplit(request.url)
        query = "&".join(filter(None, [address.query, signature]))
        request.url = f"{server.url}{address.path}?{query}"

    client.meta.events.register("before-send.s3", sign)
    return client


def names_of(upload: Multipart) -> dict[str, str]:
    """Return how an S3 client names a multipart upload."""
    return {"Bucket": BUCKET, "Key": key_of(upload.urls[1]), "UploadId": upload.upload_id}


def key_of(signed_url: str) -> str:
    """Return the S3 key in a signed URL."""
    return urlsplit(signed_url).path.removeprefix(f"/{BUCKET}/")


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the error code that botocore read from a refusal."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    assert refused.value.response["Error"]["Message"]
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def upload(http: httpx.Client) -> Multipart:
    """Three parts to come, the last of 5 bytes."""
    return initiate(http, 2 * SMALL_PART + 5)


@pytest.fixture
def s3(server: LiveServer, upload: Multipart) -> Any:
    """A client for that upload."""
    return s3_client(server, upload.whole())


def test_parts_are_uploaded_listed_in_pages_and_completed(s3: Any, upload: Multipart) -> None:
    content = os.urandom(upload.size)
    sent = []
    for number in (3, 1, 2):
        answer = s3.upload_part(**names_of(upload), PartNumber=number, Body=upload.piece(content, number))
        assert answer["ETag"] == etag_of(upload.piece(content, number))
        sent.append({"PartNumber": number, "ETag": answer["ETag"]})
    pages = list(s3.get_paginator("list_parts").paginate(**names_of(upload), PaginationConfig={"PageSize": 2}))
    assert [page["IsTruncated"] for page in pages] == [True, False]
    seen = [part for page in pages for part in page["Parts"]]
    assert [part["PartNumber"] for part in seen] == [1, 2, 3]
    assert [part["Size"] for part in seen] == [SMALL_PART, SMALL_PART, 5]
    assert [{name: part[name] for name in ("PartNumber", "ETag")} for part in seen] == sorted(
        sent, key=lambda part: int(part["PartNumber"])
    )
    parts = {"Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in seen]}
    done = s3.complete_multipart_upload(**names_of(upload), MultipartUpload=parts)
    digests = b"".join(hashlib.md5(upload.piece(content, number)).digest() for number in (1, 2, 3))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert upload.complete({part["PartNumber"]: part["ETag"] for part in seen}).status_code == 200
    assert upload.http.get(done["Location"]).content == content
    assert upload.fetch().content == content


def test_an_aborted_upload_is_no_upload_any_more(s3: Any, upload: Multipart) -> None:
    s3.upload_part(**names_of(upload), PartNumber=3, Body=b"12345")
    assert s3.abort_multipart_upload(**names_of(upload))["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.upload_part, **names_of(upload), PartNumber=3, Body=b"12345") == "NoSuchUpload"
    assert refusal(s3.list_parts, **names_of(upload)) == "NoSuchUpload"
    parts = {"Parts": [{"PartNumber": 3, "ETag": etag_of(b"12345")}]}
    assert refusal(s3.complete_multipart_upload, **names_of(upload), MultipartUpload=parts) == "NoSuchUpload"
    assert confirm(upload.http, upload.id).status_code == 410


def test_refusals_have_the_codes_that_s3_clients_decide_by(s3: Any, upload: Multipart) -> None:
    names = names_of(upload)
    other = {**names, "UploadId": "another"}
    assert refusal(s3.upload_part, **other, PartNumber=3, Body=b"12345") == "NoSuchUpload"
    assert refusal(s3.list_parts, **other) == "NoSuchUpload"
    assert refusal(s3.abort_multipart_upload, **other) == "NoSuchUpload"
    assert refusal(s3.upload_part, **names, PartNumber=3, Body=b"123456") == "EntityTooLarge"
    assert refusal(s3.upload_part, **names, PartNumber=3, Body=b"1234") == "IncompleteBody"
    assert refusal(s3.upload_part, **names, PartNumber=4, Body=b"") == "InvalidPart"
    wrong = {"ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    assert refusal(s3.upload_part, **names, PartNumber=3, Body=b"12345", **wrong) == "BadDigest"
    assert refusal(s3.upload_part, **names, PartNumber=3, Body=b"12345", ChecksumSHA256=sha256_of(b"x")) == "BadDigest"
    parts = {"Parts": [{"PartNumber": 3, "ETag": etag_of(b"x")}]}
    assert refusal(s3.complete_multipart_upload, **names, MultipartUpload=parts) == "InvalidPart"
    assert upload.parts().json()["parts"] == []


def test_a_changed_signature_is_denied(server: LiveServer, upload: Multipart) -> None:
    s3 = s3_client(server, upload.whole().replace("sp=cw", "sp=rcw"))
    assert refusal(s3.upload_part, **names_of(upload), PartNumber=3, Body=b"12345") == "AccessDenied"


def test_the_checksum_that_botocore_sends_unasked_is_verified(s3: Any, upload: Multipart) -> None:
    sent: list[str] = []

    def spoil(request: Any, **_event: Any) -> None:
        sent.append(request.headers["x-amz-checksum-crc32"])
        request.headers["x-amz-checksum-crc32"] = "AAAAAA=="

    s3.meta.events.register_last("before-send.s3", spoil)
    assert refusal(s3.upload_part, **names_of(upload), PartNumber=3, Body=b"12345") == "BadDigest"
    assert len(sent) == 1


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_that_botocore_computes_is_taken(s3: Any, upload: Multipart, algorithm: str) -> None:
    answer = s3.upload_part(**names_of(upload), PartNumber=3, Body=b"12345", ChecksumAlgorithm=algorithm)
    assert answer["ETag"] == etag_of(b"12345")


def test_a_body_framed_with_a_trailing_checksum_is_refused_and_nothing_of_it_kept(
    http: httpx.Client, server: LiveServer
) -> None:
    """Towards https botocore frames bodies in aws-chunked; the request is turned to our http just before it leaves."""
    ticket = open_ticket(http, parts=True)
    s3 = s3_client(server, ticket["url"], endpoint="https://s3.example")
    framing: list[str] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: framing.append(request.headers["X-Amz-Trailer"]))
    upload_id = ticket["part_url"].partition("uploadId=")[2].partition("&")[0]
    names = {"Bucket": BUCKET, "Key": key_of(ticket["url"])}
    assert refusal(s3.upload_part, **names, UploadId=upload_id, PartNumber=1, Body=b"12345") == "InvalidRequest"
    with pytest.raises(ClientError) as refused:
        s3.put_object(**names, Body=b"12345")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 415
    assert refused.value.response["Error"]["Code"] == "InvalidRequest"
    assert len(framing) == 2
    assert finish(http, ticket).status_code == 409


def test_put_object_sends_a_whole_file(http: httpx.Client, server: LiveServer) -> None:
    content = os.urandom(100_000)
    ticket = ask_one(http, len(content))
    s3 = s3_client(server, ticket["url"])
    answer = s3.put_object(Bucket=BUCKET, Key=key_of(ticket["url"]), Body=io.BytesIO(content))
    assert answer["ETag"] == etag_of(content)
    assert confirmed(http, ticket) == content


def test_the_transfer_manager_of_boto3_uploads_a_large_file_by_itself(
    http: httpx.Client, server: LiveServer, tmp_path: Path
) -> None:
    """It creates the upload, cuts parts of its own size, sends them at once, and completes: all at one signed URL."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(11 * 1024**2 + 3))
    ticket = ask_one(http, path.stat().st_size)
    s3 = s3_client(server, ticket["url"])
    manner = TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2, max_concurrency=3)
    s3.upload_file(str(path), BUCKET, key_of(ticket["url"]), Config=manner)
    assert confirmed(http, ticket) == path.read_bytes()


def test_the_transfer_manager_sends_a_small_file_whole(http: httpx.Client, server: LiveServer) -> None:
    ticket = ask_one(http, 5)
    s3_client(server, ticket["url"]).upload_fileobj(io.BytesIO(b"12345"), BUCKET, key_of(ticket["url"]))
    assert confirmed(http, ticket) == b"12345"


def sha256_of(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_a_refused_file_has_a_code_that_clients_decide_by(http: httpx.Client, server: LiveServer) -> None:
    ticket = ask_one(http, 5)
    s3, names = s3_client(server, ticket["url"]), {"Bucket": BUCKET, "Key": key_of(ticket["url"])}
    assert refusal(s3.put_object, **names, Body=b"123456") == "EntityTooLarge"
    assert refusal(s3.put_object, **names, Body=b"12345", ChecksumCRC64NVME="AAAAAAAAAAA=") == "BadDigest"
    assert refusal(s3.put_object, **names, Body=b"12345", ChecksumXXHASH64="AAAAAAAAAAA=") == "InvalidRequest"
    changed = s3_client(server, ticket["url"].replace("sp=cw", "sp=rcw"))
    assert refusal(changed.put_object, **names, Body=b"12345") == "AccessDenied"
