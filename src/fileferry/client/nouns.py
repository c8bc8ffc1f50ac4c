"""What the client gives back, as the server described it: files, versions, events, folders, workspaces, keys, webhooks and more.

Nothing here talks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What scanning a file for malware came to."""

    outcome: str
    """``clean``, ``infected``, ``skipped_too_large``, ``skipped_encrypted``, ``skipped_disabled`` or ``error``."""
    detail: str | None
    """What was found, or what went wrong."""
    engine: str | None
    signatures: str | None
    signatures_at: datetime | None
    """Of when the signatures were."""
    started_at: datetime | None
    ended_at: datetime | None


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
    end_user: str | None = None
    """The end user whose file it is."""
    created_by: str | None = None
    """Id of the user who made the file."""
    modified_at: datetime | None = None
    modified_by: str | None = None
    """Id of the user who last uploaded or changed it."""
    deleted_at: datetime | None = None
    restorable_until: datetime | None = None
    """Until when a deleted file can be restored."""
    fetches_left: int | None = None
    """How often it may still be fetched whole; None for any number."""
    scan: Scan | None = None
    """None while it is being judged."""

    @property
    def is_under_way(self) -> bool:
        """Whether it is still to be known if it will be ready."""
        return self.status in {"pending", "received", "processing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a file. ``reset`` happened to none: events before it may have been missed."""

    event_id: str
    """Go on after it with ``events(after=…)``."""
    type: str
    """``file.ready``, ``file.rejected``, ``file.fetched``, ``file.expired``, ``file.deleted`` and so on, or ``reset``."""
    timestamp: datetime | None
    organization_id: str | None
    data: Mapping[str, Any]
    """The file as it was then: ``file_id``, ``name``, ``path``, ``status``, …"""


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
class Usage:
    """What is kept by now of what ``max_bytes`` and ``max_files`` limit."""

    bytes: int
    files: int
    """Each version of a file counts as one."""


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
    path_prefix: str | None = None
    """The folder that it is confined to."""
    on_behalf_of: tuple[str, ...] | None = None
    """The end users that it may act for, one of which every request must name; ``*`` is any."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What it may do at most, by the names of the native API; those that are not set are left out."""
    usage: Usage | None = None
    """What was uploaded with it and is kept, where it has a limit on that."""
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant; it owns files, workspaces and keys."""

    organization_id: str
    slug: str
    name: str
    created_at: datetime
    is_default: bool
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for all that it has, by the names of the native API."""
    end_user_limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for each of its end users."""
    usage: Usage | None = None
    """What it keeps, where it has a limit on that."""


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
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for each file, and for all together, by the names of the native API."""
    usage: Usage | None = None
    """What it keeps, where it has a limit on that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A prefix of a workspace's paths that has an id."""

    folder_id: str
    path: str
    workspace_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom an organization wants its events sent to."""

    webhook_id: str
    url: str
    types: tuple[str, ...] | None
    """The events that it wants; None is all of them."""
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    old_secret_until: datetime | None
    """Until when the secret before the last rotation signs too."""
    organization_id: str
    created_at: datetime
    secret: str | None = field(default=None, repr=False)
    """What verifies the signatures: in the answers of ``create`` and ``rotate`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event on its way to a webhook, as its log had it when the server answered."""

    delivery_id: str
    webhook_id: str
    message_id: str
    """The ``webhook-id`` that is sent, the same at every attempt."""
    event_id: str | None
    """None for a test."""
    type: str
    file_id: str | None
    state: str
    """``pending``, ``delivered`` or ``failed``."""
    attempts: int
    last_attempt_at: datetime | None
    last_status: int | None
    """The HTTP status that the last attempt was answered with."""
    last_error: str | None
    """What the last attempt failed for."""
    next_attempt_at: datetime | None
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
        end_user=said.get("end_user"),
        created_by=said.get("created_by"),
        modified_at=_moment(said.get("modified_at")),
        modified_by=said.get("modified_by"),
        deleted_at=_moment(said.get("deleted_at")),
        restorable_until=_moment(said.get("restorable_until")),
        fetches_left=said.get("fetches_left"),
        scan=None if said.get("scan") is None else _scan_from(said["scan"]),
    )


def event_from(said: Mapping[str, Any]) -> Event:
    """Return the event that an object of ``/api/events`` describes; raise as ``file_from`` does."""
    return Event(
        event_id=said["id"],
        type=said["type"],
        timestamp=_moment(said.get("timestamp")),
        organization_id=said.get("organization_id"),
        data=said.get("data") or {},
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
        path_prefix=said.get("path_prefix"),
        on_behalf_of=None if said.get("on_behalf_of") is None else tuple(said["on_behalf_of"]),
        limits=_limits(said.get("limits")),
        usage=_usage(said.get("usage")),
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
        limits=_limits(said.get("limits")),
        end_user_limits=_limits(said.get("end_user_limits")),
        usage=_usage(said.get("usage")),
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
        limits=_limits(said.get("limits")),
        usage=_usage(said.get("usage")),
    )


def _limits(said: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (said or {}).items() if value is not None}


def _usage(said: Mapping[str, Any] | None) -> Usage | None:
    return None if said is None else Usage(bytes=said["bytes"], files=said["files"])


def folder_from(said: Mapping[str, Any]) -> Folder:
    """Return the folder that an object of ``/api/folders`` describes; raise as ``file_from`` does."""
    return Folder(
        folder_id=said["id"],
        path=said["path"],
        workspace_id=said["workspace_id"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )


def webhook_from(said: Mapping[str, Any]) -> Webhook:
    """Return the webhook that an object of ``/api/webhooks`` describes; raise as ``file_from`` does."""
    return Webhook(
        webhook_id=said["id"],
        url=said["url"],
        types=None if said["types"] is None else tuple(said["types"]),
        enabled=bool(said["enabled"]),
        disabled_at=_moment(said["disabled_at"]),
        disabled_reason=said["disabled_reason"],
        old_secret_until=_moment(said["old_secret_until"]),
        organization_id=said["organization_id"],
        created_at=datetime.fromisoformat(said["created_at"]),
        secret=said.get("secret"),
    )


def delivery_from(said: Mapping[str, Any]) -> Delivery:
    """Return the delivery that an object of a webhook's deliveries describes; raise as ``file_from`` does."""
    return Delivery(
        delivery_id=said["id"],
        webhook_id=said["webhook_id"],
        message_id=said["message_id"],
        event_id=said["event_id"],
        type=said["type"],
        file_id=said["file_id"],
        state=said["state"],
        attempts=int(said["attempts"]),
        last_attempt_at=_moment(said["last_attempt_at"]),
        last_status=said["last_status"],
        last_error=said["last_error"],
        next_attempt_at=_moment(said["next_attempt_at"]),
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


def _scan_from(said: Mapping[str, Any]) -> Scan:
    return Scan(
        outcome=said["outcome"],
        detail=said["detail"],
        engine=said["engine"],
        signatures=said["signatures"],
        signatures_at=_moment(said["signatures_at"]),
        started_at=_moment(said["started_at"]),
        ended_at=_moment(said["ended_at"]),
    )


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
