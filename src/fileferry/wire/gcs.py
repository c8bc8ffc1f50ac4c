"""A Google Cloud Storage resumable session on a signed URL: initiate, send in pieces, ask how far it is, cancel.

Source: "Resumable uploads" in the Cloud Storage documentation, and what its published clients send and insist on. A piece may
have any size. Whole bodies without Content-Range are plain ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, Hasher, agreed
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import AlreadyUploaded, BadRequest, DigestMismatch, TruncatedBody
from fileferry.model import StoredFile, Upload, UploadState
from fileferry.telemetry import request_id
from fileferry.web import problems
from fileferry.web.digest_fields import declared_digests
from fileferry.web.framing import file_bytes, refuse_framed
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    body_of,
    content_length,
    decode_json,
    is_by_ticket,
    refuse_coding,
    refuse_encoded,
    session_url,
    small_body_of,
)
from fileferry.wire import stated_types
from fileferry.wire.content_range import ContentRange, parse_content_range
from fileferry.wire.gcs_object import (
    declared_hashes,
    is_session,
    object_headers,
    object_resource,
    parse_hashes,
    promised_hashes,
    session_type,
    session_words,
)

_INITIATING = ("x-goog-resumable", "x-upload-content-type", "x-upload-content-length")
# Each would change what is stored; to answer as if it had not come would tell the client something false.
_UNSUPPORTED = ("x-goog-copy-source", "x-goog-encryption-algorithm", "x-goog-if-generation-match")
_UNSUPPORTED_PARAMETERS = ("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch")
_LARGEST_METADATA = 64 * 1024
# Its clients hold one of these two against what they sent, say which in no request, and fail where the answer has it not.
_TOLD = (Algorithm.CRC32C, Algorithm.MD5)
_BODY_DIGESTS = ("content-digest", "content-md5")
# To its clients 404 is an unknown session, so that they start anew. Google answers a gap with 503, which they repeat for minutes.
_STATUSES = {"link_refused": 404, "offset_mismatch": 400}
_REASONS = {
    400: "invalid",
    401: "required",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    409: "conflict",
    410: "gone",
    412: "conditionNotMet",
    413: "uploadTooLarge",
    429: "rateLimitExceeded",
}


class _Metadata(msgspec.Struct, rename="camel"):
    """What counts of the object resource that a JSON initiation carries; digests are base64."""

    content_type: str | None = None
    content_encoding: str | None = None
    crc32c: str | None = None
    md5_hash: str | None = None


def is_spoken(request: AnyRequest) -> bool:
    """Whether the request is one of a session. A DELETE that names no other protocol is taken for one, as Google's have no mark."""
    if request.method in ("PUT", "POST") and "content-range" in request.headers:
        return True
    if request.method == "POST":
        is_json = request.query_params.get("uploadType") == "resumable"
        return is_json or any(name in request.headers for name in _INITIATING)
    return request.method == "DELETE" and "uploadId" not in request.query_params


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Answer one request of a session. Raises BadRequest for what cannot be done here."""
    if request.method == "DELETE":
        return await _cancel(engine, upload)
    _refuse_unsupported(request)
    value = request.headers.get("content-range")
    if value is None:
        return await _initiate(request, engine, upload)
    span = parse_content_range(value)
    if span.start is None:
        return await _status(request, engine, upload, span)
    return await _take(request, engine, upload, span, span.start)


async def _initiate(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    refuse_encoded(request)
    metadata = await _metadata(request, engine)
    refuse_coding("contentEncoding", metadata.content_encoding)
    content_type = request.headers.get("x-upload-content-type") or metadata.content_type
    stated_types.refuse_other(content_type, upload)
    digests = agreed(_declared(request), parse_hashes(("crc32c", metadata.crc32c), ("md5", metadata.md5_hash)))
    wire = session_words(content_type, digests)
    upload = await engine.streams.begin(upload, size=_announced_size(request), wire=wire, renews=is_by_ticket(request))
    location = session_url(request, engine, upload)
    status = 201 if "x-goog-resumable" in request.headers else 200
    return Response(b"", status_code=status, headers={"Location": location, "Cache-Control": "no-store"})


async def _take(request: AnyRequest, engine: Engine, upload: Upload, span: ContentRange, start: int) -> Response[Any]:
    """Take one piece. All of it is kept before it is acknowledged: clients do not look whether it was less."""
    refuse_encoded(request)
    refuse_framed(request.headers)
    announced = content_length(request)
    if None not in (announced, span.length) and announced != span.length:
        raise BadRequest(f"Content-Range tells of {span.length} bytes, and Content-Length of {announced}.")
    stated_types.refuse_other(_content_type(request, upload), upload)
    declared = _declared(request)
    if upload.state is not UploadState.OPEN:
        return await _repeat(request, engine, upload, span, start)
    try:
        if span.total is not None:
            upload = await engine.streams.set_size(upload, span.total)
        body_digests = declared_digests({name: request.headers.get(name) for name in _BODY_DIGESTS})
        length = span.length if announced is None else announced
        arrival = await engine.streams.append(upload, start, declared=body_digests, announced=length, overlap=True)
    except AlreadyUploaded:
        # The request before this one, whose answer was lost, has just come to its end.
        return await _repeat(request, engine, upload, span, start)
    async with arrival:
        body = file_bytes(request, engine.settings.body_idle_timeout, upload, session_type(upload))
        await arrival.take(exactly(span.length, body))
        upload = await arrival.finish()
    ends_here = span.stop is None and span.total is None
    if ends_here or upload.offset == span.total:
        return await _complete(request, engine, upload, declared)
    return _incomplete(request, upload)


async def _status(request: AnyRequest, engine: Engine, upload: Upload, span: ContentRange) -> Response[Any]:
    """Say how far it is; where all is there that the client knows of, this is the end of it."""
    async for _ in body_of(request, engine.settings.body_idle_timeout):
        raise BadRequest("A request whose Content-Range names no bytes must have none.")
    upload = await engine.streams.status(upload)
    is_whole = upload.offset in (span.total, upload.size)
    if upload.state is UploadState.OPEN and not is_whole:
        return _incomplete(request, upload)
    return await _complete(request, engine, upload, _declared(request))


async def _repeat(request: AnyRequest, engine: Engine, upload: Upload, span: ContentRange, start: int) -> Response[Any]:
    """Answer a piece of what is complete as the last one was answered. Raises AlreadyUploaded where it cannot be that."""
    body = file_bytes(request, engine.settings.body_idle_timeout, upload, session_type(upload))
    await repeated(engine, upload, span, start, exactly(span.length, body))
    return await _complete(request, engine, upload, _declared(request))


async def repeated(
    engine: Engine, upload: Upload, span: ContentRange, start: int, body: AsyncIterator[bytes]
) -> ReceivedBytes:
    """Return what an upload has become, of which the last piece came again; raises AlreadyUploaded for any other piece."""
    received = await engine.streams.complete(upload, wanted=_TOLD)
    hasher = Hasher()
    size = start
    async for chunk in body:
        size += len(chunk)
        if size > received.size:
            raise AlreadyUploaded()
        hasher.update([chunk])
    is_other = received.stored is not None and not await _is_stored(engine, received.stored, start, size, hasher)
    is_shorter = span.stop is None and size != received.size
    if is_other or is_shorter or span.total not in (None, received.size):
        raise AlreadyUploaded()
    return received


async def _is_stored(engine: Engine, stored: StoredFile, start: int, end: int, sent: Hasher) -> bool:
    """Whether the bytes that came again are those of the file, from ``start`` to before ``end``."""
    kept = Hasher()
    async for block in engine.files.read(stored, start, end - start):
        await asyncio.to_thread(kept.update, [block])
    return kept.digests().crc32c == sent.digests().crc32c


async def _complete(
    request: AnyRequest, engine: Engine, upload: Upload, declared: Mapping[Algorithm, bytes]
) -> Response[Any]:
    expected = agreed(promised_hashes(upload), declared)
    content_type = _content_type(request, upload)
    received = await engine.streams.complete(upload, declared=expected, wanted=_TOLD, content_type=content_type)
    known = {Algorithm.CRC32C: received.digests.crc32c, Algorithm.MD5: received.digests.md5}
    for algorithm, digest in expected.items():
        # What was complete before has not been held against what this request declares.
        if known.get(algorithm) not in (None, digest.hex()):
            raise DigestMismatch("What is stored is not what was declared.", algorithm=algorithm.value)
    headers = {"ETag": received.etag, **object_headers(upload, received)}
    return Response(object_resource(upload, received, base_url(request, engine)), status_code=200, headers=headers)


def _incomplete(request: AnyRequest, upload: Upload) -> Response[Any]:
    # Without Location: clients would follow it.
    headers = {"Cache-Control": "no-store"}
    if upload.offset:
        headers["Range"] = f"bytes=0-{upload.offset - 1}"
    if "x-guploader-no-308" not in request.headers:
        return Response(b"", status_code=308, headers=headers)
    return Response(b"", status_code=200, headers={**headers, "X-Http-Status-Code-Override": "308"})


async def _cancel(engine: Engine, upload: Upload) -> Response[Any]:
    """End the upload: 499 for one that is a Google session, initiated or by its pieces alone; 204 for any other."""
    await engine.tickets.abort(upload)
    is_google = is_session(upload) or (upload.stream is not None and not upload.wire)
    return Response(b"", status_code=499 if is_google else 204)


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with the JSON envelope of Google's APIs; our own code is among its details."""
    failure = problems.known(error)
    status = _STATUSES.get(failure.code, failure.status)
    reason = _REASONS.get(status, "invalid" if status < 500 else "backendError")
    entry = {"domain": "global", "reason": reason, "message": failure.detail}
    details = [{"code": failure.code, "retry": failure.retry, "request_id": request_id()}]
    body = {"error": {"code": status, "message": failure.detail, "errors": [entry], "details": details}}
    headers = problems.headers_of(failure)
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)


