"""The signed flow: files of end users. A URL that takes a file for ten minutes, its bytes to that URL without the key, and a
status to ask for until the file was checked; then it may be attached. Field names, codes and errors are those of the flow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import Provide
from litestar.params import HeaderParameter, Parameter

from fileferry.api import auth
from fileferry.api.bodies import takes_json
from fileferry.api.signed_status import (
    URL_LIFETIME,
    FileStatus,
    SignedFile,
    awaited_progress,
    coming_file,
    processing_status,
    status_of,
)
from fileferry.engine.engine import Engine
from fileferry.engine.files.references import Kind, Reference, Target
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import (
    BadRequest,
    ConflictingCredentials,
    FerryError,
    InvalidName,
    InvalidParameter,
    RateLimited,
    Unauthorized,
)
from fileferry.model import Limits, Principal, Scope, clean_name, format_optional_time, format_time
from fileferry.settings import Settings
from fileferry.web import problems
from fileferry.web.requests import AnyRequest, base_url, json_body, public_url, upload_url

USER = "user-id"

USER_PARAMETER = HeaderParameter(
    name=USER,
    annotation=str,
    required=False,
    description="The end user that the file belongs to, by any name of 1 to 255 characters. Calls of the signed flow need one.",
)

_MOST_FILES = 100
_LAST_PAGE = 10**9
_LONGEST_TARGET = 255
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}

# The code of each status, and what to say of it where we know nothing better.
_PUBLISHED = {
    400: (
        "attachment_document_raised_an_error",
        "The file attachment service has raised an error. Please try again later",
    ),
    401: ("unauthorized", "Missing or invalid API key"),
    403: ("attachment_access_forbidden", "You do not have permission to access this attachment."),
    404: (
        "attachment_document_does_not_exist",
        "Document with `file_id` is not available for the user with `user_id` on the document server.",
    ),
    405: ("attachment_url_invalid", "The provided base_url is not valid."),
    409: ("conflict", "Conflict - File is infected with a virus or it's still being processed"),
    422: ("attachment_url_invalid", "The provided base_url is not valid."),
    500: ("internal_server_error", "Internal Server Error"),
    503: (
        "attachment_document_not_reachable",
        "The file attachment service does not respond as expected. Please try again later.",
    ),
}

PageNumber = Annotated[str | None, Parameter(description="Which page, from 1.")]
PageSize = Annotated[str | None, Parameter(description="How many on a page, 1 to 100; 50 by default.")]


class FileLimits(msgspec.Struct):
    """What the URL takes: files of these media types, of at most ``max_size`` bytes."""

    allowed_types: list[str]
    max_size: int


class SignedUrl(msgspec.Struct):
    """Where to PUT the bytes of one file, for ``expires_in`` seconds."""

    expires_in: int
    file_id: str
    file_limits: FileLimits
    file_url: str


class SignedListedFile(msgspec.Struct):
    """A file of a list."""

    file_id: str
    file_name: str


class ListedFiles(msgspec.Struct):
    """A page of ``limit`` files of the user's, newest first; ``total`` counts those of all pages."""

    files: list[SignedListedFile]
    limit: int
    page: int
    total: int


class AttachmentTarget(msgspec.Struct, forbid_unknown_fields=True):
    """What to attach a file to: a message or a thread, one of them, by its id of 1 to 255 characters."""

    message_id: str | None = None
    thread_id: str | None = None


class Attachment(msgspec.Struct):
    """A file that is attached to a message or a thread; the other one is null."""

    file_id: str
    message_id: str | None
    thread_id: str | None
    attached_at: str


class Attachments(msgspec.Struct):
    """A page of what a file is attached to, the oldest first; ``total`` counts those of all pages."""

    attachments: list[Attachment]
    limit: int
    page: int
    total: int


async def acting_for(request: AnyRequest, engine: Engine) -> Principal:
    """Return who the request acts for: always an end user. Raises Unauthorized, and BadRequest where none is named."""
    principal = await auth.authenticate(request, engine)
    if principal.end_user is None:
        raise BadRequest(f"Send the header {USER} with the id of the end user that the file belongs to.")
    return principal


@get("/files/signed-url")
async def create_url(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    filename: Annotated[str | None, Parameter(description="The file's name with its extension.")] = None,
    persist: Annotated[str | None, Parameter(description="false to have the file removed after 24 hours.")] = None,
) -> SignedUrl:
    """Ask for a URL that takes the bytes of one file: PUT them there without the key, then ask for the file's status."""
    base_url(request, engine)  # what makes the answer impossible is told before anything is promised
    name = _name(filename)
    transient = not _truth("persist", persist, default=True)
    allowed = await engine.end_users.allowed(principal)
    promise = Promise(
        path=name,
        expires_in=_transient_life(engine.settings, allowed) if transient else None,
        auto_complete=True,
        url_lifetime=URL_LIFETIME,
    )
    (upload,) = await engine.tickets.open(principal, [promise])
    return SignedUrl(
        expires_in=int(URL_LIFETIME.total_seconds()),
        file_id=upload.file_id,
        file_limits=FileLimits(list(allowed.types or ()), upload.max_size),
        file_url=upload_url(request, engine, upload, URL_LIFETIME),
    )


