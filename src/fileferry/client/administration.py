"""The requests about workspaces, API keys and organizations, as values; see ``call``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import httpx

from fileferry.client.call import (
    Call,
    Lifetime,
    Unchanged,
    expiry,
    given,
    lifetime_text,
    nothing,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns import ApiKey, Organization, Page, Workspace, key_from, organization_from, workspace_from


def workspace_id_of(workspace: Workspace | str) -> str:
    """Return the id, or name, of a workspace that is given as itself or by either."""
    return workspace.workspace_id if isinstance(workspace, Workspace) else workspace


def create_workspace(
    name: str,
    *,
    workspace_id: str | None,
    keep_versions: int | None,
    keep_versions_for: Lifetime | None,
    limits: Mapping[str, object] | None,
    organization: str | None,
) -> Call[Workspace]:
    """Return the making of a workspace."""
    body: dict[str, object] = {"name": name, **given(id=workspace_id)}
    body |= _retention(keep_versions, keep_versions_for) | _said(limits=limits)
    path = with_query("/api/workspaces", given(organization=organization))
    return Call(method="POST", path=path, read=_workspace, json=body, repeatable=False)


def list_workspaces(*, organization: str | None, cursor: str | None) -> Call[Page[Workspace]]:
    """Return the question for one page of workspaces."""
    path = with_query("/api/workspaces", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("workspaces", workspace_from))


def get_workspace(id_or_name: str, *, organization: str | None) -> Call[Workspace]:
    """Return the question what a workspace is."""
    path = with_query(f"/api/workspaces/{segment(id_or_name)}", given(organization=organization))
    return Call(method="GET", path=path, read=_workspace)


def update_workspace(
    id_or_name: str,
    *,
    keep_versions: int | Unchanged | None,
    keep_versions_for: Lifetime | Unchanged | None,
    limits: Mapping[str, object] | None,
    organization: str | None,
) -> Call[Workspace]:
    """Return the change of which versions a workspace keeps (None: all), and of its limits (None: lifted)."""
    path = with_query(f"/api/workspaces/{segment(id_or_name)}", given(organization=organization))
    body = _retention(keep_versions, keep_versions_for) | _said(limits=limits)
    return Call(method="PATCH", path=path, read=_workspace, json=body)


def create_key(
    name: str,
    *,
    scopes: Iterable[str],
    organization: str | None,
    expires_in: Lifetime | None,
    user_id: str | None,
    user_name: str | None,
    user_email: str | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | None,
    on_behalf_of: Iterable[str] | None,
) -> Call[ApiKey]:
    """Return the making of a key; never repeated after a lost answer, which would leave a key nobody holds."""
    path = with_query("/api/keys", given(organization=organization))
    body: dict[str, object] = {"name": name, "scopes": list(scopes)}
    if user := given(id=user_id, name=user_name, email=user_email):
        body["user"] = user
    named = None if on_behalf_of is None else list(on_behalf_of)
    body |= _said(limits=limits, path_prefix=path_prefix, on_behalf_of=named)
    return Call(method="POST", path=path, read=_key, json=body | expiry(expires_in, None), repeatable=False)


def list_keys(*, cursor: str | None) -> Call[Page[ApiKey]]:
    """Return the question for one page of keys."""
    return Call(method="GET", path=with_query("/api/keys", given(cursor=cursor)), read=page_of("keys", key_from))


def get_key(key_id: str) -> Call[ApiKey]:
    """Return the question what a key is."""
    return Call(method="GET", path=f"/api/keys/{segment(key_id)}", read=_key)


def update_key(
    key_id: str,
    *,
    name: str | None,
    scopes: Iterable[str] | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | Unchanged | None,
    on_behalf_of: Iterable[str] | Unchanged | None,
) -> Call[ApiKey]:
    """Return the change of what a key may do; None lifts what confines it."""
    body = _said(name=name, scopes=None if scopes is None else list(scopes), limits=limits)
    if not isinstance(path_prefix, Unchanged):
        body["path_prefix"] = path_prefix
    if not isinstance(on_behalf_of, Unchanged):
        body["on_behalf_of"] = None if on_behalf_of is None else list(on_behalf_of)
    return Call(method="PATCH", path=f"/api/keys/{segment(key_id)}", read=_key, json=body)


def revoke_key(key_id: str) -> Call[None]:
    """Return the revocation of a key, which counts at once."""
    return Call(method="DELETE", path=f"/api/keys/{segment(key_id)}", read=nothing)


def rotate_key(key_id: str, *, grace: Lifetime | None) -> Call[ApiKey]:
    """Return the renewal of a key's secret; the old one stays valid for ``grace``."""
    body = {} if grace is None else {"grace": lifetime_text(grace)}
    return Call(method="POST", path=f"/api/keys/{segment(key_id)}/rotate", read=_key, json=body, repeatable=False)


def create_organization(slug: str, *, name: str | None, organization_id: str | None) -> Call[Organization]:
    """Return the making of an organization."""
    body: dict[str, object] = {"slug": slug, **given(name=name, id=organization_id)}
    return Call(method="POST", path="/api/organizations", read=_organization, json=body, repeatable=False)


def get_organization(id_or_slug: str) -> Call[Organization]:
    """Return the question what an organization is."""
    return Call(method="GET", path=f"/api/organizations/{segment(id_or_slug)}", read=_organization)


def update_organization(
    id_or_slug: str, *, limits: Mapping[str, object] | None, end_user_limits: Mapping[str, object] | None
) -> Call[Organization]:
    """Return the change of limits, of all that an organization has or of each end user; None lifts one."""
    path = f"/api/organizations/{segment(id_or_slug)}"
    body = _said(limits=limits, end_user_limits=end_user_limits)
    return Call(method="PATCH", path=path, read=_organization, json=body)


def list_organizations(*, cursor: str | None) -> Call[Page[Organization]]:
    """Return the question for one page of organizations."""
    path = with_query("/api/organizations", given(cursor=cursor))
    return Call(method="GET", path=path, read=page_of("organizations", organization_from))


def _said(**members: object) -> dict[str, object]:
    """Return the members of a body that are given."""
    return {name: value for name, value in members.items() if value is not None}


def _retention(
    keep_versions: int | Unchanged | None, keep_versions_for: Lifetime | Unchanged | None
) -> dict[str, object]:
    kept: dict[str, object] = {}
    if not isinstance(keep_versions, Unchanged):
        kept["keep_versions"] = keep_versions
    if not isinstance(keep_versions_for, Unchanged):
        kept["keep_versions_for"] = None if keep_versions_for is None else lifetime_text(keep_versions_for)
    return kept


def _key(response: httpx.Response) -> ApiKey:
    return read_as(response, key_from, "an API key")


def _organization(response: httpx.Response) -> Organization:
    return read_as(response, organization_from, "an organization")


def _workspace(response: httpx.Response) -> Workspace:
    return read_as(response, workspace_from, "a workspace")
