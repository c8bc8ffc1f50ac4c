"""Azure Blob on a signed URL: Put Blob, Put Block, Put Block List, Get Block List, Get Blob Properties, Delete Blob.

Source: the Azure Storage REST API reference, operations of those names. Any ``x-ms-version`` is taken and echoed.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm, Hasher, agreed
from fileferry.engine.receiving.blocks import Block, Kind
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import (
    AlreadyUploaded,
    BadRequest,
    FileTooLarge,
    Forbidden,
    InvalidBlockList,
    InvalidParameter,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
)
from fileferry.model import Clock, Upload
from fileferry.web import azure
from fileferry.web.dates import last_modified
from fileferry.web.digest_fields import declared_digests
from fileferry.web.entity_tags import entity_tags
from fileferry.web.framing import file_bytes, refuse_framed, refuse_range
from fileferry.web.requests import AnyRequest, content_length, refuse_encoded, small_body_of
from fileferry.wire import envelope, plain, stated_types
from fileferry.wire.chunks import refuse_numbered
from fileferry.wire.xml_lists import TooManyTags, beside, parse_list

_LARGEST_BLOCK = 4000 * 1024 * 1024
_LONGEST_ID = 64
_MOST_BLOCKS = 50_000
_MOST_TAGS = 2 * _MOST_BLOCKS + 4  # a start and an end each, and the list itself
_LARGEST_LIST = 8 * 1024 * 1024
_KINDS: dict[str, Kind] = {"Latest": "latest", "Committed": "committed", "Uncommitted": "uncommitted"}
_LIST_TYPES = ("committed", "uncommitted", "all")

render_error = azure.render_error


def is_spoken(request: AnyRequest) -> bool:
    """Whether the request is one of Azure's: some of its clients send only ``comp`` in the query, and no header of theirs."""
    return "comp" in request.query_params or azure.is_spoken(request)


