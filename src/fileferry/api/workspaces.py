"""The workspaces flow: files of a workspace by path and by id, with versions, restoring, and bytes that go to and come from
signed URLs. Field names are those of the flow; which client asks what first is in ``discovery``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, put, route
from litestar.di import Provide
from litestar.params import Dependency, Parameter

from fileferry.api.auth import acting_in
from fileferry.api.searches import Flag, page_link, parse_flag, search_of
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import InvalidName, InvalidParameter, NotFound
from fileferry.model import (
    Principal,
    Search,
    State,
    StoredFile,
    Upload,
    User,
    Version,
    clean_path,
    format_optional_time,
    format_time,
)
from fileferry.web.requests import AnyRequest, base_url, download_url, sent_path, upload_url
from fileferry.web.waiting import settled, standing

_URL_LIFETIME = timedelta(minutes=30)
_PATH_PREFIX = re.compile(r"\A/+file/+v2/+orgs/+[^/]+/+workspaces/+[^/]+/+files/+path/?")
_NUMBER = re.compile(r"[0-9]{1,19}")
_LARGEST_NUMBER = 2**63 - 1

VersionId = Annotated[str | None, Parameter(description="A version's id, which is a decimal number.")]


class UserObject(msgspec.Struct):
    """Who did something; name and email are null where they are not known."""

    id: str
    name: str | None
    email: str | None


class UploadAnswer(msgspec.Struct):
    """Where to send the bytes of the version to come: ``upload`` takes them for half an hour."""

    file_id: str
    version_id: str
    upload: str


class WorkspaceFile(msgspec.Struct, kw_only=True):
    """What every answer says of a file. ``size`` is in bytes, times are RFC 3339 in UTC."""

    name: str
    path: str
    file_id: str
    version_id: str
    size: int
    created_at: str
    created_by: UserObject | None
    modified_at: str
    modified_by: UserObject | None
    deleted_at: str | None
    deleted_by: UserObject | None
    etag: str
    author: UserObject | None


class FileVersion(msgspec.Struct, kw_only=True):
    """One version of a file; ``link`` describes it."""

    name: str
    path: str
    file_id: str
    version_id: str
    size: int
    created_at: str
    created_by: UserObject | None
    link: str


class DownloadableFile(WorkspaceFile, kw_only=True):
    """A file with ``download``, which serves the version's bytes for half an hour, and its versions where they were asked for."""

    download: str
    self_link: str = msgspec.field(name="self")
    versions: list[FileVersion] | None


class FileLinks(msgspec.Struct):
    """Where a listed file is described in full."""

    self_link: str = msgspec.field(name="self")


class ListedFile(WorkspaceFile, kw_only=True):
    """A file in a listing. One whose first version is not ``ready``, as its ``status`` says, is there and cannot be had."""

    status: State
    links: FileLinks


class ListingLinks(msgspec.Struct):
    """Where the listing goes on, what came before, and itself."""

    next: str | None
    prev: str | None
    self_link: str = msgspec.field(name="self")


class FileListing(msgspec.Struct):
    """``count`` of the ``total`` files that were found, those from ``offset`` on."""

    count: int
    limit: int
    offset: int
    total: int
    links: ListingLinks
    files: list[ListedFile]


class People:
    """The users that one answer names, looked up at once."""

    def __init__(self, known: dict[str, User]) -> None:
        self._known = known

    @classmethod
    async def of(cls, engine: Engine, files: Iterable[StoredFile], versions: Iterable[Version] = ()) -> People:
        """Look up everyone who created, modified or deleted one of these."""
        ids = {
            id for stored in files for id in (stored.file.created_by, stored.file.modified_by, stored.file.deleted_by)
        }
        ids |= {version.created_by for version in versions}
        return cls(await engine.organizations.users([id for id in ids if id]))

    def show(self, id: str | None) -> UserObject | None:
        """Return a user as the flow shows it, None for nobody."""
        if id is None:
            return None
        user = self._known.get(id)
        return UserObject(id, user.name, user.email) if user else UserObject(id, None, None)


@put("/files/path/{file_path:path}")
async def put_by_path(
    request: AnyRequest, engine: Engine, principal: Principal, workspace_id: str, version_id: VersionId = None
) -> UploadAnswer:
    """Ask for a URL that takes the next version of the file at a path; with ``version_id`` for that of an unfinished one."""
    path = _path(request)
    if version_id is not None:
        return _ticket(
            request, engine, await engine.tickets.find_version_at(principal, workspace_id, path, _number(version_id))
        )
    promise = Promise(path=path, at_path=True, workspace=workspace_id, auto_complete=True)
    (upload,) = await engine.tickets.open(principal, [promise])
    return _ticket(request, engine, upload)


