"""The signed upload URL: one address, told apart by headers and query which protocol is spoken on it. Most specific first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import HttpMethod, Response, Router, route

from fileferry.engine.engine import Engine
from fileferry.errors import MethodNotAllowed, ProtocolUnknown
from fileferry.model import Upload
from fileferry.web import problems
from fileferry.web.requests import AnyRequest
from fileferry.wire import plain, s3

Handler = Callable[[AnyRequest, Engine, Upload], Awaitable[Response[Any]]]

_METHODS = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PUT, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.DELETE]
_RUFH_HEADERS = ("upload-complete", "upload-incomplete", "upload-draft-interop-version")
_GCS_HEADERS = ("content-range", "x-goog-resumable", "x-upload-content-type", "x-upload-content-length")
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Content-Range, Content-MD5, Content-Digest, Repr-Digest, Content-Disposition, If-Match, "
    "If-None-Match, Range, Idempotency-Key, X-Request-ID, X-Requested-With, x-amz-checksum-crc32, x-amz-checksum-crc32c, "
    "x-amz-checksum-sha1, x-amz-checksum-sha256, x-amz-sdk-checksum-algorithm, x-amz-content-sha256"
)
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Location, Retry-After, Repr-Digest, X-Request-ID",
}
_PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
    "Access-Control-Max-Age": "86400",
}


@route("/u/{upload_id:str}/{name:path}", http_method=_METHODS)
async def upload(request: AnyRequest, engine: Engine, upload_id: str) -> Response[Any]:
    """Take the bytes of an upload at its signed URL: a plain PUT, or the parts of an S3 multipart upload."""
    handler = _handler(request)
    found = await engine.tickets.at(upload_id, request.query_params)
    answer = await handler(request, engine, found)
    answer.headers.update(CORS)
    return answer


@route("/u/{upload_id:str}/{name:path}", http_method=[HttpMethod.OPTIONS])
async def preflight(upload_id: str) -> Response[bytes]:
    """Tell a browser what a page of any origin may send here; needs no signature, as a browser sends none."""
    return Response(b"", status_code=200, headers=_PREFLIGHT)


def _render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    answer = s3.render_error(error) if s3.is_spoken(request) else problems.render(request, error)
    answer.headers.update(CORS)
    return answer


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router("/", route_handlers=[preflight, upload], exception_handlers={Exception: _render_error})


def _handler(request: AnyRequest) -> Handler:
    """Return what answers this request; raises ProtocolUnknown for a protocol that is not spoken here, MethodNotAllowed."""
    protocol = _foreign_protocol(request)
    if protocol is not None:
        raise ProtocolUnknown(f"{protocol} is not spoken on this URL: use a plain PUT, or S3 multipart parts.")
    if s3.is_spoken(request):
        return s3.handle
    if request.method == "PUT":
        return plain.put
    raise MethodNotAllowed("Send the bytes with PUT.", headers={"Allow": "PUT, OPTIONS"})


def _foreign_protocol(request: AnyRequest) -> str | None:
    """Name the protocol that is not spoken here yet; to take it for a plain PUT would store something else than was meant."""
    query, headers = request.query_params, request.headers
    if "comp" in query or "x-ms-blob-type" in headers or "x-ms-version" in headers:
        return "Azure Blob"
    if "tus-resumable" in headers:
        return "tus"
    if any(name in headers for name in _RUFH_HEADERS) or headers.get("content-type") == "application/partial-upload":
        return "Resumable uploads for HTTP"
    if any(name in headers for name in _GCS_HEADERS):
        return "A Google resumable session"
    return None
