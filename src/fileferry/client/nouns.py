"""What the client gives back: files, versions, folders, workspaces, API keys and organizations as the server described them.

Nothing here talks.
"""

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
    organization_id: str | None = None
    workspace_id: str | None = None
    folder_id: str | None = None
    created_by: str | None = None
    """Id of the user who made the file."""
    modified_at: datetime | None = None
    modified_by: str | None = None
    """Id of the user who last uploaded or changed it."""
    deleted_at: datetime | None = None
    restorable_until: datetime | None = None
    """Until when a deleted file can be restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One content of a file as it was when the server answered. Times are aware; ``expires_at`` None means kept."""

    version_id: str
    """A decimal string that grows with every version promised in the workspace."""
    size: int
    """In bytes."""
    content_type: str
    status: str
    sha256: str | None
    crc32c: str | None
    etag: str
    url: str
    """Serves this version to anyone, without a key."""
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key. ``secret`` is known only in the answer that made it, and is never shown by ``repr``."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    organization_id: str | None
    user_id: str | None
    """Who is named as the author of what the key does."""
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
class Workspace:
    """A tree of paths in an organization."""

    workspace_id: str
    name: str
    organization_id: str
    keep_versions: int | None
    """How many versions of each file are kept; None keeps all."""
    keep_versions_for: int | None
    """Seconds that a replaced version is kept; None keeps it."""
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
    max_size: int
    """The most that may come, in bytes."""
    part_size: int | None
    parts: Mapping[int, str]
    offset: int
    """How many bytes have come as a stream, one after the other."""
    crc32c: str | None
    """Of those bytes, eight hexadecimal digits; None where there is no stream."""
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
        organization_id=said.get("organization_id"),
        workspace_id=said.get("workspace_id"),
        folder_id=said.get("folder_id"),
        created_by=said.get("created_by"),
        modified_at=_moment(said.get("modified_at")),
        modified_by=said.get("modified_by"),
        deleted_at=_moment(said.get("deleted_at")),
        restorable_until=_moment(said.get("restorable_until")),
    )


def version_from(said: Mapping[str, Any]) -> Version:
    """Return the version that an object of a file's versions describes; raise as ``file_from`` does."""
    return Version(
        version_id=said["version_id"],
        size=int(said["size"]),
        content_type=said["content_type"],
        status=said["status"],
        sha256=said["sha256"],
        crc32c=said["crc32c"],
        etag=said["etag"],
        url=said["url"],
        created_at=datetime.fromisoformat(said["created_at"]),
        created_by=said["created_by"],
        expires_at=_moment(said["expires_at"]),
        is_current=bool(said["is_current"]),
    )


def key_from(said: Mapping[str, Any]) -> ApiKey:
    """Return the key that an object of ``/api/keys`` describes; raise as ``file_from`` does."""
    return ApiKey(
        key_id=said["id"],
        name=said["name"],
        scopes=tuple(said["scopes"]),
        prefix=said["prefix"],
        organization_id=said.get("organization_id"),
        user_id=said.get("user_id"),
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


def workspace_from(said: Mapping[str, Any]) -> Workspace:
    """Return the workspace that an object of ``/api/workspaces`` describes; raise as ``file_from`` does."""
    return Workspace(
        workspace_id=said["id"],
        name=said["name"],
        organization_id=said["organization_id"],
        keep_versions=said["keep_versions"],
        keep_versions_for=said["keep_versions_for"],
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
        max_size=int(said["max_size"]),
        part_size=said["part_size"],
        offset=int(said["offset"]),
        crc32c=said["crc32c"],
        parts={int(part["part_number"]): str(part["etag"]) for part in said["parts"]},
        created_at=said["created_at"],
    )


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
