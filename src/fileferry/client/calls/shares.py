"""The requests about shares, as values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import httpx

from fileferry.client.calls.call import (
    Call,
    Lifetime,
    Unchanged,
    expiry,
    given,
    nothing,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns.files import File
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.shares import Share, share_from
from fileferry.client.nouns.workspaces import Workspace


def create(
    files: Sequence[File | str],
    *,
    folder: str | None,
    workspace: Workspace | str | None,
    name: str | None,
    message: str,
    passphrase: str | None,
    expires_in: Lifetime | None,
    expires_at: datetime | None,
    max_downloads: int | None,
    organization: Organization | str | None,
) -> Call[Share]:
    """Return the making of a share; raise InvalidExpiry for both ends at once, or a moment without a zone."""
    body: dict[str, object] = {
        "file_ids": [id_of(file) for file in files] or None,
        "folder": folder,
        "workspace": None if workspace is None else id_of(workspace),
        "name": name,
        "message": message or None,
        "passphrase": passphrase,
        "max_downloads": max_downloads,
        **expiry(expires_in, expires_at),
    }
    said = {key: value for key, value in body.items() if value is not None}
    # Repeated after a lost answer it would leave another link, which nobody knows and nobody would end.
    path = with_query("/api/shares", given(organization=organization))
    return Call(method="POST", path=path, read=_share, json=said, repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[Share]]:
    """Return the question for one page of shares."""
    path = with_query("/api/shares", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("shares", share_from))


def get(share: Share | str, *, organization: Organization | str | None) -> Call[Share]:
    """Return the question what a share is."""
    return Call(method="GET", path=_path(share, organization), read=_share)


def update(
    share: Share | str,
    *,
    files: Sequence[File | str] | Unchanged,
    name: str | Unchanged,
    message: str | Unchanged,
    passphrase: str | Unchanged | None,
    expires_in: Lifetime | None,
    expires_at: datetime | Unchanged | None,
    max_downloads: int | Unchanged | None,
    organization: Organization | str | None,
) -> Call[Share]:
    """Return the change of a share; None lifts its passphrase, its end or its bound."""
    body: dict[str, object] = {
        "file_ids": files if isinstance(files, Unchanged) else [id_of(file) for file in files],
        "name": name,
        "message": message,
        "passphrase": passphrase,
        "max_downloads": max_downloads,
    }
    changes = {key: value for key, value in body.items() if not isinstance(value, Unchanged)}
    changes |= changed_end(expires_in, expires_at)
    return Call(method="PATCH", path=_path(share, organization), read=_share, json=changes)


def delete(share: Share | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the end of a share."""
    return Call(method="DELETE", path=_path(share, organization), read=nothing)


def changed_end(expires_in: Lifetime | None, expires_at: datetime | Unchanged | None) -> dict[str, object]:
    """Return how a new end is said; None for ``expires_at`` lifts it."""
    if isinstance(expires_at, Unchanged):
        return dict(expiry(expires_in, None))
    if expires_at is None and expires_in is None:
        return {"expires_at": None}
    return dict(expiry(expires_in, expires_at))


def _path(share: Share | str, organization: Organization | str | None) -> str:
    return with_query(f"/api/shares/{segment(share)}", given(organization=organization))


def _share(response: httpx.Response) -> Share:
    return read_as(response, share_from, "a share")
