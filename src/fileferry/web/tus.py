"""tus 1.0.0 as a signed upload URL and the endpoint that makes uploads with a key both speak it: its headers, creation, appending.

Source: tus resumable upload protocol 1.0.0, tus.io/protocols/resumable-upload. Who may do what is decided elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response

from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.parts import MOST_PARTIALS
from fileferry.errors import (
    BadRequest,
    DigestMismatch,
    FerryError,
    FileTooLarge,
    Forbidden,
    InvalidDigest,
    InvalidMetadata,
    NotFound,
    OffsetMismatch,
    PreconditionFailed,
    RateLimited,
    SizeMismatch,
    UnsupportedType,
)
from fileferry.model import Upload, UploadState
from fileferry.web import problems
from fileferry.web.dates import http_date
from fileferry.web.framing import file_bytes, refuse_framed
from fileferry.web.requests import (
    AnyRequest,
    content_length,
    is_by_ticket,
    public_url,
    refuse_encoded,
    session_url,
)

VERSION = "1.0.0"
MEDIA_TYPE = "application/offset+octet-stream"
_EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
_ALGORITHMS = {
    "sha1": (Algorithm.SHA1, 20),
    "sha256": (Algorithm.SHA256, 32),
    "sha512": (Algorithm.SHA512, 64),
    "md5": (Algorithm.MD5, 16),
    "crc32": (Algorithm.CRC32, 4),
    "crc32c": (Algorithm.CRC32C, 4),
}
_METADATA_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_LOCKED = 423
# What the protocol's clients take it for differs from what the catalogue's own status says: docs/statuses.md.
_STATUSES = {"digest_mismatch": 460, "not_uploaded": 400, "rate_limited": 503, "request_timeout": 503}
_PARTIAL = "partial"
_FINAL = "final;"
# What `Upload.wire` holds of a tus upload.
_METADATA, _CONCAT, _IS_TOLD = "upload_metadata", "upload_concat", "is_told"


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """What a creation request asks for. ``length`` (bytes) is None where it is told later; the other two are as they were sent."""

    length: int | None
    metadata: str | None
    concat: str | None

    @property
    def is_partial(self) -> bool:
        """Whether the upload is to be joined with others, and no file by itself."""
        return self.concat == _PARTIAL

    @property
    def joined(self) -> list[str] | None:
        """The URLs of the uploads that are to be joined; None where none are."""
        return self.concat.removeprefix(_FINAL).split() if self.concat and self.concat.startswith(_FINAL) else None

    def wire(self, *, is_told: bool = False) -> dict[str, Any]:
        """Return what to keep with the upload; ``is_told`` says that who sends may learn the file's public URL."""
        words = {_METADATA: self.metadata, _CONCAT: self.concat, _IS_TOLD: is_told or None}
        return {name: value for name, value in words.items() if value is not None}


def discovery(engine: Engine) -> dict[str, str]:
    """Return the headers that tell what is spoken."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(int(engine.settings.max_file_size)),
        "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
    }


def method_of(request: AnyRequest) -> str:
    """Return the method that is meant, where a client cannot send it: ``X-HTTP-Method-Override`` wins."""
    return request.headers.get("x-http-method-override", request.method).strip().upper()


def refuse_other_versions(request: AnyRequest) -> None:
    """Raise PreconditionFailed for a request of another version, or of none."""
    if request.headers.get("tus-resumable", "").strip() != VERSION:
        raise PreconditionFailed(f"Send Tus-Resumable: {VERSION}.", headers={"Tus-Version": VERSION})


def creation_of(request: AnyRequest, engine: Engine) -> Creation:
    """Return what a creation request asks for; raises BadRequest, InvalidMetadata, UnsupportedType and InvalidDigest."""
    refuse_encoded(request)
    refuse_framed(request.headers)
    checksum_of(request)
    if has_body(request):
        _refuse_other_types(request)
    concat = request.headers.get("upload-concat")
    if concat is not None and concat != _PARTIAL and not concat.startswith(_FINAL):
        raise BadRequest("Upload-Concat must be 'partial', or 'final;' and the URLs of partial uploads.")
    asked = Creation(length=length_of(request), metadata=request.headers.get("upload-metadata"), concat=concat)
    if len(asked.metadata or "") > engine.settings.max_metadata:
        raise InvalidMetadata(f"Upload-Metadata may have at most {int(engine.settings.max_metadata)} characters.")
    metadata_of(asked.metadata)
    if asked.joined is not None:
        if asked.length is not None or has_body(request):
            raise BadRequest("An upload of partial uploads has no Upload-Length and no body.")
        if not 1 <= len(asked.joined) <= MOST_PARTIALS:
            raise BadRequest(f"Upload-Concat must name 1 to {MOST_PARTIALS} partial uploads.")
        return asked
    defers = request.headers.get("upload-defer-length")
    if defers not in (None, "1") or (defers is None) == (asked.length is None):
        raise BadRequest("Send Upload-Length, or Upload-Defer-Length: 1 where the length is not known yet.")
    return asked


def metadata_of(header: str | None) -> dict[str, bytes]:
    """Return what ``Upload-Metadata`` holds; raises InvalidMetadata for what cannot be read."""
    found: dict[str, bytes] = {}
    for pair in (header or "").split(","):
        if not pair.strip():
            continue
        key, _, value = pair.strip().partition(" ")
        if not _METADATA_KEY.fullmatch(key) or key in found:
            raise InvalidMetadata(
                "Upload-Metadata must hold different keys, each with a space and its value in base64."
            )
        try:
            found[key] = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidMetadata(f"Upload-Metadata: the value of {key!r} is not base64.") from error
    return found


def text_of(metadata: dict[str, bytes], key: str) -> str | None:
    """Return one value as text, None where it is missing or empty; raises InvalidMetadata for one that is not UTF-8."""
    try:
        return metadata.get(key, b"").decode() or None
    except UnicodeDecodeError as error:
        raise InvalidMetadata(f"Upload-Metadata: the value of {key!r} is not UTF-8.") from error


def stated_type(header: str | None) -> str | None:
    """Return the media type that ``Upload-Metadata`` states; raises InvalidMetadata."""
    return text_of(metadata_of(header), "filetype")


def checksum_of(request: AnyRequest) -> dict[Algorithm, bytes]:
    """Return the digest of the body that ``Upload-Checksum`` declares, if any.

    Raises InvalidDigest, and DigestMismatch for one of a length that no body's can have.
    """
    header = request.headers.get("upload-checksum")
    if header is None:
        return {}
    name, _, value = header.strip().partition(" ")
    if name not in _ALGORITHMS:
        raise InvalidDigest(f"Upload-Checksum: {name!r} is not verified here; use {', '.join(_ALGORITHMS)}.")
    algorithm, size = _ALGORITHMS[name]
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDigest("Upload-Checksum is not base64.") from error
    if not digest:
        raise InvalidDigest("Upload-Checksum names an algorithm, and no digest.")
    if len(digest) != size:
        raise DigestMismatch(f"Upload-Checksum: a {name} digest has {size} bytes.", algorithm=algorithm.value)
    return {algorithm: digest}


def has_body(request: AnyRequest) -> bool:
    """Whether a request brings bytes."""
    return "transfer-encoding" in request.headers or bool(content_length(request))


async def create(request: AnyRequest, engine: Engine, upload: Upload, asked: Creation, words: dict[str, Any]) -> Upload:
    """Start the upload's stream anew, with the bytes that come along; return it as it stands then."""
    begun = await engine.streams.begin(upload, size=asked.length, wire=words, renews=is_by_ticket(request))
    if has_body(request):
        return await _take(request, engine, begun, 0)
    return await settled(engine, begun)


async def join(engine: Engine, upload: Upload, words: dict[str, Any], partials: list[Upload]) -> Upload:
    """Make the bytes of partial uploads those of ``upload``; return it as it stands then."""
    begun = await engine.streams.begin(upload, wire=words)
    await engine.streams.concatenate(begun, partials, stated_type(words.get(_METADATA)))
    return await engine.streams.status(begun)


async def append(request: AnyRequest, engine: Engine, upload: Upload) -> Upload:
    """Take the bytes of a PATCH; return the upload as it stands then."""
    refuse_encoded(request)
    refuse_framed(request.headers)
    _refuse_other_types(request)
    offset = _number(request, "upload-offset")
    if offset is None:
        raise BadRequest("A PATCH needs Upload-Offset.")
    length = length_of(request)
    checksum_of(request)
    if upload.wire.get(_CONCAT, "").startswith(_FINAL):
        raise Forbidden("This upload is made of others; it takes no bytes of its own.")
    current = await settled(engine, await engine.streams.status(upload))
    if current.state is UploadState.OPEN:
        if length is not None:
            current = await engine.streams.set_size(current, length)
        return await _take(request, engine, current, offset)
    size = await _received_size(engine, current)
    if length not in (None, size):
        raise SizeMismatch(f"This upload has {size} bytes, not {length}.", expected=size)
    if offset != size:
        raise OffsetMismatch("All bytes have come.", expected=size, provided=offset)
    if has_body(request):
        raise Forbidden("All bytes have come; the upload takes no more.")
    return current


async def _take(request: AnyRequest, engine: Engine, upload: Upload, offset: int) -> Upload:
    arrival = await engine.streams.append(
        upload, offset, declared=checksum_of(request), announced=content_length(request)
    )
    async with arrival:
        said = stated_type(upload.wire.get(_METADATA))
        await arrival.take(file_bytes(request, engine.settings.body_idle_timeout, upload, said))
        return await settled(engine, await arrival.finish())


