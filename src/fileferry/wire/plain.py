"""A plain PUT: all bytes in one request, as S3 and Google Cloud Storage take them too. Knows no parts."""

from __future__ import annotations

from typing import Any

from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, agreed
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import MethodNotAllowed
from fileferry.model import Upload
from fileferry.web import problems
from fileferry.web.digest_fields import declared_digests
from fileferry.web.framing import refuse_framed, refuse_range
from fileferry.web.requests import AnyRequest, base_url, refuse_encoded
from fileferry.wire import envelope, s3, stated_types
from fileferry.wire.checksums import amz_checksums, is_s3_style, refuse_unknown
from fileferry.wire.envelope import Content
from fileferry.wire.gcs_object import (
    declared_hashes,
    is_session,
    md5_member,
    object_headers,
    object_resource,
    promised_hashes,
    session_type,
)


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with a problem document, or with S3's where the request's words are S3's."""
    return s3.render_error(request, error) if is_s3_style(request) else problems.render(request, error)


def is_spoken(_request: AnyRequest) -> bool:
    """Every request is taken for one of these that is of no other protocol."""
    return True


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Take the whole body; 200 with its MD5 as ``ETag``, and what it turned out to be as JSON. Raises MethodNotAllowed."""
    if request.method != "PUT":
        raise MethodNotAllowed("Send the bytes with PUT, or a form with POST.", headers={"Allow": "PUT, POST, OPTIONS"})
    refuse_encoded(request)
    refuse_unknown(request.headers)
    refuse_framed(request.headers)
    refuse_range(request.headers)
    content = envelope.body_itself(
        request, upload, declared(request, upload), session_type(upload), engine.settings.body_idle_timeout
    )
    return final_answer(request, engine, upload, await receive(engine, upload, content))


def declared(request: AnyRequest, upload: Upload) -> dict[Algorithm, bytes]:
    """Return the digests of the body that were declared, now or when a session was initiated; raises InvalidDigest."""
    return agreed(
        declared_digests(request.headers),
        amz_checksums(request.headers),
        declared_hashes(request.headers),
        promised_hashes(upload),
    )


async def receive(engine: Engine, upload: Upload, content: Content) -> ReceivedBytes:
    """Take all bytes of an upload; raises UnsupportedType for a body of another type than was promised."""
    if not content.is_unwrapped:
        stated_types.refuse_other(content.content_type, upload)
    arrival = await engine.arrivals.whole(upload, content.declared, content.announced, content.content_type)
    async with arrival:
        async for chunk in content.chunks:
            await arrival.write(chunk)
        return await arrival.finish()


def final_answer(
    request: AnyRequest, engine: Engine, upload: Upload, received: ReceivedBytes, **more: Any
) -> Response[Any]:
    """Answer that all bytes are there. In a Google session the JSON is the object resource that its clients read."""
    answer: dict[str, Any] = {
        "id": upload.file_id,
        "size": received.size,
        Algorithm.MD5: received.md5,
        "crc32c": received.digests.crc32c,
        "sha256": received.digests.sha256,
        **md5_member(received),
    }
    if is_session(upload):
        answer = object_resource(upload, received, base_url(request, engine))
    etag = received.etag if received.md5 is None else f'"{received.md5}"'
    headers = {"ETag": etag, **object_headers(upload, received)}
    # S3's own SDKs take a success with a body that is no XML for a server error, and send it all again.
    is_s3_sdk = "amz-sdk-invocation-id" in request.headers
    return Response(b"" if is_s3_sdk else answer | more, status_code=200, headers=headers)
