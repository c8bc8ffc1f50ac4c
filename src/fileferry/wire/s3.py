"""S3 multipart on a signed URL: UploadPart, ListParts, CompleteMultipartUpload, AbortMultipartUpload, with S3's XML and codes.

Source: the Amazon S3 API reference, actions of those names.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import agreed
from fileferry.engine.receiving.lapse import refuse_ended
from fileferry.engine.receiving.parts import MOST_PARTS, multipart_etag
from fileferry.errors import (
    AlreadyUploaded,
    BadRequest,
    FerryError,
    InvalidParameter,
    InvalidPart,
    LinkRefused,
    MethodNotAllowed,
    NotFound,
    RateLimited,
)
from fileferry.model import Part, Upload, format_time
from fileferry.telemetry import request_id
from fileferry.web import problems
from fileferry.web.digest_fields import declared_digests
from fileferry.web.framing import file_bytes, refuse_framed, refuse_range
from fileferry.web.requests import AnyRequest, base_url, content_length, refuse_encoded, small_body_of
from fileferry.wire import stated_types
from fileferry.wire.checksums import UnknownChecksum, amz_checksums, object_checksums, refuse_unknown
from fileferry.wire.gcs_object import declared_hashes, hashes_field, location_of
from fileferry.wire.xml_lists import TooManyTags, beside, parse_list

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LARGEST_LIST = 4 * 1024 * 1024
_PAGE = 1000
_MOST_TAGS = 12 * MOST_PARTS  # some clients name a checksum or two of each part as well
# How S3 names what our catalogue says; its clients decide by these codes.
_CODES = {
    "already_uploaded": "InvalidRequest",
    "digest_mismatch": "BadDigest",
    "file_too_large": "EntityTooLarge",
    "gone": "NoSuchUpload",
    "insufficient_storage": "ServiceUnavailable",
    "internal_error": "InternalError",
    "invalid_digest": "InvalidDigest",
    "invalid_parameter": "InvalidArgument",
    "invalid_part": "InvalidPart",
    "link_refused": "AccessDenied",
    "method_not_allowed": "MethodNotAllowed",
    "not_found": "NoSuchUpload",
    "rate_limited": "SlowDown",
    "request_timeout": "RequestTimeout",
    "size_mismatch": "IncompleteBody",
    "truncated_body": "IncompleteBody",
    "unavailable": "ServiceUnavailable",
}


class _MalformedList(BadRequest):
    """A list of parts that is no such document."""


class _WrongOrder(InvalidPart):
    """A list of parts that does not go up."""


def is_spoken(request: AnyRequest) -> bool:
    """Whether the request's query is that of a multipart action."""
    return any(name in request.query_params for name in ("partNumber", "uploadId", "uploads"))


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Answer one multipart action. Raises NotFound when ``uploadId`` is not this upload's, MethodNotAllowed."""
    if request.method == "POST" and "uploads" in request.query_params:
        return await _initiate(request, engine, upload)
    if request.query_params.get("uploadId") != upload.multipart_name:
        raise NotFound("The uploadId is not that of this upload.")
    if request.method == "PUT":
        return await _put_part(request, engine, upload)
    if request.method == "GET":
        return await _list_parts(request, engine, upload)
    if request.method == "POST":
        return await _complete(request, engine, upload)
    if request.method == "DELETE":
        await engine.tickets.abort(upload)
        return Response(None, status_code=204)
    raise MethodNotAllowed(headers={"Allow": "GET, PUT, POST, DELETE, OPTIONS"})


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with S3's ``<Error>`` document."""
    failure = problems.known(error)
    code, status = _code(failure), failure.status
    if is_spoken(request) and isinstance(failure, AlreadyUploaded):
        code, status = "NoSuchUpload", 404  # to S3 an upload that is complete is none
    if isinstance(failure, RateLimited):
        status = 503  # S3 slows its clients down with one, which all of them repeat
    document = ElementTree.Element("Error")
    _add(document, "Code", code)
    _add(document, "Message", failure.detail)
    for name, value in failure.fields.items():
        _add(document, "".join(word.capitalize() for word in name.split("_")), str(value))
    _add(document, "RequestId", request_id())
    return _xml(document, status, problems.headers_of(failure))


async def _initiate(request: AnyRequest, engine: Engine, upload: Upload) -> Response[bytes]:
    refuse_encoded(request)
    refuse_unknown(request.headers)
    stated = request.headers.get("content-type")
    stated_types.refuse_other(stated, upload)
    await engine.tickets.state_type(upload, stated)
    document = ElementTree.Element("InitiateMultipartUploadResult", xmlns=_NAMESPACE)
    _add_names(document, upload)
    _add(document, "UploadId", upload.multipart_name)
    return _xml(document)


