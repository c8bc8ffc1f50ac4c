"""The native API of requests for files, ``/api/requests``: links to a page by which people without a key upload."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, patch, post
from msgspec import UNSET, UnsetType

from fileferry.api.bodies import takes_json
from fileferry.api.native.bounds import Size, TypeNames, size_of
from fileferry.api.native.shares import FolderPath, Message, Secret, Title
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.requests import Arrival, NewRequest, RequestChanges
from fileferry.model import FileRequest, Principal, Scope, format_optional_time, format_time
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    base_url,
    created,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
)

FileCount = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class RequestObject(msgspec.Struct, kw_only=True):
    """A request for files: whoever has ``url`` may upload into ``folder``. ``received`` files have come, of ``received_bytes``.

    ``state`` is active, expired or full. ``max_size`` (bytes) and ``types`` (media types) are those of one file.
    """

    id: str
    url: str
    title: str
    message: str
    state: str
    folder: str
    workspace_id: str
    max_size: int | None
    max_files: int | None
    types: list[str] | None
    has_passphrase: bool
    expires_at: str | None
    received: int
    received_bytes: int
    last_received_at: str | None
    organization_id: str
    key_id: str
    end_user: str | None
    created_at: str


class RequestPage(msgspec.Struct):
    """A page of requests, newest first."""

    requests: list[RequestObject]
    next_cursor: str | None


class SentFileObject(msgspec.Struct):
    """A file that has come for a request: ``name`` is as its sender called it, ``status`` null once the file is no more."""

    file_id: str
    name: str
    status: str | None
    reason: str | None
    size: int | None
    arrived_at: str | None


class SentFilePage(msgspec.Struct):
    """A page of what has come for a request, the first sent first."""

    files: list[SentFileObject]
    next_cursor: str | None


class NewRequestBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to ask for. Files come into ``folder`` of a workspace, by default one that is named as the title.

    ``max_size`` is bytes or text such as ``10MiB``. ``expires_in`` (a duration such as ``7d``) or ``expires_at`` ends the request.
    """

    title: Title
    message: Message = ""
    folder: FolderPath | None = None
    workspace: str | None = None
    max_size: Size | None = None
    max_files: FileCount | None = None
    types: TypeNames | None = None
    passphrase: Secret | None = None
    expires_in: str | int | None = None
    expires_at: str | None = None


class RequestChangesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to change of a request; null lifts a limit, its passphrase or its end."""

    title: Title | UnsetType = UNSET
    message: Message | UnsetType = UNSET
    max_size: Size | UnsetType | None = UNSET
    max_files: FileCount | UnsetType | None = UNSET
    types: TypeNames | UnsetType | None = UNSET
    passphrase: Secret | UnsetType | None = UNSET
    expires_in: str | int | None = None
    expires_at: str | UnsetType | None = UNSET


@post("/requests", operation_class=takes_json(NewRequestBody))
async def create_request(request: AnyRequest, engine: Engine, principal: Principal) -> Response[RequestObject]:
    """Ask people for files: whoever has the ``url`` uploads by the rights of this key, without having it."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewRequestBody)
    new = NewRequest(
        title=asked.title,
        message=asked.message,
        folder=asked.folder,
        workspace=asked.workspace,
        max_size=None if asked.max_size is None else size_of("max_size", asked.max_size),
        max_files=asked.max_files,
        types=asked.types,
        passphrase=asked.passphrase,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=parse_expires_at(asked.expires_at),
    )
    made = request_object(request, engine, await engine.requests.create(principal, new))
    return created(request, engine, f"/api/requests/{made.id}", made)


@get("/requests")
async def list_requests(
    request: AnyRequest, engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None
) -> RequestPage:
    """List the requests that this key has made; with the scope admin, all of the organization."""
    before = decode_cursor(cursor, 1)
    page = await engine.requests.list(principal, before[0] if before else None, parse_limit(limit))
    objects = [request_object(request, engine, found) for found in page.items]
    return RequestPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/requests/{request_id:str}")
async def get_request(request: AnyRequest, engine: Engine, principal: Principal, request_id: str) -> RequestObject:
    """Inspect a request."""
    return request_object(request, engine, await engine.requests.get(principal, request_id))


@get("/requests/{request_id:str}/files")
async def list_sent_files(
    engine: Engine, principal: Principal, request_id: str, cursor: Cursor = "", limit: Limit = None
) -> SentFilePage:
    """List what has come for a request."""
    after = decode_cursor(cursor, 1)
    page = await engine.requests.arrivals(principal, request_id, after[0] if after else "", parse_limit(limit))
    objects = [_sent_object(arrival) for arrival in page.items]
    return SentFilePage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@patch("/requests/{request_id:str}", operation_class=takes_json(RequestChangesBody))
async def patch_request(request: AnyRequest, engine: Engine, principal: Principal, request_id: str) -> RequestObject:
    """Change a request; its URL stays, and so does where files go."""
    asked = await json_body(request, engine, Scope.UPLOAD, RequestChangesBody)
    expires_at, max_size = asked.expires_at, asked.max_size
    changes = RequestChanges(
        title=asked.title,
        message=asked.message,
        max_size=size_of("max_size", max_size) if isinstance(max_size, str | int) else max_size,
        max_files=asked.max_files,
        types=asked.types,
        passphrase=asked.passphrase,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=expires_at if isinstance(expires_at, UnsetType) else parse_expires_at(expires_at),
    )
    return request_object(request, engine, await engine.requests.change(principal, request_id, changes))


@delete("/requests/{request_id:str}")
async def delete_request(engine: Engine, principal: Principal, request_id: str) -> None:
    """End a request at once, with what is under way for it; the files that have come stay."""
    await engine.requests.delete(principal, request_id)


def request_object(request: AnyRequest, engine: Engine, found: FileRequest) -> RequestObject:
    """Return a request as it is shown to who made it."""
    return RequestObject(
        id=found.id,
        url=f"{base_url(request, engine)}/r/{found.token}",
        title=found.title,
        message=found.message,
        state=found.state_at(engine.clock()),
        folder=found.folder,
        workspace_id=found.workspace_id,
        max_size=found.max_size,
        max_files=found.max_files,
        types=None if found.types is None else list(found.types),
        has_passphrase=found.passphrase is not None,
        expires_at=format_optional_time(found.expires_at),
        received=found.received,
        received_bytes=found.received_bytes,
        last_received_at=format_optional_time(found.last_received_at),
        organization_id=found.organization_id,
        key_id=found.key_id,
        end_user=found.end_user,
        created_at=format_time(found.created_at),
    )


def _sent_object(arrival: Arrival) -> SentFileObject:
    sent = arrival.sent
    return SentFileObject(
        file_id=sent.file_id,
        name=sent.name,
        status=arrival.state,
        reason=arrival.reason,
        size=arrival.size,
        arrived_at=format_optional_time(sent.arrived_at),
    )


router = Router(
    "/api",
    route_handlers=[create_request, list_requests, get_request, list_sent_files, patch_request, delete_request],
)
