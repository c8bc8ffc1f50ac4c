"""Times, durations and sizes, and how they are written. Client and server both read them, so nothing of either is used here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fileferry.errors import InvalidExpiry

Clock = Callable[[], datetime]
"""Tells the time; the composition root hands it out, so that tests move time instead of sleeping."""


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
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def format_optional_time(moment: datetime | None) -> str | None:
    """Write a time that may be absent; see ``format_time``."""
    return None if moment is None else format_time(moment)
