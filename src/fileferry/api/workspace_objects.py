"""What the workspaces flow shows: files, versions, listings and who did what, in the names of the flow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec

from fileferry.api.searches import page_link
from fileferry.engine.engine import Engine
from fileferry.errors import NotFound
from fileferry.model import (
    Principal,
    Search,
    State,
    StoredFile,
    Upload,
    User,
    Version,
    format_optional_time,
    format_time,
)
from fileferry.web.requests import AnyRequest, base_url, download_url, upload_url

URL_LIFETIME = timedelta(minutes=30)


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
    async def of(
        cls, engine: Engine, principal: Principal, files: Iterable[StoredFile], versions: Iterable[Version] = ()
    ) -> People:
        """Look up everyone who created, modified or deleted one of these, as far as the principal may know who they are."""
        ids = {
            id for stored in files for id in (stored.file.created_by, stored.file.modified_by, stored.file.deleted_by)
        }
        ids |= {version.created_by for version in versions}
        return cls(await engine.organizations.users(principal, ids))

    def show(self, id: str | None) -> UserObject | None:
        """Return a user as the flow shows it, None for nobody."""
        if id is None:
            return None
        user = self._known.get(id)
        return UserObject(id, user.name, user.email) if user else UserObject(id, None, None)


def _refuse_unjudged(stored: StoredFile) -> None:
    """Raise NotFound for what is not there yet in this flow, or never will be: a version that is still judged, or was rejected."""
    if stored.version.state is State.PROCESSING:
        raise NotFound("This version is still being checked.")
    if stored.version.state is State.REJECTED:
        raise NotFound(f"This version was rejected: {stored.version.reason}.")


async def describe(
    request: AnyRequest, engine: Engine, principal: Principal, stored: StoredFile, versions: list[Version] | None
) -> DownloadableFile:
    """Show a file with a URL to download it, and its versions where they are given; raises NotFound for what is not ready."""
    _refuse_unjudged(stored)
    people = await People.of(engine, principal, [stored], versions or ())
    return DownloadableFile(
        **_fields(stored, people),
        path=_path_of(stored),
        download=download_url(request, engine, principal, stored, URL_LIFETIME),
        self_link=_self_link(request, engine, stored, stored.version),
        versions=None if versions is None else [_version(request, engine, stored, one, people) for one in versions],
    )


def listed_file(request: AnyRequest, engine: Engine, stored: StoredFile, people: People) -> ListedFile:
    """Show a file as a list does."""
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


def listing_links(request: AnyRequest, engine: Engine, search: Search, total: int) -> ListingLinks:
    """Return the links to this page of a list and its neighbours."""
    end = search.offset + search.limit
    return ListingLinks(
        next=page_link(request, engine, search.limit, end) if end < total else None,
        prev=page_link(request, engine, search.limit, max(0, search.offset - search.limit)) if search.offset else None,
        self_link=page_link(request, engine, search.limit, search.offset),
    )


def upload_answer(request: AnyRequest, engine: Engine, upload: Upload) -> UploadAnswer:
    """Show where the bytes of a promised version go."""
    return UploadAnswer(upload.file_id, str(upload.number), upload_url(request, engine, upload, URL_LIFETIME))