async def handle(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    """Answer one operation. Raises BadRequest for an unknown one, MethodNotAllowed."""
    azure.refuse_unsupported(request)
    comp = request.query_params.get("comp")
    operation = _OPERATIONS.get((request.method, comp))
    if operation is not None:
        answer = await operation(request, engine, upload)
        answer.headers.update(azure.common_headers(request))
        return answer
    if comp not in (None, "block", "blocklist"):
        raise InvalidParameter(
            "On this URL, comp can be block or blocklist.", headers={azure.ERROR_CODE: "InvalidQueryParameterValue"}
        )
    raise MethodNotAllowed(headers={"Allow": "GET, HEAD, PUT, DELETE, OPTIONS"})


async def _put_blob(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    _refuse_other_types(request)
    refuse_encoded(request)
    refuse_framed(request.headers)
    refuse_range(request.headers)
    await _refuse_unmet(request, engine, upload)
    blob_md5 = azure.declared_blob_md5(request.headers)
    content_type = request.headers.get("x-ms-blob-content-type")
    idle = engine.settings.body_idle_timeout
    content = await envelope.content_of(request, upload, _declared(request), content_type, idle)
    refuse_numbered(content.fields)
    content = msgspec.structs.replace(content, declared=agreed(content.declared, blob_md5))
    received = await plain.receive(engine, upload, content)
    return _created(engine, received, _echoed(request) | _md5(received))


async def _put_block(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    refuse_encoded(request)
    refuse_framed(request.headers)
    refuse_range(request.headers)
    block_id = _query_block_id(request)
    announced = content_length(request)
    _refuse_large_block(announced or 0)
    arrival = await engine.arrivals.block(upload, block_id, _declared(request), announced)
    async with arrival:
        async for chunk in _bounded(file_bytes(request, engine.settings.body_idle_timeout, upload)):
            await arrival.write(chunk)
        part = await arrival.finish()
    headers = {"Content-MD5": azure.base64_of(part.md5), "x-ms-request-server-encrypted": "false"}
    return Response(b"", status_code=201, headers={**headers, **_echoed(request)})


async def _put_block_list(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    refuse_encoded(request)
    refuse_framed(request.headers)
    refuse_range(request.headers)
    content_type = request.headers.get("x-ms-blob-content-type")
    stated_types.refuse_other(content_type or "", upload)
    blob_md5 = azure.declared_blob_md5(request.headers)
    declared = _declared(request)
    body = await small_body_of(request, _LARGEST_LIST, engine.settings.body_idle_timeout)
    hasher = Hasher({Algorithm.MD5, *declared})
    hasher.update([body])
    hasher.verify(declared)
    listed = await beside(_parse_list, body)
    await _refuse_unmet(request, engine, upload)
    received = await engine.blocks.commit(upload, listed, blob_md5, content_type)
    # Of the list, not of the blob: clients hold it against what they sent.
    list_md5 = {"Content-MD5": base64.b64encode(hasher.value(Algorithm.MD5)).decode()}
    return _created(engine, received, list_md5 | _echoed(request))


async def _get_block_list(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    kind = request.query_params.get("blocklisttype", "committed").lower()
    if kind not in _LIST_TYPES:
        raise InvalidParameter(
            f"blocklisttype can be {', '.join(_LIST_TYPES)}.",
            headers={azure.ERROR_CODE: "InvalidQueryParameterValue"},
        )
    lists = await engine.blocks.lists(upload)
    received = await engine.tickets.received(upload)
    if received is None and not lists.uncommitted:
        raise NotFound("Nothing has arrived on this URL.")
    _refuse_unmatched(request, received)
    document = ElementTree.Element("BlockList")
    if kind != "uncommitted":
        _add_blocks(document, "CommittedBlocks", lists.committed)
    if kind != "committed":
        _add_blocks(document, "UncommittedBlocks", sorted(lists.uncommitted, key=lambda block: block.block_id))
    headers = {"x-ms-blob-content-length": str(received.size if received else 0), "Cache-Control": "no-store"}
    return azure.xml(document, 200, headers | (_validators(received, engine.clock) if received else {}))


async def _get_properties(request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    received = await engine.tickets.received(upload)
    if received is None:
        raise NotFound("The bytes of this upload have not arrived.")
    _refuse_unmatched(request, received)
    headers = {
        **azure.properties(received.received_at),
        **_validators(received, engine.clock),
        **_md5(received),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Length": str(received.size),
    }
    return Response(b"", status_code=200, headers={**headers, "Content-Type": received.content_type})


async def _refuse_reading(_request: AnyRequest, _engine: Engine, _upload: Upload) -> Response[Any]:
    raise Forbidden(
        "This URL is for uploading: ask for one to download with.",
        headers={azure.ERROR_CODE: "AuthorizationPermissionMismatch"},
    )


async def _abort(_request: AnyRequest, engine: Engine, upload: Upload) -> Response[Any]:
    try:
        await engine.tickets.abort(upload)
    except AlreadyUploaded as error:
        raise AlreadyUploaded(error.detail, headers={azure.ERROR_CODE: "BlobImmutableDueToPolicy"}) from error
    return Response(b"", status_code=202, headers={"x-ms-delete-type-permanent": "true"})


_OPERATIONS: dict[tuple[str, str | None], Callable[[AnyRequest, Engine, Upload], Awaitable[Response[Any]]]] = {
    ("PUT", None): _put_blob,
    ("PUT", "block"): _put_block,
    ("PUT", "blocklist"): _put_block_list,
    ("GET", "blocklist"): _get_block_list,
    ("HEAD", None): _get_properties,
    ("GET", None): _refuse_reading,
    ("DELETE", None): _abort,
}


def _refuse_other_types(request: AnyRequest) -> None:
    blob_type = request.headers.get("x-ms-blob-type")
    if blob_type is None:
        raise BadRequest("Send x-ms-blob-type: BlockBlob.", headers={azure.ERROR_CODE: "MissingRequiredHeader"})
    if blob_type != "BlockBlob":
        raise BadRequest("x-ms-blob-type can only be BlockBlob.", headers={azure.ERROR_CODE: "InvalidHeaderValue"})


async def _refuse_unmet(request: AnyRequest, engine: Engine, upload: Upload) -> None:
    """Raise PreconditionFailed or AlreadyUploaded for a write whose conditions do not hold of what this URL has received."""
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is None and "if-match" not in request.headers:
        return
    received = await engine.tickets.received(upload)
    _refuse_unmatched(request, received)
    if received is None or if_none_match is None:
        return
    if entity_tags(if_none_match) == ("*",):
        raise AlreadyUploaded("The bytes of this upload have arrived already.")
    if received.etag in entity_tags(if_none_match):
        raise PreconditionFailed("What has arrived is what If-None-Match names.")


def _refuse_unmatched(request: AnyRequest, received: ReceivedBytes | None) -> None:
    value = request.headers.get("if-match")
    if value is None:
        return
    tags = entity_tags(value)
    if received is None or (tags != ("*",) and received.etag not in tags):
        raise PreconditionFailed("What has arrived is not what If-Match names.")


def _refuse_large_block(size: int) -> None:
    if size > _LARGEST_BLOCK:
        raise FileTooLarge(f"A block may have at most {_LARGEST_BLOCK} bytes.", limit=_LARGEST_BLOCK)


async def _bounded(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the body of a block; raises FileTooLarge."""
    size = 0
    async for chunk in body:
        size += len(chunk)
        _refuse_large_block(size)
        yield chunk


def _declared(request: AnyRequest) -> dict[Algorithm, bytes]:
    return agreed(declared_digests(request.headers), azure.declared_crc64(request.headers))


def _echoed(request: AnyRequest) -> dict[str, str]:
    """Return the CRC-64 that was sent, and verified: clients hold the answer's against theirs."""
    value = azure.declared_crc64(request.headers).get(Algorithm.CRC64_AZURE)
    return {} if value is None else {"x-ms-content-crc64": base64.b64encode(value).decode()}


def _md5(received: ReceivedBytes) -> dict[str, str]:
    return {"Content-MD5": azure.base64_of(received.md5)} if received.md5 else {}


def _created(engine: Engine, received: ReceivedBytes, more: dict[str, str]) -> Response[Any]:
    headers = {
        **_validators(received, engine.clock),
        "x-ms-request-server-encrypted": "false",
        "Cache-Control": "no-store",
    }
    return Response(b"", status_code=201, headers={**headers, **more})


def _validators(received: ReceivedBytes, clock: Clock) -> dict[str, str]:
    return {"ETag": received.etag, "Last-Modified": last_modified(received.received_at, clock)}


def _query_block_id(request: AnyRequest) -> str:
    value = request.query_params.get("blockid")
    if not value:
        raise InvalidParameter(
            "Put Block needs a blockid in the query.", headers={azure.ERROR_CODE: "MissingRequiredQueryParameter"}
        )
    try:
        # A plus sign that was not quoted has become a space, which base64 does not know.
        return _block_id(value.replace(" ", "+"))
    except ValueError as error:
        raise InvalidParameter(
            f"blockid must be base64 of 1 to {_LONGEST_ID} bytes.",
            headers={azure.ERROR_CODE: "InvalidQueryParameterValue"},
        ) from error


def _block_id(text: str) -> str:
    """Return a block id in the one spelling that we keep; raises ValueError."""
    decoded = base64.b64decode(text.strip(), validate=True)
    if not 1 <= len(decoded) <= _LONGEST_ID:
        raise ValueError(text)
    return base64.b64encode(decoded).decode()


def _parse_list(body: bytes) -> list[tuple[Kind, str]]:
    try:
        root = parse_list(body, _MOST_TAGS)
    except TooManyTags as error:
        raise _too_long_list() from error
    except ValueError as error:
        raise _not_a_list() from error
    if root.tag != "BlockList" or any(element.tag not in _KINDS for element in root):
        raise _not_a_list()
    if len(root) > _MOST_BLOCKS:
        raise _too_long_list()
    try:
        return [(_KINDS[element.tag], _block_id(element.text or "")) for element in root]
    except ValueError as error:
        raise InvalidBlockList(f"Every block id in the list must be base64 of 1 to {_LONGEST_ID} bytes.") from error


def _too_long_list() -> BadRequest:
    return BadRequest(f"A list may name at most {_MOST_BLOCKS} blocks.", headers={azure.ERROR_CODE: "BlockListTooLong"})


def _not_a_list() -> BadRequest:
    return BadRequest(
        "The body cannot be read as a BlockList document.", headers={azure.ERROR_CODE: "InvalidXmlDocument"}
    )


def _add_blocks(document: ElementTree.Element, name: str, blocks: list[Block]) -> None:
    group = ElementTree.SubElement(document, name)
    for block in blocks:
        element = ElementTree.SubElement(group, "Block")
        azure.add(element, "Name", block.block_id)
        azure.add(element, "Size", str(block.size))
