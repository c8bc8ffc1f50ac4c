"""What pages of other origins may send to an upload URL and read of its answers, whatever protocol they speak. Grants nothing."""

from __future__ import annotations

from fileferry.web.azure import REQUEST_HEADERS as AZURE_REQUEST_HEADERS
from fileferry.web.azure import RESPONSE_HEADERS as AZURE_RESPONSE_HEADERS

_ALLOWED_HEADERS = (
    "Authorization, X-API-Key, api-key, Content-Type, Content-Range, Content-MD5, Content-Digest, Repr-Digest, "
    "Want-Repr-Digest, Content-Disposition, If-Match, If-None-Match, Range, Idempotency-Key, X-Request-ID, "
    "X-HTTP-Method-Override, X-Requested-With, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, "
    "Upload-Defer-Length, Upload-Concat, Upload-Checksum, Upload-Complete, Upload-Incomplete, Upload-Draft-Interop-Version, "
    "x-goog-resumable, x-goog-content-length-range, x-goog-hash, x-goog-meta-name, x-upload-content-type, "
    "x-upload-content-length, x-guploader-no-308, x-amz-checksum-crc32, x-amz-checksum-crc32c, x-amz-checksum-sha1, "
    f"x-amz-checksum-sha256, x-amz-sdk-checksum-algorithm, x-amz-content-sha256, {AZURE_REQUEST_HEADERS}"
)
_EXPOSED_HEADERS = (
    "ETag, Location, Content-Location, Range, Content-Range, Accept-Ranges, Retry-After, Content-MD5, Repr-Digest, "
    "Content-Digest, RateLimit, RateLimit-Policy, X-Request-ID, Upload-Offset, Upload-Length, Upload-Metadata, "
    "Upload-Defer-Length, Upload-Concat, Upload-Expires, Upload-Complete, Upload-Limit, Upload-Draft-Interop-Version, "
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, x-goog-hash, "
    f"x-goog-stored-content-length, X-Http-Status-Code-Override, {AZURE_RESPONSE_HEADERS}"
)
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED_HEADERS}
"""The headers of every answer."""
PREFLIGHT = {
    **ANY_ORIGIN,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
    "Access-Control-Max-Age": "86400",
}
"""The headers of the answer to OPTIONS."""
