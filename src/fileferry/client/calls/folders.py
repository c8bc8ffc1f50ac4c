"""The requests about folders, as values."""

from __future__ import annotations

import httpx

from fileferry.client.calls.call import Call, given, nothing, page_of, read_as, segment, with_query
from fileferry.client.nouns.folders import Folder, folder_from
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.workspaces import Workspace


def create(path: str, *, workspace: Workspace | str | None, organization: Organization | str | None) -> Call[Folder]:
    """Return the making of a folder, or the question for the one that is there."""
    where = with_query("/api/folders", given(workspace=workspace, organization=organization))
    return Call(method="POST", path=where, read=_folder, json={"path": path})


def list_all(
    *, workspace: Workspace | str | None, organization: Organization | str | None, cursor: str | None
) -> Call[Page[Folder]]:
    """Return the question for one page of folders."""
    path = with_query("/api/folders", given(workspace=workspace, organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("folders", folder_from))


def get(folder: Folder | str, *, organization: Organization | str | None) -> Call[Folder]:
    """Return the question what a folder is."""
    return Call(method="GET", path=_path(folder, organization), read=_folder)


def delete(folder: Folder | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the deletion of an empty folder."""
    return Call(method="DELETE", path=_path(folder, organization), read=nothing)


def _path(folder: Folder | str, organization: Organization | str | None) -> str:
    return with_query(f"/api/folders/{segment(folder)}", given(organization=organization))


def _folder(response: httpx.Response) -> Folder:
    return read_as(response, folder_from, "a folder")
