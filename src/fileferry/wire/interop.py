"""The interop versions of "Resumable Uploads for HTTP": what the drafts differ in, and how their fields are read and written.

Source: draft-ietf-httpbis-resumable-upload-01 (interop version 3) to -12 (9). Knows no upload.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

VERSION_HEADER = "Upload-Draft-Interop-Version"
MEDIA_TYPE = "application/partial-upload"
_OLDEST, _NEWEST = 3, 9
# A Structured Field Integer has at most 15 digits (RFC 9651 section 3.3.1).
_INTEGER = re.compile(r"[0-9]{1,15}")
_BOOLEANS = {"?0": False, "?1": True}


class Dialect(msgspec.Struct, frozen=True):
    """One version of the draft. ``is_stated``: the client named it, and did not merely speak so."""

    version: int
    is_stated: bool

    @property
    def field(self) -> str:
        """The field that tells whether an upload is complete; the oldest one tells the opposite."""
        return "Upload-Incomplete" if self.version == _OLDEST else "Upload-Complete"

    def read_completeness(self, headers: Any) -> bool | None:
        """Return whether a request says that it completes the upload; None where it does not say."""
        value = _BOOLEANS.get(headers.get(self.field.lower(), "").strip())
        return value if value is None or self.version != _OLDEST else not value

    def completeness(self, is_complete: bool) -> dict[str, str]:
        """Return the header that says whether the upload is complete."""
        value = is_complete if self.version != _OLDEST else not is_complete
        return {self.field: "?1" if value else "?0"}

    def echo(self) -> dict[str, str]:
        """Return the version as a header, where the client named one."""
        return {VERSION_HEADER: str(self.version)} if self.is_stated else {}

    def limits(self, max_size: int, lifetime: int) -> dict[str, str]:
        """Return the limits of an upload, in bytes and seconds, as a header; before version 6 there was none."""
        if self.version < 6:
            return {}
        age = "expires" if self.version == 6 else "max-age"
        return {"Upload-Limit": f"max-size={max_size}, {age}={lifetime}"}

    @property
    def append_status(self) -> int:
        """The status that acknowledges an append which does not complete the upload."""
        return 201 if self.version < 7 else 204

    @property
    def has_media_type(self) -> bool:
        """Whether what is appended must be of ``MEDIA_TYPE``."""
        return self.version >= 6

    @property
    def defaults_to_complete(self) -> bool:
        """Whether an append that does not say if it completes the upload does so; later ones must say."""
        return self.version < 7

    @property
    def has_bare_questions(self) -> bool:
        """Whether asking for the offset and cancelling may carry no field of an upload."""
        return self.version < 7

    @property
    def refuses_completed(self) -> bool:
        """Whether there is a problem type for an append to a completed upload."""
        return 6 <= self.version < 9


def dialect_of(headers: Any) -> Dialect:
    """Return the version that a request speaks; one that is missing or not known is taken for the newest."""
    version = read_integer(headers, VERSION_HEADER)
    if version is not None and _OLDEST <= version <= _NEWEST:
        return Dialect(version, is_stated=True)
    is_old = "upload-incomplete" in headers and "upload-complete" not in headers
    return Dialect(_OLDEST if is_old else _NEWEST, is_stated=False)


def read_integer(headers: Any, name: str) -> int | None:
    """Return a field's non-negative integer; None where it is missing or anything else, which is to be ignored."""
    value = headers.get(name.lower(), "").strip()
    return int(value) if _INTEGER.fullmatch(value) else None
