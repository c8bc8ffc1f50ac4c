"""The organizations flow: a resumable upload URL for a large file, its bytes to that URL without the key, and a registration
that makes them a file; small files in one call. Field names, in both their spellings, and errors are those of the flow.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import Provide
from litestar.params import Parameter
from multipart import parse_options_header

from fileferry import telemetry
from fileferry.api import auth
from fileferry.api.bodies import BINARY, takes, takes_json
from fileferry.engine.access import limits
from fileferry.engine.engine import Engine
from fileferry.engine.inspection.declarations import effective_type
from fileferry.engine.inspection.media_types import canonical
from fileferry.engine.receiving.promises import Promise
from fileferry.engine.receiving.uploads import NewFile
from fileferry.errors import FerryError, Forbidden, InvalidName, InvalidParameter, NotFound, UnsupportedType
from fileferry.model import (
    Principal,
    Scope,
    Search,
    State,
    StoredFile,
    Upload,
    canonical_id,
    clean_name,
    format_time,
    utc_now,
)
from fileferry.telemetry import request_id
from fileferry.web import problems
from fileferry.web.forms import Form, receive_form
from fileferry.web.framing import refuse_piece
from fileferry.web.parameters import unknown_member
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    idempotency_key,
    json_body,
    public_url,
    refuse_encoded,
    upload_url,
)
from fileferry.web.waiting import judged, settled, standing

_LARGEST_DIRECT = 100 * 1024**2
_CHUNK = 5 * 1024**2
_UNNAMED = "file"
_PURPOSE = "purpose"
_MOST_FILES = 100
_LAST_PAGE = 10**9
_LONGEST_ECHO = 255
_STATUS = {
    State.PENDING: "uploading",
    State.RECEIVED: "uploaded",
    State.PROCESSING: "processing",
    State.READY: "completed",
    State.REJECTED: "failed",
    State.EXPIRED: "deleted",
    State.DELETED: "deleted",
}
_RULES = {
    "filename": "Filename must be 1 to 255 characters",
    "file_size": "File size must be greater than 0",
    "mime_type": "MIME type must be a media type, for example application/pdf",
    "upload_type": "Upload type must be resumable or simple",
    "gcs_path": "gcs_path must be the one that came with the upload URL",
    "file_id": "file_id must be the one that came with the upload URL",
}
_INVALID_FIELD = re.compile(r"`(?:\$\.)?(\w+)`\Z")
_FORM = {"type": "object", "required": ["file"], "properties": {"file": BINARY, _PURPOSE: {"type": "string"}}}

T = TypeVar("T")
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
FileSize = Annotated[int, msgspec.Meta(ge=1)]
MimeType = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^\s*[^\s/;,]+/[^\s/;,]+\s*(;.*)?$")]


class AccessDenied(Forbidden):
    """An organization that the key may not act in, or that is not there: which of them is told nobody."""

    code = "organization_access_denied"
    title = "You do not have access to this organization"


class LargeUpload(msgspec.Struct, forbid_unknown_fields=True):
    """A large file to come. ``upload_type`` changes nothing: the URL takes whole bodies and resumable sessions alike."""

    filename: FileName
    file_size: FileSize
    mime_type: MimeType
    upload_type: Literal["resumable", "simple"] = "resumable"


class Registration(msgspec.Struct, forbid_unknown_fields=True):
    """What the upload was asked for with, and where it was to go; ``file_id`` may be left out."""

    filename: FileName
    gcs_path: str
    file_size: FileSize
    mime_type: MimeType
    file_id: str | None = None


class UploadSession(msgspec.Struct):
    """Where to send the bytes, until ``expires_at``. Sizes are bytes."""

    upload_url: str
    gcs_path: str
    file_id: str
    expires_at: str
    max_file_size: int
    upload_type: str
    chunk_size_recommended: int


class OrganizationFile(msgspec.Struct, kw_only=True):
    """A file as this flow shows it: in both spellings that its clients read. Sizes are bytes."""

    id: str
    object: Literal["file"] = "file"
    filename: str
    name: str
    organization_id: str
    camel_organization_id: str = msgspec.field(name="organizationId")
    file_size: int
    size: int
    mime_type: str
    camel_mime_type: str = msgspec.field(name="mimeType")
    purpose: str | None
    status: str
    created_at: str
    camel_created_at: str = msgspec.field(name="createdAt")
    created_by: str | None
    camel_created_by: str | None = msgspec.field(name="createdBy")
    url: str


class OrganizationFiles(msgspec.Struct):
    """A page of ``limit`` files, newest first; ``total`` counts those of all pages."""

    files: list[OrganizationFile]
    total: int
    page: int
    limit: int
    has_more: bool


async def acting_in(request: AnyRequest, engine: Engine, organization_id: str) -> Principal:
    """Return who the request acts for in the organization (id or slug) of its address; raises Unauthorized, AccessDenied."""
    try:
        return await auth.acting_in(request, engine, organization_id)
    except NotFound as error:
        raise AccessDenied(organization_id=organization_id) from error


@post("/files/upload-url", status_code=200, operation_class=takes_json(LargeUpload))
async def create_upload_url(request: AnyRequest, engine: Engine, principal: Principal) -> UploadSession:
    """Ask for a URL that takes a large file, whole or in chunks that survive a lost connection."""
    asked = await _read(request, engine, LargeUpload)
    promise = Promise(path=_clean(asked.filename), content_type=asked.mime_type, size=asked.file_size)
    (upload,) = await engine.tickets.open(principal, [promise])
    lifetime = engine.settings.upload_idle_timeout
    direct = await engine.direct.offer_session(principal, upload, request.headers.get("origin"))
    return UploadSession(
        upload_url=direct or upload_url(request, engine, upload, lifetime),
        gcs_path=_gcs_path(upload),
        file_id=upload.file_id,
        expires_at=format_time(engine.tickets.url_expiry(lifetime)),
        max_file_size=limits.largest(limits.in_force(engine.settings, principal, None)),
        upload_type="resumable",
        chunk_size_recommended=_CHUNK,
    )


@post("/files", operation_class=takes_json(Registration))
async def register(request: AnyRequest, engine: Engine, principal: Principal) -> OrganizationFile:
    """Make uploaded bytes a file, once they are all there and what is said of them holds; registering again is no error."""
    asked = await _read(request, engine, Registration)
    upload = await _find(engine, principal, asked.gcs_path)
    held = {
        "filename": (_clean(asked.filename), upload.name),
        "file_size": (asked.file_size, upload.size),
        "mime_type": tuple(
            canonical(effective_type(said, upload.name)) for said in (asked.mime_type, upload.content_type)
        ),
        "file_id": (canonical_id(asked.file_id or upload.file_id), upload.file_id),
    }
    for field, (said, expected) in held.items():
        if said != expected:
            message = f"The URL was asked for with another {field}"
            raise InvalidParameter(message, parameter=field, value=_echo(said), expected=expected)
    stored = await engine.tickets.complete(upload, None)
    return _file(request, engine, await judged(request, engine, stored))


@post("/files/upload", operation_class=takes({"multipart/form-data": _FORM}, frozenset({"file", _PURPOSE})))
async def upload_directly(request: AnyRequest, engine: Engine, principal: Principal) -> OrganizationFile:
    """Upload one file of up to 100 MiB as a form: ``file``, and ``purpose`` as you like."""
    refuse_encoded(request)
    refuse_piece(request.headers)
    base_url(request, engine)  # what makes the answer impossible is told before anything is stored
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type != "multipart/form-data":
        raise UnsupportedType("Send the file as multipart/form-data, in a field 'file'.")
    form = Form(parameters.get("boundary", ""), (_PURPOSE,))

    def told() -> NewFile:
        return NewFile(
            path=_clean(form.file_name or _UNNAMED),
            at_path=False,
            content_type=form.file_type,
            metadata={**form.texts()},
            idempotency_key=idempotency_key(request),
        )

    stored = await receive_form(request, engine, principal, form, _LARGEST_DIRECT, told)
    telemetry.tell(direction="upload")
    return _file(request, engine, await judged(request, engine, stored))


@get("/files")
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    page: Annotated[str | None, Parameter(description="Which page, from 1.")] = None,
    limit: Annotated[str | None, Parameter(description="Files on a page, 1 to 100; 50 by default.")] = None,
) -> OrganizationFiles:
    """List the files of the organization's default workspace, newest first."""
    number, size = _number("page", page, 1, _LAST_PAGE), _number("limit", limit, 50, _MOST_FILES)
    search = Search(order_by=(("created_at", True),), offset=(number - 1) * size, limit=size)
    found = await engine.files.search(principal, None, search)
    files = [_file(request, engine, stored) for stored in found.items]
    return OrganizationFiles(files, found.total, number, size, found.total > number * size)


