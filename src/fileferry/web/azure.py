"""The dialect of Azure Blob that uploads and downloads share: how it is told, its errors, its headers. It decides nothing.

Source: the Azure Storage REST API reference, "Blob service error codes" and the operations that ``wire/azure.py`` and
``api/delivery.py`` answer.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from typing import Any

from litestar import Response

from fileferry.engine.inspection.digests import Algorithm
from fileferry.errors import BadRequest, FerryError, InvalidDigest, PreconditionFailed
from fileferry.telemetry import request_id
from fileferry.web import problems
from fileferry.web.dates import http_date
from fileferry.web.requests import AnyRequest

ERROR_CODE = "x-ms-error-code"
"""The header that names an error. One that Azure knows more finely than our catalogue is raised with it in its headers."""
RESPONSE_HEADERS = (
    "x-ms-request-id, x-ms-version, x-ms-client-request-id, x-ms-error-code, x-ms-blob-type, x-ms-blob-content-md5, "
    "x-ms-blob-content-length, x-ms-content-crc64, x-ms-creation-time, x-ms-request-server-encrypted, x-ms-server-encrypted"
)
"""What a page of another origin may read of the answers."""
LONGEST_MEASURED_RANGE = 4 * 1024 * 1024
"""Of how long a range the MD5 may be asked for (bytes)."""

_TELLING = ("x-ms-version", "x-ms-blob-type", "x-ms-range")
TOLD_BY = ", ".join(_TELLING)
"""The headers of a request that its answer differs by, as ``Vary`` names them."""
# Each would change what is stored or served; to answer as if it had not come would tell the client something false.
_UNSUPPORTED = (
    "x-ms-copy-source",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-if-tags",
    "x-ms-immutability-policy-mode",
    "x-ms-immutability-policy-until-date",
    "x-ms-legal-hold",
    "x-ms-range-get-content-crc64",
    "x-ms-structured-body",
)
_LONGEST_ECHO = 1024
_CRC64_BYTES = 8
_CODES = {
    "already_uploaded": "BlobAlreadyExists",
    "file_too_large": "RequestBodyTooLarge",
    "gone": "ResourceNotFound",
    "insufficient_storage": "ServerBusy",
    "invalid_block": "InvalidBlobOrBlock",
    "invalid_block_list": "InvalidBlockList",
    "invalid_digest": "InvalidHeaderValue",
    "link_refused": "AuthenticationFailed",
    "method_not_allowed": "UnsupportedHttpVerb",
    "not_found": "BlobNotFound",
    "precondition_failed": "ConditionNotMet",
    "range_not_satisfiable": "InvalidRange",
    "rate_limited": "ServerBusy",
    "request_timeout": "OperationTimedOut",
    "too_many_pieces": "InvalidBlockList",
    "unavailable": "ServerBusy",
    "unsupported_type": "InvalidHeaderValue",
}
_CODES_BY_STATUS = {403: "AuthorizationFailure", 404: "ResourceNotFound", 409: "InvalidOperation", 500: "InternalError"}
_MISMATCHES = {Algorithm.MD5: "Md5Mismatch", Algorithm.CRC64_AZURE: "Crc64Mismatch"}


def is_spoken(request: AnyRequest) -> bool:
    """Whether the request's headers are those of an Azure client."""
    return any(name in request.headers for name in _TELLING)


def refuse_unsupported(request: AnyRequest) -> None:
    """Raise BadRequest for a header that asks for what is not done here, PreconditionFailed for one that names a lease."""
    for name in _UNSUPPORTED:
        if name in request.headers:
            raise BadRequest(f"{name} is not supported here.", headers={ERROR_CODE: "UnsupportedHeader"})
    if "x-ms-lease-id" in request.headers:
        code = "LeaseNotPresentWithBlobOperation"
        raise PreconditionFailed("There are no leases here.", headers={ERROR_CODE: code})


def declared_crc64(headers: Any) -> dict[Algorithm, bytes]:
    """Return the CRC-64 of the body that ``x-ms-content-crc64`` declares, if any; raises InvalidDigest."""
    return _declared(headers, "x-ms-content-crc64", Algorithm.CRC64_AZURE, _CRC64_BYTES)


def declared_blob_md5(headers: Any) -> dict[Algorithm, bytes]:
    """Return the MD5 of the whole blob that ``x-ms-blob-content-md5`` declares, if any; raises InvalidDigest."""
    return _declared(headers, "x-ms-blob-content-md5", Algorithm.MD5, 16)


def _declared(headers: Any, name: str, algorithm: Algorithm, size: int) -> dict[Algorithm, bytes]:
    value = headers.get(name)
    if value is None:
        return {}
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except ValueError as error:
        raise InvalidDigest(f"{name} is not base64.") from error
    if len(digest) != size:
        raise InvalidDigest(f"{name} must have {size} bytes.")
    return {algorithm: digest}


def common_headers(request: AnyRequest) -> dict[str, str]:
    """Return the headers of every answer: our request id, and what the client sent to know its own request by."""
    headers = {"x-ms-request-id": request_id()}
    for name in ("x-ms-version", "x-ms-client-request-id"):
        value = request.headers.get(name, "")
        if value.isascii() and value.isprintable() and 0 < len(value) <= _LONGEST_ECHO:
            headers[name] = value
    return headers


def properties(created_at: datetime) -> dict[str, str]:
    """Return the headers that say of a blob what is the same of every one here."""
    return {
        "x-ms-blob-type": "BlockBlob",
        "x-ms-creation-time": http_date(created_at),
        "x-ms-lease-state": "available",
        "x-ms-lease-status": "unlocked",
        "x-ms-server-encrypted": "false",
    }


def base64_of(digest: str) -> str:
    """Return a digest given as hex as its headers hold it."""
    return base64.b64encode(bytes.fromhex(digest)).decode()


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with Azure's ``<Error>`` document and ``x-ms-error-code``, which some clients look at alone."""
    failure = problems.known(error)
    code = _code(failure)
    document = ElementTree.Element("Error")
    add(document, "Code", code)
    add(document, "Message", f"{failure.detail}\nRequestId:{request_id()}")
    headers = {**problems.headers_of(failure), **common_headers(request), ERROR_CODE: code}
    # Its clients repeat a 503, and take a 429 for the end.
    return xml(document, 503 if code == "ServerBusy" else failure.status, headers)


def _code(failure: FerryError) -> str:
    if ERROR_CODE in failure.headers:
        return failure.headers[ERROR_CODE]
    if failure.code == "digest_mismatch":
        return _MISMATCHES.get(failure.fields.get("algorithm", ""), "InvalidInput")
    return _CODES.get(failure.code) or _CODES_BY_STATUS.get(failure.status, "InvalidInput")


def add(parent: ElementTree.Element, name: str, text: str) -> None:
    """Append a child element that holds ``text``."""
    ElementTree.SubElement(parent, name).text = text


def xml(document: ElementTree.Element, status: int, headers: dict[str, str]) -> Response[bytes]:
    """Answer with an XML document."""
    body = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return Response(body, status_code=status, media_type="application/xml", headers=headers)
