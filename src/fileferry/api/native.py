"""The native API, ``/api``: fileferry's own nouns as JSON, with problem+json errors and cursors. The client and CLI speak it."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, patch, post, route
from litestar.params import Parameter

from fileferry.api.bodies import BINARY, takes, takes_json
from fileferry.api.delivery import Answer, deliver
from fileferry.engine.digests import Algorithm
from fileferry.engine.engine import Engine
from fileferry.engine.files import Changes
from fileferry.engine.parts import part_count
from fileferry.engine.tickets import Promise
from fileferry.engine.uploads import NewFile
from fileferry.engine.versions import Received
from fileferry.errors import InvalidName, InvalidParameter
from fileferry.model import (
    Folder,
    Part,
    Principal,
    StoredFile,
    Upload,
    clean_name,
    clean_path,
    format_optional_time,
    format_time,
)
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    base_url,
    body_of,
    content_length,
    declared_digests,
    decode_cursor,
    encode_cursor,
    idempotency_key,
    json_body,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
    parse_metadata,
    preconditions,
    public_url,
    refuse_encoded,
    upload_url,
    wanted_digests,
)

_UPLOAD_PREFIX = re.compile(r"\A/+api/+upload/?")

ExpiresIn = Annotated[str | None, Parameter(description="How long to keep the file: 30m, 24h, 7d or seconds.")]
ExpiresAt = Annotated[str | None, Parameter(description="Until when to keep the file, as an RFC 3339 time.")]
MetadataText = Annotated[str | None, Parameter(description="A JSON object to keep with the file.")]


class FileObject(msgspec.Struct, kw_only=True):
    """A file as the native API shows it. Sizes are bytes, times RFC 3339 in UTC, digests lower-case hex."""

    id: str
    version_id: str
    name: str
    path: str
    size: int
    content_type: str
    status: str
    reason: str | None
    sha256: str | None
    crc32c: str
    etag: str
    metadata: dict[str, Any]
    url: str
    organization_id: str
    workspace_id: str
    created_at: str
    modified_at: str
    expires_at: str | None


class FilePage(msgspec.Struct):
    """A page of files, by path; ``next_cursor`` is null on the last."""

    files: list[FileObject]
    next_cursor: str | None


class NewUpload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be uploaded: a hand-off called ``name``, in ``folder`` (an id) or not, or the file at ``path``.

    A ``name`` may have folders in it, as a path has.

    ``size`` is exact; without it anything up to ``max_size`` may come (bytes). ``sha256`` (hex) must match in the end.
    ``parts`` asks for parts, of ``part_size`` bytes where given.
    """

    name: str | None = None
    path: str | None = None
    folder: str | None = None
    workspace: str | None = None
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: str | int | None = None
    expires_at: str | None = None
    size: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    max_size: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    parts: bool = False
    part_size: Annotated[int, msgspec.Meta(ge=1, le=2**40)] | None = None


class ReceivedPart(msgspec.Struct):
    """A part that has arrived. ``etag`` is the MD5 of its bytes, as hex."""

    part_number: int
    size: int
    etag: str


class UploadObject(msgspec.Struct, kw_only=True):
    """An upload with its ticket: PUT the bytes to ``url`` before ``url_expires_at``, then complete it.

    With parts, part N of ``part_count`` (each ``part_size`` bytes but the last) goes to ``part_url`` + ``&partNumber=N``.
    """

    id: str
    file_id: str
    state: str
    name: str
    path: str
    size: int | None
    max_size: int
    url: str
    url_expires_at: str
    part_url: str
    part_size: int | None
    part_count: int | None
    parts: list[ReceivedPart]
    created_at: str


class UploadedPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part that the client sent, and the ETag that it got for it."""

    part_number: int
    etag: str


class UploadCompletion(msgspec.Struct, forbid_unknown_fields=True):
    """Which parts make the file, in order; all that have arrived where none are listed."""

    parts: list[UploadedPart] | None = None


class NewFolder(msgspec.Struct, forbid_unknown_fields=True):
    """A folder to make."""

    path: str


class FolderObject(msgspec.Struct):
    """A folder: an addressable prefix of a workspace."""

    id: str
    path: str
    workspace_id: str
    created_at: str


class FolderPage(msgspec.Struct):
    """A page of folders."""

    folders: list[FolderObject]
    next_cursor: str | None


class FileChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a file; ``expires_at: null`` keeps it for good."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_in: str | int | None = None
    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET


@post(["/upload", "/upload/{path:path}"], operation_class=takes({"*/*": BINARY}))
async def hand_off(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    metadata: MetadataText = None,
    workspace: str | None = None,
) -> Response[Any]:
    """Upload the raw body as a new file of its own, whatever else has its name."""
    new = _new_file(request, False, expires_in, expires_at, metadata, workspace)
    return await _upload(request, engine, principal, new)


@route(["/upload", "/upload/{path:path}"], http_method=[HttpMethod.PUT], operation_class=takes({"*/*": BINARY}))
async def put_at_path(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    metadata: MetadataText = None,
    workspace: str | None = None,
) -> Response[Any]:
    """Upload the raw body as the file at this path: 201 for a new one, 200 for a further version of the one there."""
    new = _new_file(request, True, expires_in, expires_at, metadata, workspace)
    return await _upload(request, engine, principal, new)


@post("/uploads", operation_class=takes_json(NewUpload))
async def create_upload(request: AnyRequest, engine: Engine, principal: Principal) -> UploadObject:
    """Ask for a ticket: a signed URL that takes the bytes without the key, whole or in parts."""
    asked = await json_body(request, engine, NewUpload)
    if (asked.name is None) == (asked.path is None) or (asked.path is not None and asked.folder is not None):
        raise InvalidParameter("Give either a name, with a folder or without, or a path.", parameter="name")
    promise = Promise(
        path=clean_path(asked.name or asked.path or ""),
        at_path=asked.path is not None,
        folder_id=asked.folder,
        workspace=asked.workspace,
        content_type=asked.content_type,
        metadata=asked.metadata,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=parse_expires_at(asked.expires_at),
        size=asked.size,
        max_size=asked.max_size,
        digests={Algorithm.SHA256: bytes.fromhex(asked.sha256)} if asked.sha256 else {},
        part_size=asked.part_size or 0 if asked.parts or asked.part_size else None,
        preconditions=preconditions(request),
    )
    (upload,) = await engine.tickets.open(principal, [promise])
    return _upload_object(request, engine, upload, [])


@get("/uploads/{upload_id:str}")
async def get_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> UploadObject:
    """See how far an upload is, with a fresh signed URL: all that is needed to go on after a crash."""
    upload = await engine.tickets.get(principal, upload_id)
    return _upload_object(request, engine, upload, await engine.tickets.parts(upload))


@post("/uploads/{upload_id:str}/urls", status_code=200)
async def renew_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> UploadObject:
    """Get a fresh signed URL for an upload."""
    return _upload_object(request, engine, await engine.tickets.get(principal, upload_id), [])


@post("/uploads/{upload_id:str}/complete", status_code=200, operation_class=takes_json(UploadCompletion))
async def complete_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> FileObject:
    """Make the file of what has arrived; copies no bytes, and completing again is no error."""
    asked = await json_body(request, engine, UploadCompletion)
    upload = await engine.tickets.get(principal, upload_id)
    listed = None if asked.parts is None else [(part.part_number, part.etag) for part in asked.parts]
    return file_object(request, engine, await engine.tickets.complete(upload, listed))


@delete("/uploads/{upload_id:str}")
async def abort_upload(engine: Engine, principal: Principal, upload_id: str) -> None:
    """End an upload that is not complete, and free its bytes."""
    await engine.tickets.abort(await engine.tickets.get(principal, upload_id))


@get("/folders")
async def list_folders(
    engine: Engine,
    principal: Principal,
    workspace: str | None = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> FolderPage:
    """List the folders of a workspace by path."""
    after = decode_cursor(cursor, 1)
    found, further = await engine.folders.list(principal, workspace, after[0] if after else "", parse_limit(limit))
    return FolderPage([_folder_object(folder) for folder in found], encode_cursor(further) if further else None)


@post("/folders", operation_class=takes_json(NewFolder))
async def create_folder(
    request: AnyRequest, engine: Engine, principal: Principal, workspace: str | None = None
) -> FolderObject:
    """Make the folder at a path; where it is there already, the answer is that one."""
    asked = await json_body(request, engine, NewFolder)
    return _folder_object(await engine.folders.create(principal, asked.path, workspace))


@get("/folders/{folder_id:str}")
async def get_folder(engine: Engine, principal: Principal, folder_id: str) -> FolderObject:
    """Inspect a folder."""
    return _folder_object(await engine.folders.get(principal, folder_id))


@delete("/folders/{folder_id:str}")
async def delete_folder(engine: Engine, principal: Principal, folder_id: str) -> None:
    """Delete an empty folder."""
    await engine.folders.delete(principal, folder_id)


@get("/files")
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace: str | None = None,
    prefix: str = "",
    cursor: Cursor = None,
    limit: Limit = None,
) -> FilePage:
    """List the files of a workspace by path, those whose path starts with ``prefix``."""
    after = decode_cursor(cursor, 2)
    found, further = await engine.files.list_by_path(
        principal, workspace, prefix.removeprefix("/"), (after[0], after[1]) if after else None, parse_limit(limit)
    )
    objects = [file_object(request, engine, stored) for stored in found]
    return FilePage(objects, encode_cursor(*further) if further else None)


@get("/files/{file_id:str}")
async def get_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Inspect a file."""
    return file_object(request, engine, await engine.files.get(principal, file_id))


@patch("/files/{file_id:str}", operation_class=takes_json(FileChanges))
async def patch_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Change a file's name, metadata or expiry."""
    asked = await json_body(request, engine, FileChanges)
    expires_at = asked.expires_at
    changes = Changes(
        name=asked.name if asked.name is msgspec.UNSET else clean_name(asked.name),
        metadata=asked.metadata,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=expires_at if expires_at is msgspec.UNSET else parse_expires_at(expires_at),
    )
    return file_object(request, engine, await engine.files.change(principal, file_id, changes))


