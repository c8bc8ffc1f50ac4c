"""What the client gives back: files, folders, API keys and organizations as the server described them. Nothing here talks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it was when the server answered. Times are aware; ``expires_at`` None means kept."""

    url: str
    """Serves the bytes to anyone, without a key, until the file expires or is deleted."""
    file_id: str
    expires_at: datetime | None
    name: str
    path: str
    size: int
    """In bytes."""
    content_type: str
    sha256: str | None
    """Hexadecimal; None where the server computed none."""
    crc32c: str | None
    """Eight hexadecimal digits."""
    metadata: Mapping[str, Any]
    status: str
    """``ready``, ``processing``, ``rejected``, ``expired`` or ``deleted``."""
    created_at: datetime
    version_id: str
    """A decimal string that grows with every version."""
    etag: str
    reason: str | None = None
    """Why a file was rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key. ``secret`` is known only in the answer that made it, and is never shown by ``repr``."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    organization_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant; it owns files, workspaces and keys."""

    organization_id: str
    slug: str
    name: str
    created_at: datetime
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A prefix of a workspace's paths that has an id."""

    folder_id: str
    path: str
    workspace_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An upload as the server promised it. ``parts`` are those received: their ETags, the MD5 in hex, by number."""

    upload_id: str
    file_id: str
    state: str
    """``open``, ``received``, ``completed``, ``aborted`` or ``expired``."""
    url: str
    """Takes all bytes, without a key. Secret."""
    part_url: str
    """Takes part N with ``&partNumber=N`` added. Secret."""
    size: int | None
    """In bytes, where it was announced."""
    part_size: int | None
    parts: Mapping[int, str]
    created_at: str

    @property
    def is_alive(self) -> bool:
        """Whether it can still become a file, or has become one."""
        return self.state in {"open", "received", "completed"}


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and the cursor of the next ones; None at the end."""

    items: tuple[T, ...]
    next_cursor: str | None


def file_from(said: Mapping[str, Any]) -> File:
    """Return the file that a native file object describes; raise KeyError, TypeError or ValueError otherwise."""
    return File(
        url=said["url"],
        file_id=said["id"],
        expires_at=_moment(said.get("expires_at")),
        name=said["name"],
        path=said["path"],
        size=int(said["size"]),
        content_type=said["content_type"],
        sha256=said.get("sha256"),
        crc32c=said.get("crc32c"),
        metadata=said.get("metadata") or {},
        status=said["status"],
        created_at=datetime.fromisoformat(said["created_at"]),
        version_id=said["version_id"],
        etag=said["etag"],
        reason=said.get("reason"),
    )


def key_from(said: Mapping[str, Any]) -> ApiKey:
    """Return the key that an object of ``/api/keys`` describes; raise as ``file_from`` does."""
    return ApiKey(
        key_id=said["id"],
        name=said["name"],
        scopes=tuple(said["scopes"]),
        prefix=said["prefix"],
        organization_id=said.get("organization_id"),
        created_at=datetime.fromisoformat(said["created_at"]),
        expires_at=_moment(said.get("expires_at")),
        revoked_at=_moment(said.get("revoked_at")),
        last_used_at=_moment(said.get("last_used_at")),
        secret=said.get("key"),
    )


def organization_from(said: Mapping[str, Any]) -> Organization:
    """Return the organization that an object of ``/api/organizations`` describes; raise as ``file_from`` does."""
    return Organization(
        organization_id=said["id"],
        slug=said["slug"],
        name=said["name"],
        created_at=datetime.fromisoformat(said["created_at"]),
        is_default=bool(said["is_default"]),
    )


def folder_from(said: Mapping[str, Any]) -> Folder:
    """Return the folder that an object of ``/api/folders`` describes; raise as ``file_from`` does."""
    return Folder(
        folder_id=said["id"],
        path=said["path"],
        workspace_id=said["workspace_id"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )


def ticket_from(said: Mapping[str, Any]) -> Ticket:
    """Return the ticket that an object of ``/api/uploads`` describes; raise as ``file_from`` does."""
    return Ticket(
        upload_id=said["id"],
        file_id=said["file_id"],
        state=said["state"],
        url=said["url"],
        part_url=said["part_url"],
        size=said["size"],
        part_size=said["part_size"],
        parts={int(part["part_number"]): str(part["etag"]) for part in said["parts"]},
        created_at=said["created_at"],
    )


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
