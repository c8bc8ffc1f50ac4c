"""The signed upload URL: one address, told apart by headers and query which protocol is spoken on it. Most specific first."""

from __future__ import annotations

from typing import Any, Protocol

from litestar import HttpMethod, Response, Router, route

from fileferry.engine.engine import Engine
from fileferry.errors import ProtocolUnknown
from fileferry.model import Upload
from fileferry.web import problems
from fileferry.web.azure import REQUEST_HEADERS as AZURE_REQUEST_HEADERS
from fileferry.web.azure import RESPONSE_HEADERS as AZURE_RESPONSE_HEADERS
from fileferry.web.requests import AnyRequest
from fileferry.wire import azure, plain, s3


class WireProtocol(Protocol):
    """What a module of this package is to the signed URL."""

    def is_spoken(self, request: AnyRequest, /) -> bool:
        """Whether a request that no protocol before this one knew is of this one."""

    async def handle(self, request: AnyRequest, engine: Engine, upload: Upload, /) -> Response[Any]:
        """Answer a request whose signature was verified; raises FerryError."""

    def render_error(self, request: AnyRequest, error: Exception, /) -> Response[bytes]:
        """Answer with the error in the form that the protocol's clients parse, a bad signature's included."""


class Unspoken:
    """A protocol that is not spoken here yet; to take its requests for plain ones would store something else than was meant."""

    def __init__(self, name: str, headers: tuple[str, ...], content_type: str | None = None) -> None:
        self._name = name
        self._headers = headers
        self._content_type = content_type

    def is_spoken(self, request: AnyRequest) -> bool:
        """Whether one of its headers came, or its content type."""
        if any(name in request.headers for name in self._headers):
            return True
        return self._content_type is not None and request.headers.get("content-type") == self._content_type

    async def handle(self, _request: AnyRequest, _engine: Engine, _upload: Upload) -> Response[Any]:
        """Raise ProtocolUnknown."""
        raise ProtocolUnknown(f"{self._name} is not spoken on this URL: use a plain PUT, Azure blocks, or S3 parts.")

    def render_error(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """Answer with problem+json."""
        return problems.render(request, error)


_RUFH_HEADERS = ("upload-complete", "upload-incomplete", "upload-draft-interop-version")
_GCS_HEADERS = ("content-range", "x-goog-resumable", "x-upload-content-type", "x-upload-content-length")
# The first that knows a request answers it; the last knows every one.
_PROTOCOLS: tuple[WireProtocol, ...] = (
    azure,
    Unspoken("tus", ("tus-resumable",)),
    Unspoken("Resumable uploads for HTTP", _RUFH_HEADERS, "application/partial-upload"),
    Unspoken("A Google resumable session", _GCS_HEADERS),
    s3,
    plain,
)
_METHODS = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PUT, HttpMethod.POST, HttpMethod.PATCH, HttpMethod.DELETE]
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Content-Range, Content-MD5, Content-Digest, Repr-Digest, Want-Repr-Digest, "
    "Content-Disposition, If-Match, If-None-Match, Range, Idempotency-Key, X-Request-ID, X-HTTP-Method-Override, "
    "X-Requested-With, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Defer-Length, Upload-Concat, "
    "Upload-Checksum, Upload-Complete, Upload-Incomplete, Upload-Draft-Interop-Version, x-goog-resumable, "
    "x-goog-content-length-range, x-goog-hash, x-goog-meta-name, x-upload-content-type, x-upload-content-length, "
    "x-guploader-no-308, x-amz-checksum-crc32, x-amz-checksum-crc32c, x-amz-checksum-sha1, x-amz-checksum-sha256, "
    f"x-amz-sdk-checksum-algorithm, x-amz-content-sha256, {AZURE_REQUEST_HEADERS}"
)
_EXPOSED_HEADERS = (
    "ETag, Location, Range, Content-Range, Accept-Ranges, Retry-After, Content-MD5, Repr-Digest, Content-Digest, RateLimit, "
    "RateLimit-Policy, X-Request-ID, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Defer-Length, Upload-Concat, "
    "Upload-Expires, Upload-Complete, Upload-Limit, Upload-Draft-Interop-Version, Tus-Resumable, Tus-Version, Tus-Extension, "
    "Tus-Max-Size, Tus-Checksum-Algorithm, x-goog-hash, x-goog-stored-content-length, X-Http-Status-Code-Override, "
    f"{AZURE_RESPONSE_HEADERS}"
)
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED_HEADERS}
_PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
    "Access-Control-Max-Age": "86400",
}


@route("/u/{upload_id:str}/{name:path}", http_method=_METHODS)
async def upload(request: AnyRequest, engine: Engine, upload_id: str) -> Response[Any]:
    """Take the bytes of an upload at its signed URL: a plain PUT, Azure blocks, or the parts of an S3 multipart upload."""
    found = await engine.tickets.at(upload_id, request.query_params)
    answer = await _protocol(request).handle(request, engine, found)
    answer.headers.update(CORS)
    return answer


@route("/u/{upload_id:str}/{name:path}", http_method=[HttpMethod.OPTIONS])
async def preflight(upload_id: str) -> Response[bytes]:
    """Tell a browser what a page of any origin may send here; needs no signature, as a browser sends none."""
    return Response(b"", status_code=200, headers=_PREFLIGHT)


def _render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    answer = _protocol(request).render_error(request, error)
    answer.headers.update(CORS)
    return answer


# Preflight comes first, or the framework answers OPTIONS by itself.
router = Router("/", route_handlers=[preflight, upload], exception_handlers={Exception: _render_error})


def _protocol(request: AnyRequest) -> WireProtocol:
    return next(protocol for protocol in _PROTOCOLS if protocol.is_spoken(request))
