"""What is kept: files, their versions, and what is known of the bytes."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec


class State(enum.StrEnum):
    """Where a version stands on its journey; only the engine moves it."""

    PENDING = "pending"
    RECEIVED = "received"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DELETED = "deleted"


class ScanOutcome(enum.StrEnum):
    """What a scan for malware came to. Only ``clean`` says that the bytes were looked at and nothing was found."""

    CLEAN = "clean"
    INFECTED = "infected"
    SKIPPED_TOO_LARGE = "skipped_too_large"
    SKIPPED_ENCRYPTED = "skipped_encrypted"
    SKIPPED_UNSUPPORTED = "skipped_unsupported"
    SKIPPED_DISABLED = "skipped_disabled"
    ERROR = "error"


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """The scan of a version: its outcome, what was found or went wrong, and by which engine with signatures of when."""

    outcome: ScanOutcome
    detail: str | None = None
    engine: str | None = None
    signatures: str | None = None
    signatures_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Digests(msgspec.Struct, frozen=True):
    """What was computed over the bytes of a version, as lower-case hex; CRC32C always, the others when asked for."""

    crc32c: str
    sha256: str | None = None
    md5: str | None = None


class Extent(msgspec.Struct, frozen=True, array_like=True):
    """A run of bytes inside a blob: a version that was uploaded in pieces may be several of them, in order.

    ``blob_key`` names a blob that is shared; None is the version's own.
    """

    offset: int
    length: int
    blob_key: str | None = None


class File(msgspec.Struct, frozen=True):
    """A named thing in a workspace with a stable id. ``owns_path`` files are found by their path; hand-offs only by id.

    ``expires_at`` is that of the current version. A deleted file can be restored until ``restorable_until``, where it has one.
    """

    id: str
    organization_id: str
    workspace_id: str
    folder_id: str | None
    name: str
    path: str
    owns_path: bool
    metadata: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None
    restorable_until: datetime | None = None
    created_by: str | None = None
    modified_by: str | None = None
    deleted_by: str | None = None
    end_user: str | None = None


class Version(msgspec.Struct, frozen=True):
    """One immutable content of a file. ``size`` is in bytes.

    ``number`` names it within a workspace and grows from one promised to the next; ``sequence``, drawn from the same numbers
    once all bytes are there, tells which came after which. The bytes are in the blob ``blob_key`` of the store, or in the
    database where that is None. It was brought by the key ``key_id``. ``scan`` is None until one took place. It ends once it was
    fetched whole ``fetches_left`` times more.
    """

    id: str
    file_id: str
    number: int
    state: State
    reason: str | None
    size: int
    content_type: str
    detected_type: str | None
    digests: Digests
    blob_key: str | None
    extents: tuple[Extent, ...] | None
    created_at: datetime
    sequence: int
    created_by: str | None = None
    expires_at: datetime | None = None
    superseded_at: datetime | None = None
    key_id: str | None = None
    scan: Scan | None = None
    fetches_left: int | None = None

    @property
    def is_inline(self) -> bool:
        """Whether the bytes are in the database."""
        return self.blob_key is None and self.extents is None

    @property
    def etag(self) -> str:
        """A strong entity tag, quoted: a version never changes, so its id and checksum name its bytes."""
        return entity_tag(self.id, self.digests)


class Folder(msgspec.Struct, frozen=True):
    """An addressable prefix of a workspace; ``path`` has no slash at either end."""

    id: str
    workspace_id: str
    path: str
    created_at: datetime


class StoredFile(msgspec.Struct, frozen=True):
    """A file together with the version that an answer speaks of."""

    file: File
    version: Version


def entity_tag(version_id: str, digests: Digests) -> str:
    """Return the strong entity tag, quoted, of a version with these bytes."""
    return f'"{version_id.replace("-", "")}-{digests.crc32c}"'
