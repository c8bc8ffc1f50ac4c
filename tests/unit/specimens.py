"""A whole and valid request of every upload protocol and API, and what their headers may hold: what ``mutations`` spoils."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import msgspec

from unit import words
from unit.words import Sent, Stage

HEADERS = sorted(
    {
        *(name for rows in (words._READ, words._WRITTEN, words._WRITTEN_BY_URL) for name in rows),
        *(
            "cookie",
            "host",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "via",
        ),
        *("tus-resumable", "upload-length", "upload-offset", "upload-metadata", "upload-concat", "upload-checksum"),
        *("upload-defer-length", "upload-complete", "x-http-method-override", "origin", "te", "trailer", "expect"),
        *("access-control-request-method", "access-control-request-headers", "user-agent", "accept-encoding"),
        *("x-goog-upload-command", "x-upload-content-length", "x-upload-content-type", "x-amz-date", "x-amz-trailer"),
        *(
            "x-ms-meta-a",
            "x-ms-date",
            "x-ms-content-crc64",
            "x-ms-range-get-content-md5",
            "x-ms-lease-id",
            "traceparent",
        ),
        *("authorization", "x-api-key", "user-id", "last-event-id", "x-request-id", "content-disposition"),
    }
)
VALUES = [
    b"bytes=0-1",
    b"bytes=-2",
    b"bytes 0-2/3",
    b"bytes 0-2/*",
    b"bytes */3",
    b'"etag", W/"weak"',
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
    b"sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:",
    b"sha-256=1, md5=0",
    b"crc32c=Nks/tw==",
    b"kAFQmDzST7DWlj99KOF/cg==",
    b"sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    b"filename YQ==,filetype dGV4dC9wbGFpbg==",
    b"session=a; other=b",
    b'for=192.0.2.60;proto=http;by=203.0.113.43;host="a:1"',
    b"192.0.2.60, 10.0.0.1",
    b"files.example.com:8080",
    b"multipart/form-data; boundary=b",
    b"text/plain; charset=utf-8",
    b"respond-async, wait=1",
    b"100-continue",
    b"application/problem+json, */*;q=0.1",
]

_FORM = b"\r\n".join(
    [
        b"--b",
        b'Content-Disposition: form-data; name="expires_in"',
        b"",
        b"1h",
        b"--b",
        b'Content-Disposition: form-data; name="metadata"',
        b"Content-Type: application/json",
        b"",
        b'{"order": 17}',
        b"--b",
        b'Content-Disposition: form-data; name="file"; filename="a.txt"; filename*=utf-8\'\'%E2%82%AC.txt',
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: binary",
        b"",
        b"abc",
        b"--b--",
        b"",
    ]
)
_DIGEST = b"sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"
_MD5 = b"kAFQmDzST7DWlj99KOF/cg=="
_METADATA = b"filename " + base64.b64encode("€.txt".encode()) + b",filetype dGV4dC9wbGFpbg==,expires_in MWg=,note"
_JSON = (b"Content-Type", b"application/json")
_BINARY = (b"Content-Type", b"application/octet-stream")
_PARTIAL = (b"Content-Type", b"application/partial-upload")
_CRC32C = b"Nks/tw=="
_TUS = (b"Tus-Resumable", b"1.0.0")
_AZURE = (b"x-ms-version", b"2026-04-06")
_BLOCKS = (
    b'<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>YQ==</Latest><Uncommitted>Yg==</Uncommitted></BlockList>'
)
_PARTS = (
    b'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber>'
    b'<ETag>"900150983cd24fb0d6963f7d28e17f72"</ETag><ChecksumCRC32C>Nks/tw==</ChecksumCRC32C></Part></CompleteMultipartUpload>'
)


def requests(stage: Stage) -> list[Sent]:
    """Return the requests, on what the stage has."""
    return [*_of_apis(stage), *_of_reading(stage), *_of_protocols(stage)]


def _of_apis(stage: Stage) -> list[Sent]:
    organization = stage.file["organization_id"].encode()
    form, file_only = (
        (b"Content-Type", b"multipart/form-data; boundary=b"),
        b"--b\r\n" + _FORM.partition(b"17}\r\n--b\r\n")[2],
    )
    ticket = {"name": "a.txt", "size": 3, "content_type": "text/plain", "expires_in": "1h", "metadata": {"order": 17}}
    base64_of_file = {
        "filename": "a.txt",
        "base64": "YWJj",
        "content_type": "text/plain",
        "expires_at": "2030-06-01T00:00:00Z",
    }
    return [
        Sent("POST", b"/v1/files", (form, (b"Idempotency-Key", b'"k"')), _FORM),
        Sent("POST", b"/v1/organizations/" + organization + b"/files/upload", (form,), file_only),
        Sent("PUT", stage.new_ticket(), (form,), file_only),
        Sent("POST", b"/v1/files", (_JSON,), msgspec.json.encode(base64_of_file)),
        Sent("POST", b"/api/uploads", (_JSON, (b"Prefer", b"wait=0")), msgspec.json.encode(ticket)),
        Sent(
            "PUT",
            b"/api/upload/folder/%E2%82%AC%20b.txt?expires_in=1h&metadata=%7B%22a%22%3A1%7D",
            ((b"Content-Digest", _DIGEST), (b"Content-MD5", _MD5), (b"Want-Repr-Digest", b"sha-256=1, md5=2"), _BINARY),
            b"abc",
        ),
        Sent("GET", b"/api/files?prefix=folder%2F&limit=2"),
        Sent(
            "GET", b"/api/events?types=file.ready&limit=2", ((b"Last-Event-ID", b"1"), (b"Accept", b"application/json"))
        ),
    ]


def _of_reading(stage: Stage) -> list[Sent]:
    public = urlsplit(stage.file["url"]).path.encode()
    etag, moment = f'"{stage.file["version_id"]}"'.encode(), b"Tue, 01 Jan 2030 00:00:00 GMT"
    return [
        Sent("GET", public, ((b"Range", b"bytes=0-2"), (b"If-Range", etag), (b"Cookie", b"a=b; c=d"))),
        Sent("GET", public, ((b"If-None-Match", etag + b', W/"x"'), (b"If-Modified-Since", moment))),
        Sent("GET", public + b"?download=1", ((b"If-Match", b"*"), (b"If-Unmodified-Since", moment))),
        Sent("GET", public, (_AZURE, (b"x-ms-range", b"bytes=1-2"), (b"x-ms-range-get-content-md5", b"true"))),
        Sent(
            "HEAD", public, ((b"Host", b"files.example.com:8080"), (b"Forwarded", b"for=192.0.2.60;host=a;proto=https"))
        ),
        Sent("OPTIONS", public, ((b"Origin", b"https://a.example"), (b"Access-Control-Request-Method", b"GET"))),
    ]


def _of_protocols(stage: Stage) -> list[Sent]:
    """Return the requests of each protocol on an upload of its own, so that what one ends the others can still begin."""
    stream = (b"Content-Type", b"application/offset+octet-stream")
    draft = (b"Upload-Draft-Interop-Version", b"6")
    azure, s3, google, plain, ietf = (stage.new_ticket() for _ in range(5))
    tus, first, second = stage.new_tus(), stage.new_tus(partial=True), stage.new_tus(partial=True)
    upload = b"&uploadId=" + s3.split(b"/")[2]
    checksum = (b"Upload-Checksum", b"sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")
    return [
        Sent("PUT", azure + b"&comp=block&blockid=YQ%3D%3D", (_AZURE, (b"Content-MD5", _MD5)), b"abc"),
        Sent("PUT", azure + b"&comp=block&blockid=Yg%3D%3D", (_AZURE, (b"x-ms-meta-a", b"b")), b"def"),
        Sent("PUT", azure + b"&comp=blocklist", (_AZURE, (b"x-ms-blob-content-type", b"text/plain")), _BLOCKS),
        Sent("GET", azure + b"&comp=blocklist&blocklisttype=all", (_AZURE,)),
        Sent("PUT", plain, (_AZURE, (b"x-ms-blob-type", b"BlockBlob"), (b"x-ms-blob-content-md5", _MD5)), b"abc"),
        Sent("POST", s3 + b"&uploads", (_BINARY,)),
        Sent("PUT", s3 + b"&partNumber=1" + upload, ((b"x-amz-checksum-crc32c", _CRC32C),), b"abc"),
        Sent("GET", s3 + b"&max-parts=1&part-number-marker=0" + upload),
        Sent("POST", s3 + upload, ((b"Content-Type", b"application/xml"),), _PARTS),
        Sent(
            "POST",
            google + b"&uploadType=resumable",
            (_JSON, (b"x-upload-content-length", b"3")),
            b'{"contentType":"a/b"}',
        ),
        Sent("PUT", google, ((b"Content-Range", b"bytes 0-1/3"),), b"ab"),
        Sent("PUT", google, ((b"Content-Range", b"bytes */3"),)),
        Sent("PUT", google, ((b"Content-Range", b"bytes 2-2/3"), (b"x-goog-hash", b"crc32c=" + _CRC32C)), b"c"),
        Sent("POST", b"/tus", (_TUS, (b"Upload-Length", b"3"), (b"Upload-Metadata", _METADATA), stream), b"abc"),
        Sent("PATCH", tus, (_TUS, (b"Upload-Offset", b"0"), checksum, stream), b"abc"),
        Sent("HEAD", tus, (_TUS,)),
        Sent("PATCH", first, (_TUS, (b"Upload-Offset", b"0"), stream), b"abc"),
        Sent("PATCH", second, (_TUS, (b"Upload-Offset", b"0"), stream), b"abc"),
        Sent("POST", b"/tus", (_TUS, (b"Upload-Concat", b"final;" + first + b" " + second))),
        Sent("PATCH", ietf, (draft, (b"Upload-Offset", b"0"), (b"Upload-Complete", b"?0"), _PARTIAL), b"ab"),
        Sent("HEAD", ietf, (draft,)),
        Sent(
            "PUT",
            stage.new_ticket(),
            (draft, (b"Upload-Complete", b"?1"), (b"Upload-Length", b"3"), (b"Repr-Digest", _DIGEST)),
            b"abc",
        ),
    ]