@put("/files/{file_id:str}")
async def put_by_id(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace_id: str,
    file_id: str,
    version_id: VersionId = None,
    deleted: Flag = None,
) -> Response[Any]:
    """Ask for a URL that takes a new version of a file; with ``version_id`` for that of an unfinished one.

    ``deleted=false`` restores a deleted file instead: 204, or 303 with the file where it could not have its path again.
    """
    if deleted is not None and not parse_flag("deleted", deleted):
        if version_id is not None:
            raise InvalidParameter(
                "A file is restored with all its versions: give no version_id.", parameter="version_id"
            )
        return await _restore(request, engine, principal, workspace_id, file_id)
    if version_id is not None:
        upload = await engine.tickets.find_version(principal, file_id, _number(version_id), workspace=workspace_id)
    else:
        promise = Promise(path="", file_id=file_id, workspace=workspace_id, auto_complete=True)
        (upload,) = await engine.tickets.open(principal, [promise])
    return Response(_ticket(request, engine, upload))


@get("/files/path/{file_path:path}")
async def get_by_path(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace_id: str,
    version_id: VersionId = None,
    include_versions: Flag = None,
) -> DownloadableFile:
    """Describe the file at a path, with a URL to download it from; 404 until a first version is complete.

    With ``Prefer: wait=30`` the answer comes once the version is ready or not to be.
    """
    with_versions = parse_flag("include_versions", include_versions)
    path, number = _path(request), _optional_number(version_id)

    async def read() -> tuple[StoredFile, str | None]:
        return standing(await engine.files.at(principal, workspace_id, path, number=number))

    stored = await settled(request, engine, read)
    versions = await engine.files.versions(principal, stored.file.id) if with_versions else None
    return await _describe(request, engine, principal, stored, versions)


@get("/files/{file_id:str}")
async def get_by_id(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace_id: str,
    file_id: str,
    version_id: VersionId = None,
    include_versions: Flag = None,
    deleted: Flag = None,
) -> DownloadableFile:
    """Describe a file, with a URL to download it from; with ``deleted=true`` also a deleted one that can be restored.

    With ``Prefer: wait=30`` the answer comes once the version is ready or not to be.
    """
    with_versions, with_deleted = parse_flag("include_versions", include_versions), parse_flag("deleted", deleted)
    number = _optional_number(version_id)

    async def read() -> tuple[StoredFile, str | None]:
        found = await engine.files.get(principal, file_id, number=number, deleted=with_deleted, workspace=workspace_id)
        return standing(found)

    stored = await settled(request, engine, read)
    versions = await engine.files.versions(principal, file_id, deleted=with_deleted) if with_versions else None
    return await _describe(request, engine, principal, stored, versions)


@get("/files", dependencies={"search": Provide(search_of, sync_to_thread=False)})
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace_id: str,
    search: Annotated[Search, Dependency(skip_validation=True)],
) -> FileListing:
    """List the files of a workspace that the query describes; with ``deleted=true`` those that can be restored, and no others."""
    found = await engine.files.search(principal, workspace_id, search)
    people = await People.of(engine, found.items)
    return FileListing(
        count=len(found.items),
        limit=search.limit,
        offset=search.offset,
        total=found.total,
        links=_links(request, engine, search, found.total),
        files=[_listed(request, engine, stored, people) for stored in found.items],
    )


@delete("/files/path/{file_path:path}")
async def delete_by_path(request: AnyRequest, engine: Engine, principal: Principal, workspace_id: str) -> None:
    """Delete the file at a path with all its versions; it can be restored by its id."""
    await engine.changes.delete_at(principal, workspace_id, _path(request))


@delete("/files/{file_id:str}")
async def delete_by_id(engine: Engine, principal: Principal, workspace_id: str, file_id: str) -> None:
    """Delete a file with all its versions; it can be restored."""
    await engine.changes.delete(principal, file_id, workspace=workspace_id)


@route("/files/path", http_method=[HttpMethod.PUT, HttpMethod.GET, HttpMethod.DELETE], include_in_schema=False)
async def refuse_no_path(principal: Principal) -> None:
    """Say that a path is missing."""
    raise InvalidName("Name the file in the URL, after /files/path/.")


router = Router(
    "/file/v2/orgs/{organization_id:str}/workspaces/{workspace_id:str}",
    route_handlers=[
        put_by_path,
        put_by_id,
        get_by_path,
        get_by_id,
        list_files,
        delete_by_path,
        delete_by_id,
        refuse_no_path,
    ],
    dependencies={"principal": Provide(acting_in)},
)


