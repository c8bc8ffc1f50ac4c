"""What pages say of sizes, times, states and scans, in plain words."""

from __future__ import annotations

from datetime import datetime, timedelta

from fileferry.model import ScanOutcome, State, StoredFile

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEPS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
_SCANS = {
    ScanOutcome.CLEAN: "no malware found",
    ScanOutcome.INFECTED: "malware found",
    ScanOutcome.SKIPPED_TOO_LARGE: "too large to scan",
    ScanOutcome.SKIPPED_ENCRYPTED: "encrypted, could not be scanned",
    ScanOutcome.SKIPPED_UNSUPPORTED: "could not be scanned",
    ScanOutcome.SKIPPED_DISABLED: "not scanned",
    ScanOutcome.ERROR: "the scan failed",
}
_REASONS = {
    "infected": "malware was found",
    "type_not_allowed": "its type is not allowed",
    "size_mismatch": "its size is not what was promised",
    "digest_mismatch": "its bytes are not what was promised",
    "empty": "it is empty",
    "bytes_missing": "its bytes were lost",
}
_EVENTS = {
    "file.ready": "Ready",
    "file.rejected": "Rejected",
    "file.fetched": "Fetched completely",
    "file.expired": "Expired",
    "file.deleted": "Deleted",
    "file.restored": "Restored",
    "file.recalled": "Recalled: malware was found later",
    "file.changed": "Changed",
    "version.deleted": "Version deleted",
    "share.created": "Share made",
    "share.changed": "Share changed",
    "share.downloaded": "Share downloaded",
    "share.deleted": "Share ended",
    "request.created": "Request made",
    "request.changed": "Request changed",
    "request.received": "Sent for a request",
    "request.finished": "Request finished by who sent",
    "request.deleted": "Request ended",
}


def size(count: int | None) -> str:
    """Return a number of bytes as people read it; nothing for one that is not known."""
    if count is None:
        return "unknown"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def span(length: timedelta) -> str:
    """Return a length of time in its largest unit."""
    seconds = int(abs(length.total_seconds()))
    for step, name in _STEPS:
        if seconds >= step:
            count = seconds // step
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"


def age(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was."""
    if then is None:
        return "never"
    return "just now" if now - then < timedelta(minutes=1) else f"{span(now - then)} ago"


def left(end: datetime | None, now: datetime) -> str:
    """Return how long it is to an end."""
    if end is None:
        return "never"
    # What was just said to be in 7 days is not said to be in 6.
    return "over" if end <= now else f"in {span(end - now + timedelta(minutes=1))}"


def moment(at: datetime | None) -> str:
    """Return a time to the second, in UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def state(stored: StoredFile) -> str:
    """Return where a file stands."""
    version = stored.version
    if stored.file.deleted_at is not None and version.state is not State.EXPIRED:
        return "Deleted"
    if version.state is State.REJECTED:
        return f"Rejected: {reason(version.reason)}"
    return {
        State.PENDING: "Uploading",
        State.RECEIVED: "Received",
        State.PROCESSING: "Being checked",
        State.READY: "Ready",
        State.EXPIRED: "Expired",
        State.DELETED: "Deleted",
    }[version.state]


def tone(stored: StoredFile) -> str:
    """Return which of the style's tones a file's state has."""
    if stored.file.deleted_at is not None:
        return "soft"
    known = {State.READY: "good", State.REJECTED: "bad", State.PROCESSING: "warn", State.RECEIVED: "warn"}
    return known.get(stored.version.state, "soft")


def scan(stored: StoredFile) -> str:
    """Return what a scan came to."""
    found = stored.version.scan
    if found is not None:
        return _SCANS[found.outcome]
    return "not scanned" if stored.version.state is State.READY else ""


def event(type: str) -> str:
    """Return what happened."""
    return _EVENTS.get(type, type)


def seconds(count: int) -> str:
    """Return a length of time that is kept as seconds."""
    return span(timedelta(seconds=count))


def reason(code: str | None) -> str:
    """Return why a file was rejected."""
    return _REASONS.get(code or "", code or "unknown reason")
