"""The native API of uploads, ``/api/upload`` and ``/api/uploads``: in one call, or by a ticket."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, post, route
from litestar.params import Parameter

from fileferry import telemetry
from fileferry.api.bodies import BINARY, takes, takes_json
from fileferry.api.native.files import WorkspaceName
from fileferry.api.native.objects import (
    FileObject,
    UploadObject,
    UrlStyle,
    file_object,
    styled_uploads,
    upload_object,
)
from fileferry.api.native.under_way import list_uploads
from fileferry.engine.engine import Engine
from fileferry.engine.files.placement import Received
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.promises import Promise
from fileferry.engine.receiving.uploads import NewFile
from fileferry.errors import InvalidName, InvalidParameter, Rejected
from fileferry.model import Principal, Scope, State, Upload, UploadState, canonical_id, clean_path
from fileferry.web.digest_fields import declared_digests, wanted_digests
from fileferry.web.entity_tags import preconditions
from fileferry.web.express import EXPRESS
from fileferry.web.framing import file_bytes, refuse_piece
from fileferry.web.requests import (
    AnyRequest,
    base_url,
    content_length,
    created,
    idempotency_key,
    json_body,
    parse_expires_at,
    parse_expires_in,
    parse_fetches,
    parse_metadata,
    refuse_encoded,
    sent_path,
)
from fileferry.web.waiting import asked_wait, judged, settled

_UPLOAD_PREFIX = re.compile(r"\A/+api/+upload/?")

ExpiresIn = Annotated[str | None, Parameter(description="How long to keep the file: 30m, 24h, 7d or seconds.")]
ExpiresAt = Annotated[str | None, Parameter(description="Until when to keep the file, as an RFC 3339 time.")]

Fetches = Annotated[
    str | None, Parameter(description="The file ends once it was fetched whole so often, 1 to 1000000.")
]

FetchedOnce = Annotated[str | None, Parameter(description="true: the file ends once it was fetched whole.")]
MetadataText = Annotated[str | None, Parameter(description="A JSON object to keep with the file.")]


class NewUpload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to come: a hand-off called ``name``, in ``folder`` or not, or a version of the file at ``path``, or of ``file``.

    ``folder`` and ``file`` are ids. A ``name`` may have folders in it, as a path has.

    ``size`` is exact; without it anything up to ``max_size`` may come (bytes). ``sha256`` (hex) must match in the end.
    ``parts`` asks for parts, of ``part_size`` bytes where given. With ``auto_complete`` the last byte makes the file.
    ``expires_after_fetches`` ends it once it was fetched whole so often, ``delete_after_first_complete_fetch`` after once.
    ``direct`` asks for URLs of the store itself besides, which there are where it can take the bytes.
    ``url_style`` ``short`` gets a URL that is a short path without a query, and lives for days.
    """

    name: str | None = None
    path: str | None = None
    file: str | None = None
    folder: str | None = None
    workspace: str | None = None
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: str | int | None = None
    expires_at: str | None = None
    expires_after_fetches: int | None = None
    delete_after_first_complete_fetch: bool = False
    size: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    max_size: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    parts: bool = False
    part_size: Annotated[int, msgspec.Meta(ge=1, le=2**40)] | None = None
    auto_complete: bool = False
    direct: bool = False
    url_style: UrlStyle = "signed"


class NewUrls(msgspec.Struct, forbid_unknown_fields=True):
    """Which style of URL to get."""

    url_style: UrlStyle = "signed"


class UploadedPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part that the client sent, and the ETag that it got for it."""

    part_number: int
    etag: str


class UploadCompletion(msgspec.Struct, forbid_unknown_fields=True):
    """Which parts make the file, in order; all that have arrived where none are listed."""

    parts: list[UploadedPart] | None = None


@post(["/upload", "/upload/{path:path}"], operation_class=takes({"application/octet-stream": BINARY}), opt=EXPRESS)
async def hand_off(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    metadata: MetadataText = None,
    expires_after_fetches: Fetches = None,
    delete_after_first_complete_fetch: FetchedOnce = None,
    workspace: WorkspaceName = None,
) -> Response[Any]:
    """Upload the raw body as a new file of its own, whatever else has its name."""
    fetches = parse_fetches(expires_after_fetches, delete_after_first_complete_fetch)
    new = _new_file(request, False, expires_in, expires_at, metadata, fetches, workspace)
    return await _upload(request, engine, principal, new)


@route(
    ["/upload", "/upload/{path:path}"],
    http_method=[HttpMethod.PUT],
    operation_class=takes({"application/octet-stream": BINARY}),
    opt=EXPRESS,
)
async def put_at_path(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    metadata: MetadataText = None,
    expires_after_fetches: Fetches = None,
    delete_after_first_complete_fetch: FetchedOnce = None,
    workspace: WorkspaceName = None,
) -> Response[Any]:
    """Upload the raw body as the file at this path: 201 for a new one, 200 for a further version of the one there."""
    fetches = parse_fetches(expires_after_fetches, delete_after_first_complete_fetch)
    new = _new_file(request, True, expires_in, expires_at, metadata, fetches, workspace)
    return await _upload(request, engine, principal, new)


@post("/uploads", operation_class=takes_json(NewUpload), opt=EXPRESS)
async def create_upload(request: AnyRequest, engine: Engine, principal: Principal) -> Response[UploadObject]:
    """Ask for a ticket: a signed URL that takes the bytes without the key, whole or in parts."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewUpload)
    _check_target(asked)
    promise = Promise(
        path="" if asked.file is not None else clean_path(asked.name or asked.path or ""),
        at_path=asked.path is not None,
        file_id=None if asked.file is None else canonical_id(asked.file),
        folder_id=None if asked.folder is None else canonical_id(asked.folder),
        workspace=asked.workspace,
        content_type=asked.content_type,
        metadata=asked.metadata,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=parse_expires_at(asked.expires_at),
        fetches=parse_fetches(asked.expires_after_fetches, asked.delete_after_first_complete_fetch),
        size=asked.size,
        max_size=asked.max_size,
        digests={Algorithm.SHA256: bytes.fromhex(asked.sha256)} if asked.sha256 else {},
        part_size=asked.part_size or 0 if asked.parts or asked.part_size else None,
        auto_complete=asked.auto_complete,
        url_lifetime=engine.settings.upload_idle_timeout if asked.url_style == "short" else None,
        preconditions=preconditions(request),
    )
    (upload,) = await engine.tickets.open(principal, [promise])
    direct = await engine.direct.offer(principal, [upload]) if asked.direct else {}
    (shown,) = await styled_uploads(request, engine, [upload], asked.url_style, direct)
    return created(request, engine, f"/api/uploads/{upload.id}", shown)


@get("/uploads/{upload_id:str}", opt=EXPRESS)
async def get_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> UploadObject:
    """See how far an upload is, with a fresh signed URL: all that is needed to go on after a crash.

    With ``Prefer: wait=30`` the answer comes once it has ended, or its file is ready or not to be.
    """

    async def read() -> tuple[Upload, str | None]:
        upload = await engine.tickets.get(principal, upload_id)
        return upload, await engine.tickets.pending_file(upload)

    upload = await settled(request, engine, read)
    direct = await engine.direct.urls(upload)
    return upload_object(request, engine, upload, await engine.tickets.parts(upload), direct)


