"""The presigned flow: tickets for files of a folder, bytes to signed URLs without the key, and a confirmation that makes
them visible. Large files go in parts, by ``presigned_parts``. Field names are those of the flow.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, post

from fileferry.api import direct
from fileferry.api.bodies import takes_json
from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.direct_tickets import DirectUrl
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import InvalidDigest
from fileferry.model import (
    Folder,
    Principal,
    Scope,
    State,
    StoredFile,
    Upload,
    canonical_id,
    clean_name,
    format_optional_time,
    format_time,
)
from fileferry.web.express import EXPRESS
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    base_url,
    decode_cursor,
    encode_cursor,
    json_body,
    parse_expires_in,
    parse_limit,
    upload_url,
)
from fileferry.web.waiting import all_judged

_MOST_FILES = 1000
_HEX_DIGESTS = {8: Algorithm.CRC32C, 32: Algorithm.MD5, 64: Algorithm.SHA256}
Size = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class FileMetadata(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is said of a file to come; ``checksum`` is hex: SHA-256, MD5 or CRC32C by its length. ``size`` is in bytes."""

    name: str
    size: Size
    content_type: str | None = msgspec.field(default=None, name="contentType")
    checksum: str | None = None
    expires_in: str | int | None = None


class NewTickets(msgspec.Struct, forbid_unknown_fields=True):
    """1 to 1,000 files to come."""

    files_metadata: Annotated[list[FileMetadata], msgspec.Meta(min_length=1, max_length=_MOST_FILES)] = msgspec.field(
        name="filesMetadata"
    )


class NamedFolder(msgspec.Struct, forbid_unknown_fields=True):
    """A folder to make; ``name`` may be a path."""

    name: str


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """The ids to confirm, all or none."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=_MOST_FILES)]


class PresignedFolder(msgspec.Struct, rename="camel"):
    """A folder."""

    id: str
    name: str
    path: str
    created_at: str


class PresignedFolderPage(msgspec.Struct, rename="camel"):
    """A page of folders, by path."""

    folders: list[PresignedFolder]
    next_cursor: str | None


class Limits(msgspec.Struct, rename="camel"):
    """What the signed URL will take, in bytes."""

    size: int | None
    max_size: int


class Ticket(msgspec.Struct):
    """Where to send one file: PUT its bytes to ``url`` with ``headers``, before ``expiresAt``."""

    id: str
    url: str
    s3_key: str = msgspec.field(name="s3Key")
    headers: dict[str, str]
    expires_at: str = msgspec.field(name="expiresAt")
    limits: Limits


class Tickets(msgspec.Struct):
    """Tickets in the order of the files asked for."""

    urls: list[Ticket]


class PresignedFile(msgspec.Struct):
    """A confirmed file. ``status`` is that of its version, and ``reason`` why it was rejected."""

    id: str
    name: str
    size: int
    uploaded: bool
    s3_key: str = msgspec.field(name="s3Key")
    url: str
    content_type: str = msgspec.field(name="contentType")
    created_at: str = msgspec.field(name="createdAt")
    expires_at: str | None = msgspec.field(name="expiresAt")
    status: State
    reason: str | None


class PresignedPage(msgspec.Struct):
    """A page of a folder's confirmed files, oldest first."""

    files: list[PresignedFile]
    next_cursor: str | None = msgspec.field(name="nextCursor")


class Confirmed(msgspec.Struct):
    """Files that are confirmed now, in the order asked for."""

    files: list[PresignedFile]


@post("/folders", operation_class=takes_json(NamedFolder))
async def create_folder(request: AnyRequest, engine: Engine, principal: Principal) -> PresignedFolder:
    """Make a folder; the same name again answers the same folder."""
    asked = await json_body(request, engine, Scope.UPLOAD, NamedFolder)
    return folder_object(await engine.folders.create(principal, asked.name))


@get("/folders")
async def list_folders(
    engine: Engine, principal: Principal, cursor: Cursor = "", limit: str | None = None
) -> PresignedFolderPage:
    """List folders by path."""
    after = decode_cursor(cursor, 1)
    found, further = await engine.folders.list(principal, None, after[0] if after else "", parse_limit(limit))
    return PresignedFolderPage([folder_object(folder) for folder in found], encode_cursor(further) if further else None)


@delete("/folders/{folder_id:str}")
async def delete_folder(engine: Engine, principal: Principal, folder_id: str) -> None:
    """Delete an empty folder."""
    await engine.folders.delete(principal, folder_id)