@get("/files/{file_id:str}")
async def show_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> OrganizationFile:
    """Inspect a file; with ``Prefer: wait=30`` once it is ready or not to be."""

    async def read() -> tuple[StoredFile, str | None]:
        return standing(await engine.files.get(principal, file_id))

    return _file(request, engine, await settled(request, engine, read))


@delete("/files/{file_id:str}")
async def delete_file(engine: Engine, principal: Principal, file_id: str) -> None:
    """Delete a file; its URL ends at once."""
    await engine.changes.delete(principal, file_id)


def render_error(_request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with this flow's envelope; codes are ours in upper case, but for the two that the flow has names for."""
    failure = problems.known(error)
    body = {
        "code": _code(failure),
        "message": failure.detail,
        "type": "client_error" if failure.status < 500 else "server_error",
        "status": failure.status,
        "details": {"field" if name == "parameter" else name: value for name, value in failure.fields.items()},
        "trace_id": request_id(),
        "timestamp": format_time(utc_now()),
    }
    return Response(
        msgspec.json.encode({"success": False, "error": body}),
        status_code=failure.status,
        media_type="application/json",
        headers=problems.headers_of(failure),
    )


router = Router(
    "/v1/organizations/{organization_id:str}",
    route_handlers=[create_upload_url, register, upload_directly, list_files, show_file, delete_file],
    dependencies={"principal": Provide(acting_in)},
    exception_handlers={Exception: render_error},
)


async def _read(request: AnyRequest, engine: Engine, kind: type[T]) -> T:
    """Return the JSON body as ``kind``; raises InvalidParameter that names the field and its value."""
    body: dict[str, Any] = await json_body(request, engine, Scope.UPLOAD, dict)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        if (unknown := unknown_member(error, kind)) is not None:
            raise unknown from error
        named = _INVALID_FIELD.search(str(error))
        field = named[1] if named else ""
        message = _RULES.get(field) or f"{error}."
        raise InvalidParameter(message, parameter=field, value=_echo(body.get(field))) from error


async def _find(engine: Engine, principal: Principal, gcs_path: str) -> Upload:
    """Return the upload that was to go to ``gcs_path``; raises NotFound."""
    segments = gcs_path.split("/")
    if len(segments) == 4:
        upload = await engine.tickets.find_by_file(principal, canonical_id(segments[2]))
        if gcs_path == _gcs_path(upload):
            return upload
    raise NotFound("There is no upload with this gcs_path in the organization.")


def _gcs_path(upload: Upload) -> str:
    return f"files/{upload.organization_id}/{upload.file_id}/{upload.name}"


def _clean(filename: str) -> str:
    try:
        return clean_name(filename)
    except InvalidName as error:
        raise InvalidParameter(error.detail, parameter="filename", value=_echo(filename)) from error


def _number(name: str, value: str | None, default: int, largest: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or not 1 <= int(value) <= largest:
        raise InvalidParameter(f"{name} must be a number from 1 to {largest}", parameter=name, value=_echo(value))
    return int(value)


def _echo(value: object) -> object:
    """Return a value as far as an error repeats it: short ones only."""
    if isinstance(value, str):
        return value[:_LONGEST_ECHO]
    return value if isinstance(value, int | float) else None


def _code(failure: FerryError) -> str:
    return "INVALID_FIELD_VALUE" if isinstance(failure, InvalidParameter) else failure.code.upper()


def _file(request: AnyRequest, engine: Engine, stored: StoredFile) -> OrganizationFile:
    file, version = stored.file, stored.version
    purpose = file.metadata.get(_PURPOSE)
    return OrganizationFile(
        id=file.id,
        filename=file.name,
        name=file.name,
        organization_id=file.organization_id,
        camel_organization_id=file.organization_id,
        file_size=version.size,
        size=version.size,
        mime_type=version.content_type,
        camel_mime_type=version.content_type,
        purpose=purpose if isinstance(purpose, str) else None,
        status=_STATUS[version.state],
        created_at=format_time(file.created_at),
        camel_created_at=format_time(file.created_at),
        created_by=file.created_by,
        camel_created_by=file.created_by,
        url=public_url(request, engine, stored),
    )
