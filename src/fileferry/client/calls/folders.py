"""The requests about folders, as values."""

from __future__ import annotations

import httpx

from fileferry.client.calls.call import Call, given, nothing, page_of, read_as, segment, with_query
from fileferry.client.nouns.folders import Folder, folder_from
from fileferry.client.nouns.pages import Page


def id_of(folder: Folder | str) -> str:
    """Return the id of a folder that is given as itself or by its id."""
    return folder.folder_id if isinstance(folder, Folder) else folder


def create(path: str, *, workspace: str | None, organization: str | None) -> Call[Folder]:
    """Return the making of a folder, or the question for the one that is there."""
    where = with_query("/api/folders", given(workspace=workspace, organization=organization))
    return Call(method="POST", path=where, read=_folder, json={"path": path})


def list_all(*, workspace: str | None, cursor: str | None) -> Call[Page[Folder]]:
    """Return the question for one page of folders."""
    path = with_query("/api/folders", given(workspace=workspace, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("folders", folder_from))


def get(folder_id: str) -> Call[Folder]:
    """Return the question what a folder is."""
    return Call(method="GET", path=f"/api/folders/{segment(folder_id)}", read=_folder)


def delete(folder_id: str) -> Call[None]:
    """Return the deletion of an empty folder."""
    return Call(method="DELETE", path=f"/api/folders/{segment(folder_id)}", read=nothing)


def _folder(response: httpx.Response) -> Folder:
    return read_as(response, folder_from, "a folder")
