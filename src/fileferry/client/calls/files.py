"""The requests about files and their versions, as values; how they come to be is in ``uploads``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import httpx

from fileferry.client.calls.call import (
    UNCHANGED,
    Call,
    Lifetime,
    Unchanged,
    given,
    lifetime_text,
    metadata_text,
    moment_text,
    nothing,
    page_of,
    quoted_path,
    read_as,
    segment,
    with_query,
)
from fileferry.client.connection import Connection
from fileferry.client.nouns.files import File, file_from
from fileferry.client.nouns.links import Link, link_from
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.versions import Version, version_from
from fileferry.client.nouns.workspaces import Workspace
from fileferry.errors import InvalidParameter, NotFound

T = TypeVar("T")


def get(
    file: File | str,
    *,
    version: Version | str | None = None,
    organization: Organization | str | None = None,
    wait: float | None = None,
) -> Call[File]:
    """Return the question what a file is now, or was as another version; ``wait`` is as in ``waiting``."""
    query = given(version_id=version, organization=organization)
    return waiting(Call(method="GET", path=with_query(f"/api/files/{segment(file)}", query), read=read_file), wait)


def find(
    path: str,
    *,
    workspace: Workspace | str | None,
    version: Version | str | None,
    organization: Organization | str | None,
) -> Call[File]:
    """Return the question what the file at a path is now, or was as another version."""
    query = given(workspace=workspace, version_id=version, organization=organization)
    return Call(method="GET", path=with_query(_address_at(path), query), read=read_file)


def waiting(question: Call[T], seconds: float | None) -> Call[T]:
    """Return a question whose answer may be put off so long, a minute at most, until the file is ready or not to be."""
    return replace(question, headers={**question.headers, **preference(seconds)}, seconds=seconds or 0.0)


def preference(seconds: float | None) -> dict[str, str]:
    """Return the header by which an answer may be put off so long, in whole seconds; none for None."""
    return {} if seconds is None else {"Prefer": f"wait={math.ceil(max(0.0, seconds))}"}


def list_all(
    *,
    prefix: str | None,
    workspace: Workspace | str | None,
    organization: Organization | str | None,
    deleted: bool,
    shelf: Mapping[str, str],
    page_size: int | None,
    cursor: str | None,
) -> Call[Page[File]]:
    """Return the question for one page of files, or of those that can be restored; ``shelf`` says which and in what order."""
    query = given(
        prefix=prefix,
        workspace=workspace,
        organization=organization,
        deleted="true" if deleted else None,
        cursor=cursor,
        limit=page_size,
    )
    return Call(method="GET", path=with_query("/api/files", {**query, **shelf}), read=page_of("files", file_from))


def versions(file: File | str, *, organization: Organization | str | None) -> Call[tuple[Version, ...]]:
    """Return the question for all versions of a file."""
    path = with_query(f"/api/files/{segment(file)}/versions", given(organization=organization))
    return Call(method="GET", path=path, read=_versions)


def delete_version(file: File | str, version: Version | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the deletion of a version."""
    path = f"/api/files/{segment(file)}/versions/{segment(version)}"
    return Call(method="DELETE", path=with_query(path, given(organization=organization)), read=nothing)


def update(
    file: File | str,
    *,
    name: str | Unchanged = UNCHANGED,
    path: str | Unchanged = UNCHANGED,
    expires_in: Lifetime | Unchanged | None = UNCHANGED,
    expires_at: datetime | Unchanged | None = UNCHANGED,
    metadata: Mapping[str, object] | Unchanged = UNCHANGED,
    organization: Organization | str | None = None,
) -> Call[File]:
    """Return the change of a file's name, path, expiry (None: keep it) or metadata."""
    changes: dict[str, object] = {}
    if not isinstance(name, Unchanged):
        changes["name"] = name
    if not isinstance(path, Unchanged):
        changes["path"] = path
    if not isinstance(expires_in, Unchanged):
        # Only expires_at has a null that means "keep".
        changes |= {"expires_at": None} if expires_in is None else {"expires_in": lifetime_text(expires_in)}
    if not isinstance(expires_at, Unchanged):
        changes["expires_at"] = None if expires_at is None else moment_text(expires_at)
    if not isinstance(metadata, Unchanged):
        changes["metadata"] = json.loads(metadata_text(metadata))
    where = with_query(f"/api/files/{segment(file)}", given(organization=organization))
    return Call(method="PATCH", path=where, read=read_file, json=changes)


