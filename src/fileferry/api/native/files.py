"""The native API of files and their versions, ``/api/files``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, patch, post, route
from litestar.params import Parameter

from fileferry.api.answers import Answer
from fileferry.api.bodies import takes_json
from fileferry.api.delivery import deliver
from fileferry.api.native.objects import FileObject, FilePage, UrlStyle, VersionList, file_object, version_object
from fileferry.engine.engine import Engine
from fileferry.engine.files.browsing import ORDERS
from fileferry.engine.files.changes import Changes
from fileferry.errors import InvalidExpiry, InvalidParameter
from fileferry.model import Principal, Scope, StoredFile, clean_name, clean_path, format_time, normalized
from fileferry.web import short_urls
from fileferry.web.express import EXPRESS
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    decode_cursor,
    download_url,
    encode_cursor,
    json_body,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
    sent_path,
    whole_number,
)
from fileferry.web.shelves import STATES, place_of
from fileferry.web.waiting import settled, standing

_PATH_PREFIX = re.compile(r"\A/+api/+files/+path/?")
_LINK_LIFETIME = timedelta(hours=1)
_LONGEST_LINK = timedelta(days=7)
WorkspaceName = Annotated[str | None, Parameter(description="Id or name of another workspace than the default one.")]
NamePart = Annotated[str | None, Parameter(description="Only files whose name has this part, in any case.")]
Status = Annotated[str | None, Parameter(description="Only files that are ready, processing or rejected.")]
FolderPath = Annotated[
    str | None, Parameter(description="Only files in the folder at this path; with name, also below.")
]
Handoffs = Annotated[bool, Parameter(description="Only files without a path.")]
Sort = Annotated[str | None, Parameter(description="newest, oldest, name, largest, smallest or expiry, not by path.")]
VersionId = Annotated[str | None, Parameter(description="Another version than the current one.")]


class FileChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a file; ``path`` moves it, ``expires_at: null`` keeps it for good."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    path: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_in: str | int | None = None
    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET


class NewLink(msgspec.Struct, forbid_unknown_fields=True):
    """How long a URL is to be good, at most 7d and 1h by default (7d for a short one), of which version, and in which style."""

    expires_in: str | int | None = None
    version_id: str | None = None
    url_style: UrlStyle = "signed"


class LinkObject(msgspec.Struct):
    """A signed or short URL that a version can be fetched from until ``expires_at``, unless its file or its key ends before."""

    url: str
    expires_at: str


@get("/files")
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace: WorkspaceName = None,
    prefix: str = "",
    deleted: bool = False,
    name: NamePart = None,
    status: Status = None,
    folder: FolderPath = None,
    handoffs: Handoffs = False,
    sort: Sort = None,
    cursor: Cursor = "",
    limit: Limit = None,
) -> FilePage:
    """List the files of a workspace by path, those whose path starts with ``prefix``; or those that can be restored.

    With ``name``, ``status``, ``folder``, ``handoffs`` or ``sort`` they are found by those, the last changed first.
    """
    if handoffs or any(asked is not None for asked in (name, status, folder, sort)):
        if prefix:
            raise InvalidParameter("prefix lists files by path only: name a folder instead.", parameter="prefix")
        view, order = "deleted" if deleted else "handoffs" if handoffs else "all", sort or "newest"
        if order not in ORDERS:
            raise InvalidParameter(f"sort must be one of {', '.join(ORDERS)}.", parameter="sort")
        if status is not None and status not in STATES:
            raise InvalidParameter(f"status must be one of {', '.join(STATES)}.", parameter="status")
        shelf = await engine.browsing.view(
            principal,
            workspace,
            normalized((folder or "").strip("/"), "folder"),
            name=normalized(name, "name") if name else None,
            view=view,
            state=STATES[status] if status else None,
            order=order,
            after=place_of(cursor, order),
            limit=parse_limit(limit),
        )
        objects = [file_object(request, engine, stored) for stored in shelf.items]
        return FilePage(objects, encode_cursor(*map(str, shelf.after)) if shelf.after else None)
    after = decode_cursor(cursor, 2)
    found, further = await engine.files.list_by_path(
        principal,
        workspace,
        normalized(prefix.removeprefix("/"), "prefix"),
        (after[0], after[1]) if after else None,
        parse_limit(limit),
        deleted=deleted,
    )
    objects = [file_object(request, engine, stored) for stored in found]
    return FilePage(objects, encode_cursor(*further) if further else None)


@get("/files/path/{path:path}")
async def get_file_at_path(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace: WorkspaceName = None,
    version_id: VersionId = None,
) -> FileObject:
    """Inspect the file at a path of a workspace; with ``Prefer: wait=30`` once it is ready or not to be."""
    path, number = clean_path(sent_path(request, _PATH_PREFIX)), _number(version_id)

    async def read() -> tuple[StoredFile, str | None]:
        return standing(await engine.files.at(principal, workspace, path, number=number))

    return file_object(request, engine, await settled(request, engine, read))


@delete("/files/path/{path:path}")
async def delete_file_at_path(
    request: AnyRequest, engine: Engine, principal: Principal, workspace: WorkspaceName = None
) -> None:
    """Delete the file at a path of a workspace; it can be restored for a time."""
    await engine.changes.delete_at(principal, workspace, clean_path(sent_path(request, _PATH_PREFIX)))


@get("/files/{file_id:str}", opt=EXPRESS)
async def get_file(
    request: AnyRequest, engine: Engine, principal: Principal, file_id: str, version_id: VersionId = None
) -> FileObject:
    """Inspect a file; with ``Prefer: wait=30`` once it is ready or not to be."""
    number = _number(version_id)

    async def read() -> tuple[StoredFile, str | None]:
        return standing(await engine.files.get(principal, file_id, number=number))

    return file_object(request, engine, await settled(request, engine, read))


@patch("/files/{file_id:str}", operation_class=takes_json(FileChanges))
async def patch_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Change a file's name, path, metadata or expiry; its id and versions stay."""
    asked = await json_body(request, engine, Scope.UPLOAD, FileChanges)
    if asked.name is not msgspec.UNSET and asked.path is not msgspec.UNSET:
        raise InvalidParameter("Give either a name or a path: a path ends with the name.", parameter="name")
    expires_at = asked.expires_at
    changes = Changes(
        name=asked.name if asked.name is msgspec.UNSET else clean_name(asked.name),
        path=asked.path if asked.path is msgspec.UNSET else clean_path(asked.path),
        metadata=asked.metadata,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=expires_at if expires_at is msgspec.UNSET else parse_expires_at(expires_at),
    )
    return file_object(request, engine, await engine.changes.change(principal, file_id, changes))