@post("/uploads/{upload_id:str}/urls", status_code=200, operation_class=takes_json(NewUrls))
async def renew_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> UploadObject:
    """Get a fresh signed or short URL for an upload; those that were got before stay good for their time."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewUrls)
    upload = await engine.tickets.get(principal, upload_id)
    direct = {upload.id: await engine.direct.urls(upload)}
    (shown,) = await styled_uploads(request, engine, [upload], asked.url_style, direct)
    return shown


@post("/uploads/{upload_id:str}/stream", status_code=200)
async def stream_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> UploadObject:
    """Go on with an upload as one stream, at ``offset`` of the answer and by any resumable protocol on its signed URL.

    A request that is still writing is ended first. Parts that have arrived, from the first on without a gap, begin the stream.
    """
    upload = await engine.streams.adopt(await engine.tickets.get(principal, upload_id))
    return upload_object(request, engine, upload, [])


@post("/uploads/{upload_id:str}/complete", status_code=200, operation_class=takes_json(UploadCompletion), opt=EXPRESS)
async def complete_upload(request: AnyRequest, engine: Engine, principal: Principal, upload_id: str) -> FileObject:
    """Make the file of what has arrived; copies no bytes, and completing again is no error.

    Where no parts are listed and a stream has brought bytes, the file is the stream.
    """
    asked = await json_body(request, engine, Scope.UPLOAD, UploadCompletion)
    upload = await engine.tickets.get(principal, upload_id)
    if upload.state is UploadState.OPEN and upload.stream is not None and asked.parts is None:
        upload = await engine.streams.status(upload)
        if upload.offset:  # one that brought nothing is no reason to drop parts
            await engine.streams.complete(upload)
            upload = await engine.tickets.get(principal, upload_id)
    listed = None if asked.parts is None else [(part.part_number, part.etag) for part in asked.parts]
    stored = await engine.tickets.complete(upload, listed)
    return file_object(request, engine, await judged(request, engine, stored))


@delete("/uploads/{upload_id:str}")
async def abort_upload(engine: Engine, principal: Principal, upload_id: str) -> None:
    """End an upload that is not complete, and free its bytes."""
    await engine.tickets.abort(await engine.tickets.get(principal, upload_id))


def _check_target(asked: NewUpload) -> None:
    targets = [target for target in (asked.name, asked.path, asked.file) if target is not None]
    if len(targets) != 1 or (asked.name is None and asked.folder is not None):
        raise InvalidParameter("Give a name, with a folder or without, or a path, or a file.", parameter="name")


def _new_file(
    request: AnyRequest,
    at_path: bool,
    expires_in: str | None,
    expires_at: str | None,
    metadata: str | None,
    fetches: int | None,
    workspace: str | None,
) -> NewFile:
    path = sent_path(request, _UPLOAD_PREFIX)
    if not path:
        raise InvalidName("Name the file in the URL: PUT /api/upload/report.pdf, or curl -T report.pdf …/api/upload/")
    return NewFile(
        path=clean_path(path),
        at_path=at_path,
        content_type=request.headers.get("content-type"),
        metadata=parse_metadata(metadata),
        expires_in=parse_expires_in(expires_in),
        expires_at=parse_expires_at(expires_at),
        fetches=fetches,
        workspace=workspace,
        idempotency_key=idempotency_key(request),
        preconditions=preconditions(request),
    )


async def _upload(request: AnyRequest, engine: Engine, principal: Principal, new: NewFile) -> Response[Any]:
    engine.uploads.authorize(principal, new.path if new.at_path else None)
    refuse_encoded(request)
    refuse_piece(request.headers)
    base_url(request, engine)  # what makes the answer impossible is told before anything is stored
    size = content_length(request)
    allowed = await engine.uploads.check(principal, new, size)
    declared, wanted = declared_digests(request.headers), wanted_digests(request.headers)
    async with engine.uploads.receive(
        principal, declared=declared, wanted=wanted, size=size, allowed=allowed
    ) as incoming:
        async for chunk in file_bytes(request, engine.settings.body_idle_timeout):
            await incoming.write(chunk)
        received = await incoming.finish(new)
    telemetry.tell(direction="upload")
    stored = await judged(request, engine, received.stored)
    return _uploaded(request, engine, Received(stored, received.is_new_file))


def _uploaded(request: AnyRequest, engine: Engine, received: Received) -> Response[Any]:
    answer = file_object(request, engine, received.stored)
    status = 201 if received.is_new_file else 200
    headers = {"Location": f"{base_url(request, engine)}/api/files/{answer.id}", "ETag": answer.etag}
    if request.headers.get("accept", "").split(";")[0].strip() == "text/plain":
        if answer.status == State.REJECTED:
            raise Rejected(f"The file was rejected: {answer.reason}.", reason=answer.reason, id=answer.id)
        if answer.status == State.PROCESSING and asked_wait(request) is not None:
            status = 202  # who waited must see that it was not long enough: RFC 7240, section 4.3
        return Response(f"{answer.url}\n", status_code=status, media_type="text/plain", headers=headers)
    return Response(answer, status_code=status, headers=headers)


router = Router(
    "/api",
    route_handlers=[
        hand_off,
        put_at_path,
        create_upload,
        list_uploads,
        get_upload,
        renew_upload,
        stream_upload,
        complete_upload,
        abort_upload,
    ],
)