def delete(file: File | str, *, permanent: bool = False, organization: Organization | str | None = None) -> Call[None]:
    """Return the deletion of a file."""
    query = given(permanent="true" if permanent else None, organization=organization)
    return Call(method="DELETE", path=with_query(f"/api/files/{segment(file)}", query), read=nothing)


def delete_at(path: str, *, workspace: Workspace | str | None, organization: Organization | str | None) -> Call[None]:
    """Return the deletion of the file at a path."""
    query = given(workspace=workspace, organization=organization)
    return Call(method="DELETE", path=with_query(_address_at(path), query), read=nothing)


def link(
    file: File | str,
    *,
    expires_in: Lifetime | None,
    version: Version | str | None,
    url_style: str | None,
    organization: Organization | str | None,
) -> Call[Link]:
    """Return the request for a signed or short URL that a version can be fetched from for a time."""
    body = {} if expires_in is None else {"expires_in": lifetime_text(expires_in)}
    path = with_query(f"/api/files/{segment(file)}/links", given(organization=organization))
    return Call(method="POST", path=path, read=_link, json=body | given(version_id=version, url_style=url_style))


def restore(file: File | str, version: Version | str | None, *, organization: Organization | str | None) -> Call[File]:
    """Return the request to take a file's deletion back, or to make an old version the current one again."""
    which = "" if version is None else f"/versions/{segment(version)}"
    path = with_query(f"/api/files/{segment(file)}{which}/restore", given(organization=organization))
    # Repeated after a lost answer, bringing a version back would make one more.
    return Call(method="POST", path=path, read=read_file, repeatable=version is None)


def content_of(
    file: File | str,
    connection: Connection,
    *,
    version: Version | str | None = None,
    organization: Organization | str | None = None,
) -> tuple[str, dict[str, str]]:
    """Return the address of a file's bytes and the headers it needs: the key goes with an id, never to a URL."""
    if version is not None and isinstance(file, File):
        file = file.file_id
    url = file.url if isinstance(file, File) else file
    if "://" not in url:
        query = given(version_id=version, organization=organization)
        return connection.to(with_query(f"/api/files/{segment(url)}/content", query)), connection.authorization()
    if version is not None:
        raise InvalidParameter("A URL is for one version: give the file or its id to choose another.")
    return url, {}


def is_at(file: File, path: str) -> bool:
    """Return whether a file is at exactly this path."""
    return file.path == path.removeprefix("/")


def deleted_last(deleted: Sequence[File], path: str) -> File:
    """Return which of the files that were deleted at a path was deleted last; raise NotFound for none."""
    if not deleted:
        raise NotFound(f"No file that was deleted at {path!r} can be restored.")
    return max(deleted, key=lambda file: file.deleted_at or file.created_at)


def _address_at(path: str) -> str:
    # A path may begin with a slash, as a command line writes it; a second one would be an empty name.
    return f"/api/files/path/{quoted_path(path.removeprefix('/'))}"


def read_file(response: httpx.Response) -> File:
    """Read an answer that is a file."""
    return read_as(response, file_from, "a file")


def _link(response: httpx.Response) -> Link:
    return read_as(response, link_from, "a link")


def _versions(response: httpx.Response) -> tuple[Version, ...]:
    return read_as(response, lambda said: tuple(version_from(item) for item in said["versions"]), "a list of versions")
