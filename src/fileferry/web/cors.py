"""What pages of other origins may send to an upload URL and read of its answers, whatever protocol they speak. Grants nothing."""

from __future__ import annotations

import re

from fileferry.web.azure import RESPONSE_HEADERS as AZURE_RESPONSE_HEADERS
from fileferry.web.requests import AnyRequest

_EXPOSED_HEADERS = (
    "ETag, Location, Content-Location, Range, Content-Range, Accept-Ranges, Retry-After, Content-MD5, Repr-Digest, "
    "Content-Digest, RateLimit, RateLimit-Policy, X-Request-ID, Upload-Offset, Upload-Length, Upload-Metadata, "
    "Upload-Defer-Length, Upload-Concat, Upload-Expires, Upload-Complete, Upload-Limit, Upload-Draft-Interop-Version, "
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, x-goog-hash, "
    f"x-goog-stored-content-length, X-Http-Status-Code-Override, {AZURE_RESPONSE_HEADERS}"
)
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED_HEADERS}
"""The headers of every answer."""
# Whatever a page may add to its request, nothing here is granted by cookies: a list would only forget what some library sends.
_FIELD_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~ \t,-]{1,8192}")


def preflight(request: AnyRequest, methods: str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") -> dict[str, str]:
    """Return the headers that answer OPTIONS: every request header that is asked for may be sent (Fetch, "CORS preflight")."""
    asked = request.headers.get("access-control-request-headers", "")
    return {
        **ANY_ORIGIN,
        "Access-Control-Allow-Methods": methods,
        # A star stands for all but Authorization.
        "Access-Control-Allow-Headers": asked if _FIELD_NAMES.fullmatch(asked) else "*, Authorization",
        "Access-Control-Max-Age": "86400",
        "Vary": "Access-Control-Request-Headers",
    }
