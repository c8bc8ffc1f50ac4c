"""What is on its way: uploads, and the bytes of them that have come."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from fileferry.model.files import Extent


class Batch(msgspec.Struct, frozen=True):
    """Uploads that become files together or not at all, in their order."""

    id: str
    organization_id: str
    upload_ids: list[str]
    created_at: datetime
    committed_at: datetime | None = None


class Stream(msgspec.Struct, frozen=True):
    """The bytes of an upload that came one after the other so far, and what is needed to go on after a restart.

    ``room`` is how many bytes the last extent may still grow by. ``hashes`` are the states of digests under way, as hex by
    algorithm; one that is missing must be computed from the bytes in the end.
    """

    extents: tuple[Extent, ...]
    room: int
    crc32c: str
    hashes: dict[str, str]

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(extent.length for extent in self.extents)


class UploadState(enum.StrEnum):
    """Where an upload stands: taking bytes, holding all of them, or over."""

    OPEN = "open"
    RECEIVED = "received"
    COMPLETED = "completed"
    ABORTED = "aborted"
    EXPIRED = "expired"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A version that does not exist yet: what was promised for it, and what has arrived. Sizes are bytes.

    ``number`` is the one that the version will have. An ``auto_complete`` upload is a version as soon as all bytes are there;
    the others wait for a call. ``promised_size`` is exact, None where only ``max_size`` is known; ``length`` is one told later.
    ``digests`` are those promised, as hex by algorithm. ``lifetime`` (seconds) or ``expires_at`` end the file. ``content`` is what
    the engine knows of the bytes once all are there. ``fetches`` is how often the version may be fetched whole; ``refusal`` is why
    bytes that came for an end user were refused for good, ``request_id`` the request for files that it answers.
    """

    id: str
    organization_id: str
    workspace_id: str
    folder_id: str | None
    key_id: str
    user_id: str | None
    file_id: str
    version_id: str
    number: int
    auto_complete: bool
    state: UploadState
    path: str
    at_path: bool
    if_match: list[str]
    must_be_new: bool
    content_type: str | None
    metadata: dict[str, Any]
    lifetime: int | None
    expires_at: datetime | None
    promised_size: int | None
    max_size: int
    digests: dict[str, str]
    part_size: int | None
    multipart_id: str | None
    tail: int
    url_expires_at: datetime
    touched_at: datetime
    created_at: datetime
    blob_key: str | None
    content: dict[str, Any] | None
    stream: Stream | None = None
    wire: dict[str, Any] = {}
    length: int | None = None
    parent_id: str | None = None
    end_user: str | None = None
    fetches: int | None = None
    refusal: str | None = None
    request_id: str | None = None

    @property
    def size(self) -> int | None:
        """How many bytes the whole has, as promised or as a protocol told on the way; None while nobody said."""
        return self.promised_size if self.promised_size is not None else self.length

    @property
    def offset(self) -> int:
        """How many bytes have come one after the other and are durable."""
        return self.stream.size if self.stream else 0

    @property
    def name(self) -> str:
        """The file's name: the last segment of its path."""
        return self.path.rpartition("/")[2]

    @property
    def multipart_name(self) -> str:
        """The ``uploadId`` of its parts: any upload may be sent in parts, whether its ticket spoke of them or not."""
        return self.multipart_id or self.id


class Part(msgspec.Struct, frozen=True):
    """A piece of an upload that has arrived. ``offset`` is where in the blob it lies; digests are hex.

    Parts have numbers of the client's, from 1; blocks have a ``block_id`` of the client's, and numbers that mean nothing.
    """

    number: int
    offset: int
    size: int
    md5: str
    crc32c: str
    received_at: datetime
    block_id: str | None = None
