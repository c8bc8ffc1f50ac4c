"""The requests about workspaces, as values."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from fileferry.client.calls.call import (
    Call,
    Lifetime,
    Unchanged,
    given,
    lifetime_text,
    members,
    nothing,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.workspaces import Workspace, workspace_from


def create(
    name: str,
    *,
    workspace_id: str | None,
    keep_versions: int | None,
    keep_versions_for: Lifetime | None,
    limits: Mapping[str, object] | None,
    organization: Organization | str | None,
) -> Call[Workspace]:
    """Return the making of a workspace."""
    body: dict[str, object] = {"name": name, **given(id=workspace_id)}
    body |= _retention(keep_versions, keep_versions_for) | members(limits=limits)
    path = with_query("/api/workspaces", given(organization=organization))
    return Call(method="POST", path=path, read=_workspace, json=body, repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[Workspace]]:
    """Return the question for one page of workspaces."""
    path = with_query("/api/workspaces", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("workspaces", workspace_from))


def get(workspace: Workspace | str, *, organization: Organization | str | None) -> Call[Workspace]:
    """Return the question what a workspace is."""
    path = with_query(f"/api/workspaces/{segment(workspace)}", given(organization=organization))
    return Call(method="GET", path=path, read=_workspace)


def update(
    workspace: Workspace | str,
    *,
    keep_versions: int | Unchanged | None,
    keep_versions_for: Lifetime | Unchanged | None,
    limits: Mapping[str, object] | None,
    organization: Organization | str | None,
) -> Call[Workspace]:
    """Return the change of which versions a workspace keeps (None: all), and of its limits (None: lifted)."""
    path = with_query(f"/api/workspaces/{segment(workspace)}", given(organization=organization))
    body = _retention(keep_versions, keep_versions_for) | members(limits=limits)
    return Call(method="PATCH", path=path, read=_workspace, json=body)


def delete(workspace: Workspace | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the deletion of a workspace."""
    path = with_query(f"/api/workspaces/{segment(workspace)}", given(organization=organization))
    return Call(method="DELETE", path=path, read=nothing)


def _retention(
    keep_versions: int | Unchanged | None, keep_versions_for: Lifetime | Unchanged | None
) -> dict[str, object]:
    kept: dict[str, object] = {}
    if not isinstance(keep_versions, Unchanged):
        kept["keep_versions"] = keep_versions
    if not isinstance(keep_versions_for, Unchanged):
        kept["keep_versions_for"] = None if keep_versions_for is None else lifetime_text(keep_versions_for)
    return kept


def _workspace(response: httpx.Response) -> Workspace:
    return read_as(response, workspace_from, "a workspace")
