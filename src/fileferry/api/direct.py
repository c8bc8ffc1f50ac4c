"""The one-call flow, ``/v1/files``: a file in one POST, as multipart or as base64 in JSON; its URL comes back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec
from litestar import Request, Response, post
from multipart import parse_options_header

from fileferry.api.bodies import BINARY, takes
from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Hasher
from fileferry.engine.receiving.uploads import NewFile
from fileferry.errors import InvalidMetadata, InvalidParameter, MissingFile, UnsupportedType
from fileferry.model import Principal, StoredFile, clean_name, format_optional_time, format_time
from fileferry.telemetry import request_id
from fileferry.web import problems
from fileferry.web.digest_fields import declared_digests
from fileferry.web.express import EXPRESS
from fileferry.web.forms import Form, receive_form
from fileferry.web.framing import refuse_piece
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    created,
    decode_cursor,
    decode_json,
    encode_cursor,
    idempotency_key,
    parse_expires_at,
    parse_expires_in,
    parse_fetches,
    parse_limit,
    parse_metadata,
    public_url,
    read_json,
    refuse_encoded,
    small_body_of,
)
from fileferry.web.waiting import judged, settled, standing

_UNNAMED = "file"
_FIELDS = (
    "filename",
    "content_type",
    "expires_in",
    "expires_at",
    "expires_after_fetches",
    "delete_after_first_complete_fetch",
    "metadata",
)
_LONGEST_METADATA = 1024 * 1024  # with blanks, which do not count in the end
_BLANKS = b" \t\n\v\f\r\x1c\x1d\x1e\x1f"
_DATA_URL = re.compile(r"data:([^,]*?)(?:;base64)?,", re.IGNORECASE)


_TEXT = {"type": "string"}
_WORDS = dict.fromkeys(_FIELDS, _TEXT)
_FORM = {"type": "object", "required": ["file"], "properties": {"file": BINARY, **_WORDS}}


class DirectFile(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A file as this flow shows it. ``expires_at`` is null for a file that is kept, ``reason`` unless it was rejected."""

    url: str
    file_id: str
    filename: str
    content_type: str
    size: int
    sha256: str | None
    crc32c: str
    metadata: dict[str, Any]
    created_at: str
    expires_at: str | None
    status: str
    reason: str | None


class DirectPage(msgspec.Struct):
    """A page of files, newest first; ``next_cursor`` is null on the last."""

    files: list[DirectFile]
    next_cursor: str | None


_NO_METADATA = msgspec.Raw(b"null")


class _JsonUpload(msgspec.Struct, forbid_unknown_fields=True):
    filename: str | None = None
    content_type: str | None = None
    base64: str | None = None
    expires_in: str | int | None = None
    expires_at: str | None = None
    expires_after_fetches: int | None = None
    delete_after_first_complete_fetch: bool | None = None
    metadata: msgspec.Raw = _NO_METADATA


