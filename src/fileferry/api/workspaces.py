"""The workspaces flow: files of a workspace by path and by id, with versions, restoring, and bytes that go to and come from
signed URLs. Field names are those of the flow; which client asks what first is in ``discovery``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from litestar import HttpMethod, Response, Router, delete, get, put, route
from litestar.di import Provide
from litestar.params import Dependency, Parameter

from fileferry.api.auth import acting_in
from fileferry.api.searches import Flag, parse_flag, search_of
from fileferry.api.workspace_objects import (
    URL_LIFETIME,
    DownloadableFile,
    FileListing,
    People,
    UploadAnswer,
    describe,
    listed_file,
    listing_links,
    upload_answer,
)
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import InvalidName, InvalidParameter
from fileferry.model import Principal, Search, StoredFile, clean_path
from fileferry.web.requests import AnyRequest, sent_path, whole_number
from fileferry.web.waiting import settled, standing

_PATH_PREFIX = re.compile(r"\A/+file/+v2/+orgs/+[^/]+/+workspaces/+[^/]+/+files/+path/?")
VersionId = Annotated[str | None, Parameter(description="A version's id, which is a decimal number.")]


@put("/files/path/{file_path:path}")
async def put_by_path(
    request: AnyRequest, engine: Engine, principal: Principal, workspace_id: str, version_id: VersionId = None
) -> UploadAnswer:
    """Ask for a URL that takes the next version of the file at a path; with ``version_id`` for that of an unfinished one."""
    path = _path(request)
    if version_id is not None:
        return upload_answer(
            request, engine, await engine.tickets.find_version_at(principal, workspace_id, path, _number(version_id))
        )
    promise = Promise(path=path, at_path=True, workspace=workspace_id, auto_complete=True, url_lifetime=URL_LIFETIME)
    (upload,) = await engine.tickets.open(principal, [promise])
    return upload_answer(request, engine, upload)


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
        promise = Promise(file_id=file_id, workspace=workspace_id, auto_complete=True, url_lifetime=URL_LIFETIME)
        (upload,) = await engine.tickets.open(principal, [promise])
    return Response(upload_answer(request, engine, upload))


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
    return await describe(request, engine, principal, stored, versions)


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
    return await describe(request, engine, principal, stored, versions)


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
    people = await People.of(engine, principal, found.items)
    return FileListing(
        count=len(found.items),
        limit=search.limit,
        offset=search.offset,
        total=found.total,
        links=listing_links(request, engine, search, found.total),
        files=[listed_file(request, engine, stored, people) for stored in found.items],
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
    described = await describe(request, engine, principal, restored.stored, None)
    # The flow's client reads the file from this body; others follow the redirection and read the same.
    return Response(described, status_code=303, headers={"Location": described.self_link})


def _path(request: AnyRequest) -> str:
    return clean_path(sent_path(request, _PATH_PREFIX))


def _optional_number(version_id: str | None) -> int | None:
    return None if version_id is None else _number(version_id)


def _number(version_id: str) -> int:
    number = whole_number(version_id)
    if number is None:
        raise InvalidParameter("version_id must be the decimal number of a version.", parameter="version_id")
    return number
