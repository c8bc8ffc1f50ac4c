"""Times as requests say them: the three formats of HTTP dates, and RFC 3339 in bodies, queries and forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A plus that was not percent-encoded arrives as a space.
_PLUS_AS_SPACE = re.compile(r"(T.*) (\d\d:?\d\d)", re.ASCII)
_LONGEST = 64  # characters


def read_http_date(value: str | None) -> datetime | None:
    """Return an HTTP date (RFC 9110 section 5.6.7: IMF-fixdate, RFC 850, asctime); None where there is none or it is no date."""
    if value is None or len(value) > _LONGEST:
        return None
    try:
        moment = parsedate_to_datetime(value)
        # asctime has no zone, and means UTC as the others do.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def with_plus(text: str) -> str:
    """Return a time whose offset lost its plus sign on the way with it again."""
    return _PLUS_AS_SPACE.sub(r"\1+\2", text) if len(text) <= _LONGEST else text
