"""A file as the server described it: where it is, what it is, what scanning it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What scanning a file for malware came to."""

    outcome: str
    """``clean``, ``infected``, ``skipped_too_large``, ``skipped_encrypted``, ``skipped_unsupported``, ``skipped_disabled`` or
    ``error``."""
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
    at_path: bool | None = None
    """Whether it is the one file at its path; False for a hand-off, which may share its name. None: an older server."""
    fetches_left: int | None = None
    """How often it may still be fetched whole; None for any number."""
    scan: Scan | None = None
    """None while it is being judged."""

    @property
    def is_under_way(self) -> bool:
        """Whether it is still to be known if it will be ready."""
        return self.status in {"pending", "received", "processing"}


def file_from(said: Mapping[str, Any]) -> File:
    """Return the file that a native file object describes; raise KeyError, TypeError or ValueError otherwise."""
    return File(
        url=said["url"],
        file_id=said["id"],
        expires_at=moment_from(said.get("expires_at")),
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
        modified_at=moment_from(said.get("modified_at")),
        modified_by=said.get("modified_by"),
        deleted_at=moment_from(said.get("deleted_at")),
        restorable_until=moment_from(said.get("restorable_until")),
        at_path=said.get("at_path"),
        fetches_left=said.get("fetches_left"),
        scan=None if said.get("scan") is None else _scan_from(said["scan"]),
    )


def _scan_from(said: Mapping[str, Any]) -> Scan:
    return Scan(
        outcome=said["outcome"],
        detail=said["detail"],
        engine=said["engine"],
        signatures=said["signatures"],
        signatures_at=moment_from(said["signatures_at"]),
        started_at=moment_from(said["started_at"]),
        ended_at=moment_from(said["ended_at"]),
    )