def render_error(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer with this flow's envelope: ``{"error": {code, message, request_id, retry}}``."""
    failure = problems.known(error)
    body = {
        "code": failure.code,
        "message": failure.detail,
        "request_id": request_id(),
        "retry": failure.retry,
        **failure.fields,
    }
    return Response(
        msgspec.json.encode({"error": body}),
        status_code=failure.status,
        media_type="application/json",
        headers=problems.headers_of(failure),
    )


@post(
    "/files",
    operation_class=takes(
        {
            "multipart/form-data": _FORM,
            "application/json": {"type": "object", "properties": {**_WORDS, "base64": _TEXT}},
        },
        frozenset({"file", "base64", *_FIELDS}),
    ),
    exception_handlers={Exception: render_error},
    opt=EXPRESS,
)
async def upload(request: AnyRequest, engine: Engine, principal: Principal) -> Response[DirectFile]:
    """Upload one file: multipart/form-data with a field ``file``, or JSON with ``filename`` and ``base64``.

    ``expires_in`` (30m, 24h, 7d or seconds) or ``expires_at`` (RFC 3339) end its life, ``metadata`` is a JSON object.
    ``expires_after_fetches`` ends it once it was fetched whole so often, ``delete_after_first_complete_fetch`` after once. With
    ``Prefer: wait=30`` the answer comes once the file is ready or not to be.
    """
    refuse_encoded(request)
    refuse_piece(request.headers)
    base_url(request, engine)  # what makes the answer impossible is told before anything is stored
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type == "multipart/form-data":
        stored = await _receive_multipart(request, engine, principal, parameters.get("boundary", ""))
    elif media_type == "application/json":
        stored = await _receive_json(request, engine, principal)
    else:
        raise UnsupportedType("Send the file as multipart/form-data, or as JSON with filename and base64.")
    shown = _file(request, engine, await judged(request, engine, stored))
    return created(request, engine, f"/v1/files/{shown.file_id}", shown)


async def list_files(
    request: AnyRequest, engine: Engine, principal: Principal, cursor: str | None, limit: str | None
) -> DirectPage:
    """List files, newest first."""
    after = decode_cursor(cursor, 1)
    page = await engine.files.list_newest(principal, after[0] if after else None, parse_limit(limit))
    files = [_file(request, engine, stored) for stored in page.items]
    return DirectPage(files, encode_cursor(page.next_cursor) if page.next_cursor else None)


async def delete_file(engine: Engine, principal: Principal, file_id: str) -> None:
    """Remove a file's public access at once, and its bytes soon after."""
    await engine.changes.delete(principal, file_id)


async def show_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Response[DirectFile]:
    """Inspect a file; with ``Prefer: wait=30`` once it is ready or not to be."""

    async def read() -> tuple[StoredFile, str | None]:
        return standing(await engine.files.get(principal, file_id))

    return Response(_file(request, engine, await settled(request, engine, read)))


async def _receive_multipart(request: AnyRequest, engine: Engine, principal: Principal, boundary: str) -> StoredFile:
    form = Form(boundary, _FIELDS)

    def told() -> NewFile:
        fields = form.texts()
        return NewFile(
            path=clean_name(fields.get("filename") or form.file_name or _UNNAMED),
            at_path=False,
            content_type=fields.get("content_type") or form.file_type,
            metadata=parse_metadata(fields.get("metadata")),
            expires_in=parse_expires_in(fields.get("expires_in")),
            expires_at=parse_expires_at(fields.get("expires_at")),
            fetches=parse_fetches(fields.get("expires_after_fetches"), fields.get("delete_after_first_complete_fetch")),
            idempotency_key=idempotency_key(request),
        )

    return await receive_form(request, engine, principal, form, int(engine.settings.max_file_size), told)


async def _receive_json(request: AnyRequest, engine: Engine, principal: Principal) -> StoredFile:
    engine.uploads.authorize(principal)
    declared = declared_digests(request.headers)
    body = await small_body_of(request, int(engine.settings.max_json_upload), engine.settings.body_idle_timeout)
    envelope = Hasher(declared)
    envelope.update([body])
    envelope.verify(declared)
    asked = await read_json(body, _JsonUpload)
    content, stated_type = _decode_base64(asked.base64)
    if not asked.filename:
        raise MissingFile("A JSON upload needs filename and base64.")
    new = NewFile(
        path=clean_name(asked.filename),
        at_path=False,
        content_type=asked.content_type or stated_type,
        metadata=_metadata(asked.metadata),
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=parse_expires_at(asked.expires_at),
        fetches=parse_fetches(asked.expires_after_fetches, asked.delete_after_first_complete_fetch),
        idempotency_key=idempotency_key(request),
    )
    allowed = await engine.uploads.check(principal, new, len(content))
    async with engine.uploads.receive(principal, size=len(content), allowed=allowed) as incoming:
        await incoming.write(content)
        return (await incoming.finish(new)).stored


def _metadata(raw: msgspec.Raw) -> dict[str, Any]:
    """Return metadata as they came in JSON; raises InvalidParameter, and InvalidMetadata before many objects are made of them."""
    if len(raw) > _LONGEST_METADATA:
        raise InvalidMetadata()
    return {} if raw == _NO_METADATA else decode_json(bytes(raw), dict[str, Any])


def _decode_base64(text: str | None) -> tuple[bytes, str | None]:
    """Return the bytes, and the type that a ``data:`` prefix states."""
    if text is None:
        raise MissingFile("A JSON upload needs filename and base64.")
    prefix = _DATA_URL.match(text)
    try:
        # Not by splitting: millions of words of one letter would take far more memory than the body.
        encoded = text[prefix.end() if prefix else 0 :].encode("ascii").translate(None, _BLANKS)
        return base64.b64decode(encoded, validate=True), (prefix[1] or None) if prefix else None
    except (binascii.Error, ValueError) as error:
        raise InvalidParameter(f"base64 cannot be decoded: {error}.", parameter="base64") from error


def _file(request: AnyRequest, engine: Engine, stored: StoredFile) -> DirectFile:
    file, version = stored.file, stored.version
    return DirectFile(
        url=public_url(request, engine, stored),
        file_id=file.id,
        filename=file.name,
        content_type=version.content_type,
        size=version.size,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        metadata=file.metadata,
        created_at=format_time(file.created_at),
        expires_at=format_optional_time(file.expires_at),
        status=version.state,
        reason=version.reason,
    )