async def _put_part(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    refuse_encoded(request)
    refuse_unknown(request.headers)
    refuse_framed(request.headers)
    refuse_range(request.headers)
    number = _part_number(request)
    declared = agreed(
        declared_digests(request.headers), amz_checksums(request.headers), declared_hashes(request.headers)
    )
    arrival = await engine.arrivals.part(upload, number, declared, content_length(request))
    async with arrival:
        async for chunk in file_bytes(request, engine.settings.body_idle_timeout, upload):
            await arrival.write(chunk)
        part = await arrival.finish()
    headers = {
        "ETag": f'"{part.md5}"',
        # Google's clients of the same calls hold it against what they sent.
        "x-goog-hash": hashes_field(part.crc32c, part.md5),
        "Cache-Control": "no-store",
    }
    return Response(b"", status_code=200, headers=headers)


async def _list_parts(request: AnyRequest, engine: Engine, upload: Upload) -> Response[bytes]:
    refuse_ended(upload)
    limit = _page_size(request)
    after = _marker(request)
    parts = [part for part in await engine.tickets.parts(upload) if part.number > after]
    document = ElementTree.Element("ListPartsResult", xmlns=_NAMESPACE)
    _add_names(document, upload)
    _add(document, "UploadId", upload.multipart_name)
    _add(document, "PartNumberMarker", str(after))
    _add(document, "MaxParts", str(limit))
    _add(document, "IsTruncated", "true" if len(parts) > limit else "false")
    if len(parts) > limit:
        _add(document, "NextPartNumberMarker", str(parts[limit - 1].number))
    for part in parts[:limit]:
        _add_part(document, part)
    return _xml(document)


async def _complete(request: AnyRequest, engine: Engine, upload: Upload) -> Response[bytes]:
    body = await small_body_of(request, _LARGEST_LIST, engine.settings.body_idle_timeout)
    listed = await beside(_parse_list, body)
    declared = object_checksums(request.headers)
    parts = {part.number: part for part in await engine.tickets.parts(upload)}
    await engine.tickets.receive_parts(upload, listed, declared)
    document = ElementTree.Element("CompleteMultipartUploadResult", xmlns=_NAMESPACE)
    _add(document, "Location", location_of(upload, base_url(request, engine)))
    _add_names(document, upload)
    _add(document, "ETag", f'"{multipart_etag([parts[number] for number, _etag in listed if number in parts])}"')
    return _xml(document)


def _parse_list(body: bytes) -> list[tuple[int, str]]:
    try:
        root = parse_list(body, _MOST_TAGS)
        listed = [
            (int(_text(part, "PartNumber")), _text(part, "ETag"))
            for part in root
            if part.tag.rpartition("}")[2] == "Part"
        ]
    except TooManyTags as error:
        raise _MalformedList(f"An upload has at most {MOST_PARTS} parts.") from error
    except ValueError as error:
        raise _MalformedList("The list of parts cannot be read as a CompleteMultipartUpload document.") from error
    if not listed:
        raise _MalformedList("List the parts that make the file.")
    numbers = [number for number, _etag in listed]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise _WrongOrder("List every part once, in ascending order.")
    return listed


def _text(part: ElementTree.Element, name: str) -> str:
    for child in part:
        if child.tag.rpartition("}")[2] == name and child.text:
            return child.text
    raise ValueError(name)


def _part_number(request: AnyRequest) -> int:
    value = request.query_params.get("partNumber", "")
    if not (value.isascii() and value.isdigit()) or len(value) > 5:
        raise InvalidParameter("partNumber must be a number from 1 to 10000.", parameter="partNumber")
    return int(value)


def _page_size(request: AnyRequest) -> int:
    value = request.query_params.get("max-parts", str(_PAGE))
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) < 1:
        raise InvalidParameter("max-parts must be a number from 1.", parameter="max-parts")
    return min(_PAGE, int(value))


def _marker(request: AnyRequest) -> int:
    value = request.query_params.get("part-number-marker", "0")
    if not (value.isascii() and value.isdigit()) or len(value) > 5:
        raise InvalidParameter("part-number-marker must be a part number.", parameter="part-number-marker")
    return int(value)


def _add_names(document: ElementTree.Element, upload: Upload) -> None:
    _add(document, "Bucket", "u")
    _add(document, "Key", f"{upload.id}/{upload.name}")


def _add_part(document: ElementTree.Element, part: Part) -> None:
    element = ElementTree.SubElement(document, "Part")
    _add(element, "PartNumber", str(part.number))
    _add(element, "LastModified", format_time(part.received_at))
    _add(element, "ETag", f'"{part.md5}"')
    _add(element, "Size", str(part.size))


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


_CODES_BY_KIND: dict[type[FerryError], str] = {
    LinkRefused: "AccessDenied",
    UnknownChecksum: "InvalidRequest",
    _MalformedList: "MalformedXML",
    _WrongOrder: "InvalidPartOrder",
}


def _code(failure: FerryError) -> str:
    for kind, code in _CODES_BY_KIND.items():
        if isinstance(failure, kind):
            return code
    return _CODES.get(failure.code, "InvalidRequest")


def _xml(document: ElementTree.Element, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    body = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return Response(body, status_code=status, media_type="application/xml", headers=headers)