@post("/files/{folder_id:str}", status_code=200, operation_class=takes_json(NewTickets), opt=EXPRESS)
async def create_tickets(request: AnyRequest, engine: Engine, principal: Principal, folder_id: str) -> Tickets:
    """Ask for signed URLs for 1 to 1,000 files of a folder, all or none."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewTickets)
    promises = [promise_of(described, folder_id) for described in asked.files_metadata]
    opened = await engine.tickets.open(principal, promises)
    direct = await engine.direct.offer(principal, opened)
    return Tickets([_ticket(request, engine, upload, direct.get(upload.id)) for upload in opened])


@post("/files/confirm-upload", status_code=200, operation_class=takes_json(Confirmation), opt=EXPRESS)
async def confirm(request: AnyRequest, engine: Engine, principal: Principal) -> Confirmed:
    """Make uploaded files visible, all or none; confirming again is no error. ``Prefer: wait=30`` waits until all are ready."""
    asked = await json_body(request, engine, Scope.UPLOAD, Confirmation)
    confirmed = await engine.tickets.confirm(principal, [canonical_id(id) for id in asked.ids])
    stored = await all_judged(request, engine, confirmed)
    return Confirmed([presigned_file(request, engine, file) for file in stored])


router = Router(
    "/v1",
    route_handlers=[create_folder, list_folders, delete_folder, create_tickets, confirm],
    exception_handlers={Exception: direct.render_error},
)


async def list_files(
    request: AnyRequest, engine: Engine, principal: Principal, folder_id: str, cursor: str | None, limit: str | None
) -> Response[PresignedPage]:
    """List the confirmed files of a folder."""
    folder = await engine.folders.get(principal, folder_id)
    after = decode_cursor(cursor, 1)
    page = await engine.files.list_in_folder(principal, folder, after[0] if after else "", parse_limit(limit))
    files = [presigned_file(request, engine, stored) for stored in page.items]
    return Response(PresignedPage(files, encode_cursor(page.next_cursor) if page.next_cursor else None))


def folder_object(folder: Folder) -> PresignedFolder:
    """Return a folder as this flow shows it."""
    return PresignedFolder(folder.id, folder.path.rpartition("/")[2], folder.path, format_time(folder.created_at))


def presigned_file(request: AnyRequest, engine: Engine, stored: StoredFile) -> PresignedFile:
    """Return a confirmed file as this flow shows it."""
    s3_key = s3_key_of(engine.files.public_token(stored), stored.file.name)
    return PresignedFile(
        id=stored.file.id,
        name=stored.file.name,
        size=stored.version.size,
        uploaded=True,
        s3_key=s3_key,
        url=f"{base_url(request, engine)}/{s3_key}",
        content_type=stored.version.content_type,
        created_at=format_time(stored.file.created_at),
        expires_at=format_optional_time(stored.file.expires_at),
        status=stored.version.state,
        reason=stored.version.reason,
    )


def promise_of(described: FileMetadata, folder_id: str) -> Promise:
    """Return what a client says of one file, as the engine takes it; raises InvalidName, InvalidDigest and InvalidExpiry."""
    return Promise(
        path=clean_name(described.name),
        folder_id=folder_id,
        content_type=described.content_type,
        size=described.size,
        digests=_digests(described.checksum),
        expires_in=parse_expires_in(described.expires_in),
    )


def _digests(checksum: str | None) -> dict[Algorithm, bytes]:
    if checksum is None:
        return {}
    algorithm = _HEX_DIGESTS.get(len(checksum))
    try:
        if algorithm is not None:
            return {algorithm: bytes.fromhex(checksum)}
    except ValueError:
        pass
    raise InvalidDigest("checksum must be hex: a SHA-256 (64 digits), an MD5 (32) or a CRC32C (8).")


def _ticket(request: AnyRequest, engine: Engine, upload: Upload, direct: list[DirectUrl] | None) -> Ticket:
    return Ticket(
        id=upload.file_id,
        url=direct[0].url if direct else upload_url(request, engine, upload),
        s3_key=s3_key_of(engine.tickets.public_token(upload), upload.name),
        headers={},
        expires_at=format_time(upload.url_expires_at),
        limits=Limits(upload.size, upload.max_size),
    )


def s3_key_of(token: str, name: str) -> str:
    """Return the name that the flow gives to where the bytes are: the path of the public URL."""
    return f"f/{token}/{quote(name, safe='')}"
