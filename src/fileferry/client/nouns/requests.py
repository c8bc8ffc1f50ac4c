"""A request for files: a page by which people without a key upload, as the server described it, and what has come by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRequest:
    """A link by which anyone uploads into ``folder``, as long as the key that made it may."""

    request_id: str
    url: str
    title: str
    message: str
    state: str
    """``active``, ``expired`` or ``full``."""
    folder: str
    workspace_id: str
    max_size: int | None
    """Bytes of one file."""
    max_files: int | None
    types: tuple[str, ...] | None
    """The media types that are taken; None is all."""
    has_passphrase: bool
    expires_at: datetime | None
    received: int
    """How many files have come, of ``received_bytes`` together."""
    received_bytes: int
    last_received_at: datetime | None
    organization_id: str
    key_id: str
    end_user: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file that has come for a request."""

    file_id: str
    name: str
    """As its sender called it; its path may end with another name."""
    status: str | None
    """That of the file; None once it is no more."""
    reason: str | None
    size: int | None
    arrived_at: datetime | None


def request_from(said: Mapping[str, Any]) -> FileRequest:
    """Return the request that an object of ``/api/requests`` describes; raise as ``file_from`` does."""
    return FileRequest(
        request_id=said["id"],
        url=said["url"],
        title=said["title"],
        message=said["message"],
        state=said["state"],
        folder=said["folder"],
        workspace_id=said["workspace_id"],
        max_size=said["max_size"],
        max_files=said["max_files"],
        types=None if said["types"] is None else tuple(said["types"]),
        has_passphrase=bool(said["has_passphrase"]),
        expires_at=moment_from(said["expires_at"]),
        received=int(said["received"]),
        received_bytes=int(said["received_bytes"]),
        last_received_at=moment_from(said["last_received_at"]),
        organization_id=said["organization_id"],
        key_id=said["key_id"],
        end_user=said["end_user"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )


def sent_file_from(said: Mapping[str, Any]) -> SentFile:
    """Return the file that an object of a request's files describes; raise as ``file_from`` does."""
    return SentFile(
        file_id=said["file_id"],
        name=said["name"],
        status=said["status"],
        reason=said["reason"],
        size=said["size"],
        arrived_at=moment_from(said["arrived_at"]),
    )
