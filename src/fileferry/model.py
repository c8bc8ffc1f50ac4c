"""The nouns of fileferry as frozen records and enums, and how their ids, names, durations and sizes are written. No I/O."""

from __future__ import annotations

import enum
import re
import secrets
import threading
import unicodedata
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from fileferry.errors import InvalidExpiry, InvalidName

T = TypeVar("T")
Clock = Callable[[], datetime]
"""Tells the time; the composition root hands it out, so that tests move time instead of sleeping."""

_ID_RANDOM_BITS = 74
_id_lock = threading.Lock()
_last_id = 0

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024


class Scope(enum.StrEnum):
    """A right that a key carries."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


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


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What policy allows; None leaves a thing to the others, of which the strictest holds.

    ``max_size`` (bytes) and ``types`` (media types) are those of one file, ``max_retention`` (seconds) its longest life.
    ``max_bytes`` and ``max_files`` are what may be kept together, each version counting as one. ``requests``, ``bytes`` and
    ``tickets`` are rates, such as ``100/minute``. ``refuse_empty`` rejects files without bytes; ``serve_unscanned`` says
    whether files that the scanner could not look into are served.
    """

    max_size: int | None = None
    types: tuple[str, ...] | None = None
    max_retention: int | None = None
    max_bytes: int | None = None
    max_files: int | None = None
    requests: str | None = None
    bytes: str | None = None
    tickets: str | None = None
    refuse_empty: bool | None = None
    serve_unscanned: bool | None = None


NO_LIMITS = Limits()


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version must be to become ready, as policy said when its bytes came; ``scan`` says that it must be scanned."""

    scan: bool = False
    types: tuple[str, ...] | None = None
    refuse_empty: bool = False
    serve_unscanned: bool = False


class Organization(msgspec.Struct, frozen=True):
    """The tenant; owns everything below it. ``limits`` are those of all it holds, ``end_user_limits`` of each end user."""

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: datetime
    limits: Limits = NO_LIMITS
    end_user_limits: Limits = NO_LIMITS


class Workspace(msgspec.Struct, frozen=True):
    """A tree of paths inside an organization.

    Of each file the newest ``keep_versions`` are kept, and a replaced one for ``keep_versions_for`` seconds; None keeps all.
    """

    id: str
    organization_id: str
    name: str
    is_default: bool
    created_at: datetime
    keep_versions: int | None = None
    keep_versions_for: int | None = None
    limits: Limits = NO_LIMITS


class User(msgspec.Struct, frozen=True):
    """Who stands behind a key, as answers name them: author of what the key uploads, changes and deletes.

    A root key nobody was named for stands for itself, in no organization.
    """

    id: str
    organization_id: str | None
    name: str
    email: str | None = None


class Key(msgspec.Struct, frozen=True):
    """An API credential; the secret itself is never stored. ``organization_id`` is None for a root key.

    ``path_prefix`` is the folder that it is confined to. ``on_behalf_of`` names the end users that it may act for; where it is not
    None the key must name one of them with every request, and ``*`` is any.
    """

    id: str
    organization_id: str | None
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    user_id: str | None = None
    limits: Limits = NO_LIMITS
    path_prefix: str | None = None
    on_behalf_of: tuple[str, ...] | None = None


class Principal(msgspec.Struct, frozen=True):
    """Who acts: a key, the organization it acts in for this request, and the end user on whose behalf, if any.

    With an end user only that user's files are there. ``judged_at`` is when these rights were looked up; a request that goes on for
    longer is judged once more. ``secret`` is the digest of the secret that it authenticated with; without one it cannot
    be renewed.
    """

    key: Key
    organization: Organization
    end_user: str | None = None
    judged_at: datetime | None = None
    secret: str | None = None

    @property
    def user_id(self) -> str:
        """The user to name as the author: the one behind the key, or the key itself where nobody was named."""
        return self.key.user_id or self.key.id


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
    bytes that came for an end user were refused for good.
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


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a file, as the outbox keeps it; ids grow in the order of commits.

    ``data`` is what listeners are told: the file as it was then.
    """

    id: int
    organization_id: str
    file_id: str
    version_id: str | None
    type: str
    data: dict[str, Any]
    created_at: datetime


class DeliveryState(enum.StrEnum):
    """Where a delivery stands: to be attempted, answered with a success, or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an organization wants its events sent to. ``types`` are the events it wants; None is all of them.

    ``old_secret`` signs beside ``secret`` until ``old_secret_until``. A disabled one is sent nothing; ``disabled_reason`` says why.
    """

    id: str
    organization_id: str
    url: str
    types: list[str] | None
    secret: str
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    last_event_id: int
    created_at: datetime


class Delivery(msgspec.Struct, frozen=True):
    """An event on its way to a webhook; ``body`` is what is sent. ``event_id`` is negative for one that was made as a test.

    ``last_status`` is the HTTP status of the last attempt, ``last_error`` what it failed for.
    """

    id: int
    webhook_id: str
    event_id: int
    file_id: str
    type: str
    body: str
    state: str
    attempts: int
    next_at: datetime
    last_status: int | None
    last_error: str | None
    last_attempt_at: datetime | None
    created_at: datetime


