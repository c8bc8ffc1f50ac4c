"""What people hand each other by a link to a page: files that are shared, and requests for files."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Files that anyone with its link may see and download, by the rights of the key that made it.

    ``token`` is what the link carries; ``id`` opens nothing. It has the files of its list, or those below the folder of
    ``folder_id``. ``passphrase`` is a digest. ``downloads`` counts whole files and archives.
    """

    id: str
    token: str
    organization_id: str
    workspace_id: str | None
    folder_id: str | None
    key_id: str
    user_id: str | None
    end_user: str | None
    name: str
    message: str
    passphrase: str | None
    expires_at: datetime | None
    max_downloads: int | None
    downloads: int
    last_downloaded_at: datetime | None
    created_at: datetime

    def state_at(self, now: datetime) -> str:
        """Return whether it is ``active``, ``expired`` or ``used_up``."""
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "used_up" if self.max_downloads is not None and self.downloads >= self.max_downloads else "active"


class FileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for files: anyone with its link may upload into ``folder``, by the rights of the key that made it.

    ``token`` is what the link carries; ``id`` opens nothing. ``max_size`` (bytes) and ``types`` (media types) are of one
    file. ``passphrase`` is a digest. ``received`` files have come so far, of ``received_bytes`` together.
    """

    id: str
    token: str
    organization_id: str
    workspace_id: str
    key_id: str
    user_id: str | None
    end_user: str | None
    title: str
    message: str
    folder: str
    max_size: int | None
    max_files: int | None
    types: tuple[str, ...] | None
    passphrase: str | None
    expires_at: datetime | None
    received: int
    received_bytes: int
    last_received_at: datetime | None
    created_at: datetime

    def state_at(self, now: datetime) -> str:
        """Return whether it is ``active``, ``expired`` or ``full``."""
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "full" if self.max_files is not None and self.received >= self.max_files else "active"


class SentFile(msgspec.Struct, frozen=True):
    """A file that somebody sends for a request: ``name`` is as they call it, ``arrived_at`` when all its bytes were there.

    ``upload_id`` is its upload, ``visitor`` the digest of what their browser was given to know them by.
    """

    request_id: str
    upload_id: str
    file_id: str
    name: str
    visitor: str | None
    arrived_at: datetime | None
    closed_at: datetime | None