async def settled(engine: Engine, upload: Upload) -> Upload:
    """Make an upload whose last byte has come what it is to be; a process may have died before it could. Returns it as it stands.

    Raises DigestMismatch where the bytes are not those promised.
    """
    is_whole = upload.state is UploadState.OPEN and upload.offset == upload.size
    if not is_whole and upload.state is not UploadState.RECEIVED:
        return upload
    await engine.streams.complete(upload, content_type=stated_type(upload.wire.get(_METADATA)))
    return await engine.streams.status(upload)


async def progress(request: AnyRequest, engine: Engine, upload: Upload, url_ends: datetime) -> dict[str, str]:
    """Return the headers that tell how far an upload is, whose URL may end before it does."""
    received = await engine.tickets.received(upload)
    size = upload.offset if received is None else received.size
    headers = {"Upload-Offset": str(size), "Cache-Control": "no-store"}
    if upload.state is not UploadState.COMPLETED:
        ends = upload.touched_at + engine.settings.upload_idle_timeout
        headers["Upload-Expires"] = http_date(min(ends, url_ends))
    if received is not None and received.stored is not None and upload.wire.get(_IS_TOLD):
        headers["Content-Location"] = public_url(request, engine, received.stored)
    return headers


async def status(request: AnyRequest, engine: Engine, upload: Upload, url_ends: datetime) -> dict[str, str]:
    """Return the headers that answer HEAD: how far the upload is, and what was said of it."""
    headers = await progress(request, engine, upload, url_ends)
    if upload.state is not UploadState.OPEN:
        headers["Upload-Length"] = headers["Upload-Offset"]
    elif upload.size is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.size)
    said = {"Upload-Metadata": upload.wire.get(_METADATA), "Upload-Concat": upload.wire.get(_CONCAT)}
    return headers | {name: value for name, value in said.items() if value is not None}


async def created(request: AnyRequest, engine: Engine, upload: Upload) -> Response[bytes]:
    """Answer a creation request."""
    headers = {
        **await progress(request, engine, upload, engine.tickets.session_end(upload)),
        "Location": session_url(request, engine, upload),
    }
    return answer(201, headers)


def refuse_foreign(partial: Upload, key_id: str) -> None:
    """Raise Forbidden for an upload that was not created with this key to be joined with others.

    To upload is no right to read: who may not read what others upload must not get at its bytes by joining it.
    """
    if partial.key_id != key_id or partial.parent_id is not None or partial.wire.get(_CONCAT) != _PARTIAL:
        raise Forbidden("Upload-Concat names an upload that was not created with this key as a partial one.")


def partial_id(url: str) -> str:
    """Return the id of the upload that a signed URL, or its path alone, is of; raises NotFound for what is no such URL."""
    try:
        segments = urlsplit(url).path.split("/")[-3:]
    except ValueError as error:
        raise NotFound("Upload-Concat names what is no upload.") from error
    if len(segments) < 3 or segments[0] != "u":
        raise NotFound("Upload-Concat names what is no upload.")
    return segments[1]


def is_joined(upload: Upload, asked: Creation) -> bool:
    """Whether an upload has been made of just these partial ones already: then an answer was lost, and is given again."""
    return upload.state is not UploadState.OPEN and upload.wire.get(_CONCAT) == asked.concat


def answer(status: int, headers: dict[str, str]) -> Response[bytes]:
    """Answer without a body."""
    return Response(b"", status_code=status, headers={"Tus-Resumable": VERSION, **headers})


def render_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with problem+json and the headers that clients of tus look at."""
    failure = problems.known(error)
    refusal = problems.answer(failure, status_of(request.method, failure))
    refusal.headers.update({"Tus-Resumable": VERSION, "Cache-Control": "no-store"})
    if isinstance(error, OffsetMismatch):
        refusal.headers["Upload-Offset"] = str(error.fields["expected"])
    if isinstance(error, FileTooLarge) and "limit" in error.fields:
        refusal.headers["Tus-Max-Size"] = str(error.fields["limit"])
    return refusal


def status_of(method: str, failure: FerryError) -> int:
    """Return the status that makes clients of tus do what the error asks for: wait, or give up.

    To tus-js-client and Uppy every refused HEAD but 423 is an upload that is gone, and they begin at 0. A 429 ends the first.
    """
    if method == "HEAD" and (failure.status == RateLimited.status or failure.status >= 500):
        return _LOCKED
    return _STATUSES.get(failure.code, failure.status)


async def _received_size(engine: Engine, upload: Upload) -> int:
    received = await engine.tickets.received(upload)
    return upload.offset if received is None else received.size


def _refuse_other_types(request: AnyRequest) -> None:
    if request.headers.get("content-type", "").strip().lower() != MEDIA_TYPE:
        raise UnsupportedType(f"Send bytes as {MEDIA_TYPE}.")


def length_of(request: AnyRequest) -> int | None:
    """Return what ``Upload-Length`` says, in bytes; raises BadRequest."""
    return _number(request, "upload-length")


def _number(request: AnyRequest, name: str) -> int | None:
    value = request.headers.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise BadRequest(f"{name.title()} must be a whole number of bytes.")
    return int(value)