@delete("/files/{file_id:str}")
async def delete_file(engine: Engine, principal: Principal, file_id: str) -> None:
    """Delete a file: its URLs answer 410 at once, its bytes are freed soon after."""
    await engine.files.delete(principal, file_id)


@route("/files/{file_id:str}/content", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def get_content(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Answer:
    """Fetch the current bytes of a file with a key; ranges and conditions as on the public URL."""
    stored = await engine.files.open(principal, file_id)
    return deliver(request, engine, stored, {"Cache-Control": "private, no-cache"})


router = Router(
    "/api",
    route_handlers=[
        hand_off,
        put_at_path,
        create_upload,
        get_upload,
        renew_upload,
        complete_upload,
        abort_upload,
        list_folders,
        create_folder,
        get_folder,
        delete_folder,
        list_files,
        get_file,
        patch_file,
        delete_file,
        get_content,
    ],
)


def _new_file(
    request: AnyRequest,
    at_path: bool,
    expires_in: str | None,
    expires_at: str | None,
    metadata: str | None,
    workspace: str | None,
) -> NewFile:
    path = _sent_path(request)
    if not path:
        raise InvalidName("Name the file in the URL: PUT /api/upload/report.pdf, or curl -T report.pdf …/api/upload/")
    return NewFile(
        path=clean_path(path),
        at_path=at_path,
        content_type=request.headers.get("content-type"),
        metadata=parse_metadata(metadata),
        expires_in=parse_expires_in(expires_in),
        expires_at=parse_expires_at(expires_at),
        workspace=workspace,
        idempotency_key=idempotency_key(request),
        preconditions=preconditions(request),
    )


async def _upload(request: AnyRequest, engine: Engine, principal: Principal, new: NewFile) -> Response[Any]:
    engine.uploads.authorize(principal)
    refuse_encoded(request)
    base_url(request, engine)  # what makes the answer impossible is told before anything is stored
    await engine.uploads.check(principal, new)
    size = content_length(request)
    declared, wanted = declared_digests(request.headers), wanted_digests(request.headers)
    async with engine.uploads.receive(principal, declared=declared, wanted=wanted, size=size) as incoming:
        async for chunk in body_of(request, engine.settings.body_idle_timeout):
            await incoming.write(chunk)
        received = await incoming.finish(new)
    return _uploaded(request, engine, received)


def _sent_path(request: AnyRequest) -> str:
    """Return what follows ``/api/upload/`` as it was sent: routing drops empty segments, and bytes that are not UTF-8."""
    try:
        path = unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError as error:
        raise InvalidName("The path in the URL must be UTF-8, percent-encoded.") from error
    return _UPLOAD_PREFIX.sub("", path)


def _uploaded(request: AnyRequest, engine: Engine, received: Received) -> Response[Any]:
    answer = file_object(request, engine, received.stored)
    status = 201 if received.is_new_file else 200
    headers = {"Location": f"/api/files/{answer.id}", "ETag": answer.etag}
    if request.headers.get("accept", "").split(";")[0].strip() == "text/plain":
        return Response(f"{answer.url}\n", status_code=status, media_type="text/plain", headers=headers)
    return Response(answer, status_code=status, headers=headers)


def file_object(request: AnyRequest, engine: Engine, stored: StoredFile) -> FileObject:
    """Return a file as the native API shows it."""
    file, version = stored.file, stored.version
    return FileObject(
        id=file.id,
        version_id=str(version.number),
        name=file.name,
        path=file.path,
        size=version.size,
        content_type=version.content_type,
        status=version.state,
        reason=version.reason,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        etag=version.etag,
        metadata=file.metadata,
        url=public_url(request, engine, stored),
        organization_id=file.organization_id,
        workspace_id=file.workspace_id,
        created_at=format_time(file.created_at),
        modified_at=format_time(file.modified_at),
        expires_at=format_optional_time(file.expires_at),
    )


def _upload_object(request: AnyRequest, engine: Engine, upload: Upload, parts: list[Part]) -> UploadObject:
    counted = upload.part_size is not None and upload.size is not None
    return UploadObject(
        id=upload.id,
        file_id=upload.file_id,
        state=upload.state,
        name=upload.name,
        path=upload.path,
        size=upload.size,
        max_size=upload.max_size,
        url=upload_url(request, engine, upload),
        url_expires_at=format_time(engine.tickets.url_expiry()),
        part_url=upload_url(request, engine, upload, uploadId=upload.multipart_name),
        part_size=upload.part_size,
        part_count=part_count(upload) if counted else None,
        parts=[ReceivedPart(part.number, part.size, part.md5) for part in parts],
        created_at=format_time(upload.created_at),
    )


def _folder_object(folder: Folder) -> FolderObject:
    return FolderObject(folder.id, folder.path, folder.workspace_id, format_time(folder.created_at))