@get("/files/{file_id:str}/status")
async def show_status(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileStatus:
    """Ask how far a file is; ``Prefer: wait=30`` puts the answer off until it is ready or of no use."""
    return status_of(engine, await awaited_progress(request, engine, principal, file_id))


@post("/files/{file_id:str}/attach", status_code=200, operation_class=takes_json(AttachmentTarget))
async def attach(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Attachment:
    """Attach a file that is ready to a message or a thread, which holds it when it is deleted; again is no error."""
    target = _target(await json_body(request, engine, Scope.UPLOAD, AttachmentTarget))
    return _attachment(await engine.references.attach(principal, file_id, target))


@delete("/files/{file_id:str}/attach", operation_class=takes_json(AttachmentTarget))
async def release(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    file_id: str,
    message_id: Annotated[str | None, Parameter(description="The message, where the body names nothing.")] = None,
    thread_id: Annotated[str | None, Parameter(description="The thread, where the body names nothing.")] = None,
) -> None:
    """Release a file from a message or a thread; the last one to release a deleted file ends it."""
    asked = AttachmentTarget(message_id, thread_id)
    if asked == AttachmentTarget():
        asked = await json_body(request, engine, Scope.UPLOAD, AttachmentTarget)
    await engine.references.release(principal, file_id, _target(asked))


@get("/files/{file_id:str}/attach")
async def list_attachments(
    engine: Engine, principal: Principal, file_id: str, page: PageNumber = None, limit: PageSize = None
) -> Attachments:
    """List what a file is attached to."""
    number, size = _page(page, limit)
    found, total = await engine.references.list(principal, file_id, (number - 1) * size, size)
    return Attachments([_attachment(reference) for reference in found], size, number, total)


def render_error(_request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with this flow's ``error_code`` and ``detail``; the detail is ours where it says more than the published one."""
    failure = problems.known(error)
    status = _published_status(failure)
    body: dict[str, str] = {"message": "Rate limit exceeded!"}
    if status != RateLimited.status:
        code, sentence = _PUBLISHED[status]
        says_nothing = failure.detail == failure.title and not isinstance(failure, ConflictingCredentials)
        body = {
            "error_code": code,
            "detail": sentence if says_nothing or isinstance(failure, Unauthorized) else failure.detail,
        }
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers=problems.headers_of(failure),
    )


router = Router(
    "/v1",
    route_handlers=[create_url, show_status, attach, release, list_attachments],
    dependencies={"principal": Provide(acting_for)},
    parameters={"user_id": USER_PARAMETER},
    exception_handlers={Exception: render_error},
)


def is_meant(request: AnyRequest) -> bool:
    """Whether a request at an address that flows share is for this one."""
    return USER in request.headers


async def list_files(engine: Engine, principal: Principal, page: str | None, limit: str | None) -> ListedFiles:
    """List the files of the user."""
    number, size = _page(page, limit)
    found = await engine.end_users.list(principal, (number - 1) * size, size)
    files = [SignedListedFile(stored.file.id, stored.file.name) for stored in found.items]
    return ListedFiles(files, size, number, found.total)


async def show_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> SignedFile:
    """Inspect a file of the user's."""
    progress = await awaited_progress(request, engine, principal, file_id)
    status = processing_status(engine, progress)
    if progress.stored is None:
        return coming_file(progress, status)
    file, version = progress.stored.file, progress.stored.version
    return SignedFile(
        file_id=file.id,
        file_name=file.name,
        processing_status=status,
        reason=version.reason,
        content_type=version.content_type,
        size=version.size,
        created_at=format_time(file.created_at),
        expires_at=format_optional_time(file.expires_at),
        url=public_url(request, engine, progress.stored) if status == "PROCESSED" else None,
    )


async def delete_file(engine: Engine, principal: Principal, file_id: str) -> None:
    """Delete a file of the user's, at once or with its last reference; one that is still to come is given up."""
    if not await engine.end_users.withdraw(principal, file_id):
        await engine.changes.delete(principal, file_id)


def _published_status(failure: FerryError) -> int:
    """Return the status among those of the flow that is nearest to the error's own."""
    if isinstance(failure, InvalidParameter | InvalidName):
        return 422
    if failure.status in _PUBLISHED or failure.status == RateLimited.status:
        return failure.status
    if failure.status == 410:
        return 404
    return 503 if failure.status > 500 else 400


def _name(filename: str | None) -> str:
    if filename is None:
        raise InvalidParameter("filename is missing: it is the name of the file with its extension.")
    return clean_name(filename)


def _truth(name: str, value: str | None, *, default: bool) -> bool:
    if value is None:
        return default
    if value.lower() not in _TRUTHS:
        raise InvalidParameter(f"{name} must be true or false.", parameter=name)
    return _TRUTHS[value.lower()]


def _transient_life(settings: Settings, allowed: Limits) -> timedelta:
    longest = allowed.max_retention
    life: timedelta = settings.transient_retention
    return life if longest is None else min(life, timedelta(seconds=longest))


def _page(page: str | None, limit: str | None) -> tuple[int, int]:
    return _number("page", page, 1, _LAST_PAGE), _number("limit", limit, 50, _MOST_FILES)


def _number(name: str, value: str | None, default: int, largest: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or not 1 <= int(value) <= largest:
        raise InvalidParameter(f"{name} must be a number from 1 to {largest}.", parameter=name)
    return int(value)


def _target(asked: AttachmentTarget) -> Target:
    named = {Kind.MESSAGE: asked.message_id, Kind.THREAD: asked.thread_id}
    found = [Target(kind, id) for kind, id in named.items() if id is not None]
    if len(found) != 1:
        raise InvalidParameter("Name a message_id or a thread_id, one of them.", parameter="message_id")
    (target,) = found
    if not 1 <= len(target.id) <= _LONGEST_TARGET or not target.id.isprintable():
        raise InvalidParameter(f"The id of a {target.kind} has 1 to {_LONGEST_TARGET} printable characters.")
    return target


def _attachment(reference: Reference) -> Attachment:
    kind, id = reference.target.kind, reference.target.id
    return Attachment(
        reference.file_id,
        message_id=id if kind is Kind.MESSAGE else None,
        thread_id=id if kind is Kind.THREAD else None,
        attached_at=format_time(reference.created_at),
    )
