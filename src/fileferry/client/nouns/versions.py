"""One content of a file, of which it may have had several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


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
        expires_at=moment_from(said["expires_at"]),
        is_current=bool(said["is_current"]),
    )