async def _restore(
    request: AnyRequest, engine: Engine, principal: Principal, workspace_id: str, file_id: str
) -> Response[Any]:
    restored = await engine.changes.restore(principal, file_id, workspace=workspace_id)
    if not restored.moved:
        return Response(None, status_code=204)
    described = await _describe(request, engine, principal, restored.stored, None)
    # The flow's client reads the file from this body; others follow the redirection and read the same.
    return Response(described, status_code=303, headers={"Location": described.self_link})


def _refuse_unjudged(stored: StoredFile) -> None:
    """Raise NotFound for what is not there yet in this flow, or never will be: a version that is still judged, or was rejected."""
    if stored.version.state is State.PROCESSING:
        raise NotFound("This version is still being checked.")
    if stored.version.state is State.REJECTED:
        raise NotFound(f"This version was rejected: {stored.version.reason}.")


async def _describe(
    request: AnyRequest, engine: Engine, principal: Principal, stored: StoredFile, versions: list[Version] | None
) -> DownloadableFile:
    _refuse_unjudged(stored)
    people = await People.of(engine, [stored], versions or ())
    return DownloadableFile(
        **_fields(stored, people),
        path=_path_of(stored),
        download=download_url(request, engine, principal, stored, _URL_LIFETIME),
        self_link=_self_link(request, engine, stored, stored.version),
        versions=None if versions is None else [_version(request, engine, stored, one, people) for one in versions],
    )


def _listed(request: AnyRequest, engine: Engine, stored: StoredFile, people: People) -> ListedFile:
    return ListedFile(
        **_fields(stored, people),
        path=_folder_of(stored),
        status=stored.version.state,
        links=FileLinks(_self_link(request, engine, stored, stored.version)),
    )


def _version(request: AnyRequest, engine: Engine, stored: StoredFile, version: Version, people: People) -> FileVersion:
    return FileVersion(
        name=stored.file.name,
        path=_path_of(stored),
        file_id=stored.file.id,
        version_id=str(version.number),
        size=version.size,
        created_at=format_time(version.created_at),
        created_by=people.show(version.created_by),
        link=_self_link(request, engine, stored, version),
    )


def _fields(stored: StoredFile, people: People) -> dict[str, Any]:
    file, version = stored.file, stored.version
    return {
        "name": file.name,
        "file_id": file.id,
        # A string: the flow's client takes no number, and JavaScript could not hold this one.
        "version_id": str(version.number),
        "size": version.size,
        "created_at": format_time(file.created_at),
        "created_by": people.show(file.created_by),
        "modified_at": format_time(file.modified_at),
        "modified_by": people.show(file.modified_by),
        "deleted_at": format_optional_time(file.deleted_at),
        "deleted_by": people.show(file.deleted_by),
        "etag": version.etag,
        "author": people.show(file.created_by),
    }


def _path_of(stored: StoredFile) -> str:
    """Return ``path`` of a described file: ``/`` at the root, as published, and the whole path below it.

    The flow's client takes the parent of what is described for the folder, and what is listed for the folder itself.
    """
    return "/" if "/" not in stored.file.path else f"/{stored.file.path}"


def _folder_of(stored: StoredFile) -> str:
    """Return ``path`` of a listed file: its folder. See ``_path_of``."""
    return f"/{stored.file.path.rpartition('/')[0]}"


def _self_link(request: AnyRequest, engine: Engine, stored: StoredFile, version: Version) -> str:
    file = stored.file
    address = f"/file/v2/orgs/{file.organization_id}/workspaces/{file.workspace_id}/files/{file.id}"
    return f"{base_url(request, engine)}{address}?version_id={version.number}&include_versions=false"


def _links(request: AnyRequest, engine: Engine, search: Search, total: int) -> ListingLinks:
    end = search.offset + search.limit
    return ListingLinks(
        next=page_link(request, engine, search.limit, end) if end < total else None,
        prev=page_link(request, engine, search.limit, max(0, search.offset - search.limit)) if search.offset else None,
        self_link=page_link(request, engine, search.limit, search.offset),
    )


def _ticket(request: AnyRequest, engine: Engine, upload: Upload) -> UploadAnswer:
    return UploadAnswer(upload.file_id, str(upload.number), upload_url(request, engine, upload, _URL_LIFETIME))


def _path(request: AnyRequest) -> str:
    return clean_path(sent_path(request, _PATH_PREFIX))


def _optional_number(version_id: str | None) -> int | None:
    return None if version_id is None else _number(version_id)


def _number(version_id: str) -> int:
    if not _NUMBER.fullmatch(version_id) or int(version_id) > _LARGEST_NUMBER:
        raise InvalidParameter("version_id must be the decimal number of a version.", parameter="version_id")
    return int(version_id)