def _refuse_unsupported(request: AnyRequest) -> None:
    for name in _UNSUPPORTED:
        if name in request.headers:
            raise BadRequest(f"{name} is not supported here.")
    for name in _UNSUPPORTED_PARAMETERS:
        if name in request.query_params:
            raise BadRequest(f"{name} is not supported here.")


async def _metadata(request: AnyRequest, engine: Engine) -> _Metadata:
    body = await small_body_of(request, _LARGEST_METADATA, engine.settings.body_idle_timeout)
    is_json = "json" in request.headers.get("content-type", "").lower()
    return decode_json(body, _Metadata) if body and is_json else _Metadata()


def _announced_size(request: AnyRequest) -> int | None:
    value = request.headers.get("x-upload-content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise BadRequest("x-upload-content-length must be a whole number of bytes.")
    return int(value)


def _content_type(request: AnyRequest, upload: Upload) -> str | None:
    """Return the file's type as the initiation said it, or else this request."""
    return session_type(upload) or request.headers.get("content-type")


def _declared(request: AnyRequest) -> dict[Algorithm, bytes]:
    """Return the digests of the whole that a request declares; raises InvalidDigest."""
    of_whole = declared_digests({"repr-digest": request.headers.get("repr-digest")})
    return agreed(declared_hashes(request.headers), of_whole)


async def exactly(length: int | None, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a body that must have ``length`` bytes, where that was said. Raises BadRequest, TruncatedBody."""
    size = 0
    async for chunk in body:
        size += len(chunk)
        if length is not None and size > length:
            raise BadRequest(f"The body has more than the {length} bytes that Content-Range tells of.")
        yield chunk
    if length is not None and size < length:
        raise TruncatedBody(f"The body has only {size} of the {length} bytes that Content-Range tells of.")