@delete("/files/{file_id:str}")
async def delete_file(engine: Engine, principal: Principal, file_id: str, permanent: bool = False) -> None:
    """Delete a file: its URLs answer 410 at once. One at a path can be restored for a time, unless ``permanent``."""
    await engine.changes.delete(principal, file_id, permanent=permanent)


@post("/files/{file_id:str}/restore", status_code=200)
async def restore_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Take back the deletion of a file; where another has its path now, it comes back at a path beside it."""
    restored = await engine.changes.restore(principal, file_id)
    return file_object(request, engine, restored.stored)


@get("/files/{file_id:str}/versions")
async def list_versions(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> VersionList:
    """List the versions of a file, newest first."""
    current = await engine.files.get(principal, file_id)
    found = await engine.files.versions(principal, file_id)
    return VersionList([version_object(request, engine, current, version) for version in found])


@post("/files/{file_id:str}/versions/{version_id:str}/restore", status_code=200)
async def restore_version(
    request: AnyRequest, engine: Engine, principal: Principal, file_id: str, version_id: str
) -> FileObject:
    """Make an old version the current one again: its bytes become a new version, the file keeps its metadata and expiry."""
    received = await engine.copies.bring_back(principal, file_id, _decimal(version_id))
    return file_object(request, engine, received.stored)


@delete("/files/{file_id:str}/versions/{version_id:str}")
async def delete_version(engine: Engine, principal: Principal, file_id: str, version_id: str) -> None:
    """Delete a version of a file for good and free its bytes; the current one cannot be deleted alone."""
    await engine.changes.delete_version(principal, file_id, _decimal(version_id))


@post("/files/{file_id:str}/links", operation_class=takes_json(NewLink))
async def create_link(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Response[LinkObject]:
    """Get a signed or short URL that a version can be fetched from without the key, for a time."""
    asked = await json_body(request, engine, Scope.READ, NewLink)
    by_default = _LONGEST_LINK if asked.url_style == "short" else _LINK_LIFETIME
    lifetime = parse_expires_in(asked.expires_in) or by_default
    if lifetime > _LONGEST_LINK:
        raise InvalidExpiry("Such a URL is good for 7 days at most; the file's own url for as long as the file.")
    stored = await engine.files.get(principal, file_id, number=_number(asked.version_id))
    if asked.url_style == "short":
        short = await short_urls.for_version(request, engine, stored, lifetime)
        return Response(LinkObject(short.url, format_time(short.ends_at)), status_code=201)
    expires_at = format_time((engine.clock() + lifetime).replace(microsecond=0))  # it ends up to a second later
    return Response(LinkObject(download_url(request, engine, principal, stored, lifetime), expires_at), status_code=201)


@route("/files/{file_id:str}/content", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def get_content(
    request: AnyRequest, engine: Engine, principal: Principal, file_id: str, version_id: VersionId = None
) -> Answer:
    """Fetch the bytes of a file with a key; ranges, conditions and what counts as a fetch are as on the public URL."""
    stored = await engine.files.open(principal, file_id, number=_number(version_id))
    return deliver(request, engine, stored, {"Cache-Control": "private, no-cache"})


def _number(version_id: str | None) -> int | None:
    return None if version_id is None else _decimal(version_id)


def _decimal(version_id: str) -> int:
    number = whole_number(version_id)
    if number is None:
        raise InvalidParameter(
            "version_id must be a decimal number, as a file object shows it.", parameter="version_id"
        )
    return number


router = Router(
    "/api",
    route_handlers=[
        list_files,
        get_file_at_path,
        delete_file_at_path,
        get_file,
        patch_file,
        delete_file,
        restore_file,
        list_versions,
        restore_version,
        delete_version,
        create_link,
        get_content,
    ],
)
