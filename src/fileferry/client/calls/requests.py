"""The requests about requests for files, as values."""

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
from fileferry.client.calls.shares import changed_end
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.requests import FileRequest, SentFile, request_from, sent_file_from
from fileferry.client.nouns.workspaces import Workspace


def create(
    title: str,
    *,
    message: str,
    folder: str | None,
    workspace: Workspace | str | None,
    max_size: int | str | None,
    max_files: int | None,
    types: Sequence[str] | None,
    passphrase: str | None,
    expires_in: Lifetime | None,
    expires_at: datetime | None,
    organization: Organization | str | None,
) -> Call[FileRequest]:
    """Return the making of a request; raise InvalidExpiry for both ends at once, or a moment without a zone."""
    body: dict[str, object] = {
        "title": title,
        "message": message or None,
        "folder": folder,
        "workspace": None if workspace is None else id_of(workspace),
        "max_size": max_size,
        "max_files": max_files,
        "types": None if types is None else list(types),
        "passphrase": passphrase,
        **expiry(expires_in, expires_at),
    }
    said = {key: value for key, value in body.items() if value is not None}
    # Repeated after a lost answer it would leave another link, which nobody knows and nobody would end.
    path = with_query("/api/requests", given(organization=organization))
    return Call(method="POST", path=path, read=_request, json=said, repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[FileRequest]]:
    """Return the question for one page of requests."""
    path = with_query("/api/requests", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("requests", request_from))


def get(request: FileRequest | str, *, organization: Organization | str | None) -> Call[FileRequest]:
    """Return the question what a request is."""
    return Call(method="GET", path=_path(request, "", organization), read=_request)


def files(
    request: FileRequest | str, *, organization: Organization | str | None, cursor: str | None
) -> Call[Page[SentFile]]:
    """Return the question for one page of what has come for a request."""
    path = _path(request, "/files", organization, cursor=cursor)
    return Call(method="GET", path=path, read=page_of("files", sent_file_from))


def update(
    request: FileRequest | str,
    *,
    title: str | Unchanged,
    message: str | Unchanged,
    max_size: int | str | Unchanged | None,
    max_files: int | Unchanged | None,
    types: Sequence[str] | Unchanged | None,
    passphrase: str | Unchanged | None,
    expires_in: Lifetime | None,
    expires_at: datetime | Unchanged | None,
    organization: Organization | str | None,
) -> Call[FileRequest]:
    """Return the change of a request; None lifts a limit, its passphrase or its end."""
    body: dict[str, object] = {
        "title": title,
        "message": message,
        "max_size": max_size,
        "max_files": max_files,
        "types": types if types is None or isinstance(types, Unchanged) else list(types),
        "passphrase": passphrase,
    }
    changes = {key: value for key, value in body.items() if not isinstance(value, Unchanged)}
    changes |= changed_end(expires_in, expires_at)
    return Call(method="PATCH", path=_path(request, "", organization), read=_request, json=changes)


def delete(request: FileRequest | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the end of a request."""
    return Call(method="DELETE", path=_path(request, "", organization), read=nothing)


def _path(request: FileRequest | str, rest: str, organization: Organization | str | None, **query: str | None) -> str:
    return with_query(f"/api/requests/{segment(request)}{rest}", given(organization=organization, **query))


def _request(response: httpx.Response) -> FileRequest:
    return read_as(response, request_from, "a request")