class StoredFile(msgspec.Struct, frozen=True):
    """A file together with the version that an answer speaks of."""

    file: File
    version: Version


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a listing; ``next_cursor`` is None on the last."""

    items: list[T]
    next_cursor: str | None


class Bound(msgspec.Struct, frozen=True):
    """A comparison of a column: ``op`` is one of lt, lte, gt, gte and eq."""

    op: str
    value: Any


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to list of a workspace. ``name`` is a part of the name, in any case; users are ids; ``deleted`` ones can be restored.

    ``order_by`` holds names of fields, each with whether it descends.
    """

    name: str | None = None
    deleted: bool = False
    created_by: str | None = None
    modified_by: str | None = None
    deleted_by: str | None = None
    created_at: tuple[Bound, ...] = ()
    modified_at: tuple[Bound, ...] = ()
    deleted_at: tuple[Bound, ...] = ()
    size: tuple[Bound, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()
    offset: int = 0
    limit: int = 100

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for some files only, beyond living or deleted ones."""
        users = (self.created_by, self.modified_by, self.deleted_by)
        ranges = (self.created_at, self.modified_at, self.deleted_at, self.size)
        return self.name is not None or any(user is not None for user in users) or any(ranges)


def entity_tag(version_id: str, digests: Digests) -> str:
    """Return the strong entity tag, quoted, of a version with these bytes."""
    return f'"{version_id.replace("-", "")}-{digests.crc32c}"'


def new_id(now: datetime) -> str:
    """Return a time-ordered UUID (version 7, RFC 9562 section 5.7) for ``now``, above every earlier one of this process.

    Within a millisecond the random part counts up by random steps (section 6.2, method 2), so that a batch keeps its order.
    """
    global _last_id
    milliseconds = int(now.timestamp() * 1000)
    with _id_lock:
        value = milliseconds << _ID_RANDOM_BITS | secrets.randbits(_ID_RANDOM_BITS)
        if value <= _last_id:
            value = _last_id + 1 + secrets.randbits(32)
        _last_id = value
    high, low = value >> 62, value & (1 << 62) - 1
    return str(uuid.UUID(int=(high >> 12) << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low))


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID, in any of its spellings."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def utc_now() -> datetime:
    """Return the time of day, aware, in UTC: the clock that the composition root hands out."""
    return datetime.now(UTC)


_DURATION = re.compile(r"(\d{1,12})(s|m|h|d|w)?", re.ASCII)
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = timedelta(days=36500)


def parse_duration(text: str) -> timedelta:
    """Read ``30m``, ``24h``, ``7d``, ``2w`` or plain seconds; raise InvalidExpiry for anything else, zero, or over a century."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise InvalidExpiry(f"{text!r} is not a duration: use for example 30m, 24h, 7d or plain seconds.")
    seconds = int(match[1]) * _DURATION_UNITS[match[2] or "s"]
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise InvalidExpiry("The duration must be longer than zero and at most 100 years.")
    return timedelta(seconds=seconds)


_SIZE = re.compile(r"(\d{1,18})\s*(B|[kKMGT]i?B?)?", re.ASCII)
_SIZE_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Read a size in bytes: ``1048576``, ``64MiB`` (binary) or ``5GB`` (decimal); raise ValueError otherwise."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size: use bytes, or for example 64MiB or 5GB.")
    number, unit = int(match[1]), (match[2] or "B").upper()
    if unit == "B":
        return number
    base: int = 1024 if unit[1:2] == "I" else 1000
    return number * int(base ** _SIZE_POWERS[unit[0]])


def format_time(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds, for example ``2026-11-21T09:30:00.000Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def format_optional_time(moment: datetime | None) -> str | None:
    """Write a time that may be absent; see ``format_time``."""
    return None if moment is None else format_time(moment)


def clean_name(name: str) -> str:
    """Return a client's file name made safe to show: the last path segment, NFC, without control characters.

    Raises InvalidName when nothing is left or it is longer than 255 bytes of UTF-8.
    """
    last = re.split(r"[/\\]", name)[-1]
    return _clean_segment(last)


def clean_path(path: str) -> str:
    """Return a path in its stored form: NFC segments joined by ``/``, no leading slash.

    Raises InvalidName for empty, ``.`` or ``..`` segments, control characters, and paths over 1,024 bytes.
    """
    segments = [_clean_segment(segment) for segment in path.removeprefix("/").split("/")]
    cleaned = "/".join(segments)
    if len(cleaned.encode()) > MAX_PATH_BYTES:
        raise InvalidName(f"The path is longer than {MAX_PATH_BYTES} bytes.")
    return cleaned


def _clean_segment(segment: str) -> str:
    segment = unicodedata.normalize("NFC", segment)
    if segment in ("", ".", ".."):
        raise InvalidName("A path needs a name between its slashes; '.' and '..' are not names.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in segment):
        raise InvalidName("A name may not contain control characters.")
    if len(segment.encode()) > MAX_NAME_BYTES:
        raise InvalidName(f"A name may not be longer than {MAX_NAME_BYTES} bytes of UTF-8.")
    return segment
