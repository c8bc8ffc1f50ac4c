"""A share: a page with files for whoever has its link, as the server described it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Files that anyone with ``url`` may see and download, as long as the key that made it may read them."""

    share_id: str
    url: str
    name: str
    message: str
    state: str
    """``active``, ``expired`` or ``used_up``."""
    file_ids: tuple[str, ...]
    folder: str | None
    """The folder that is shared with all below it; None where it is a list of files."""
    workspace_id: str | None
    has_passphrase: bool
    expires_at: datetime | None
    max_downloads: int | None
    downloads: int
    """How often a file, or all of them as an archive, was downloaded whole."""
    last_downloaded_at: datetime | None
    organization_id: str
    key_id: str
    end_user: str | None
    created_at: datetime


def share_from(said: Mapping[str, Any]) -> Share:
    """Return the share that an object of ``/api/shares`` describes; raise as ``file_from`` does."""
    return Share(
        share_id=said["id"],
        url=said["url"],
        name=said["name"],
        message=said["message"],
        state=said["state"],
        file_ids=tuple(said["file_ids"]),
        folder=said["folder"],
        workspace_id=said["workspace_id"],
        has_passphrase=bool(said["has_passphrase"]),
        expires_at=moment_from(said["expires_at"]),
        max_downloads=said["max_downloads"],
        downloads=int(said["downloads"]),
        last_downloaded_at=moment_from(said["last_downloaded_at"]),
        organization_id=said["organization_id"],
        key_id=said["key_id"],
        end_user=said["end_user"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )
