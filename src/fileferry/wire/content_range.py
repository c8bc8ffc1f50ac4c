"""``Content-Range`` of a request, in every form that Google's resumable sessions give it. Knows no upload.

Source: RFC 9110 section 14.4, and "Resumable uploads" in the Cloud Storage documentation; ``S-*`` is sent by its Node.js client.
"""

from __future__ import annotations

import re

import msgspec

from fileferry.errors import InvalidParameter

_FORM = re.compile(
    r"bytes[ \t]+(?:\*|([0-9]{1,18})-(?:\*|([0-9]{1,18}|-1)))/(?:\*|([0-9]{1,18}))", re.ASCII | re.IGNORECASE
)


class ContentRange(msgspec.Struct, frozen=True):
    """Which bytes of the whole a body is: from ``start`` to before ``stop``. All are counts of bytes.

    No ``start`` means that the body has none of them, and the request only asks. No ``stop`` means that the body goes as far as
    it goes. No ``total`` means that the length of the whole is not known yet.
    """

    start: int | None
    stop: int | None
    total: int | None

    @property
    def length(self) -> int | None:
        """How many bytes the body has, where that was said."""
        if self.start is None:
            return 0
        return None if self.stop is None else self.stop - self.start


def parse_content_range(value: str) -> ContentRange:
    """Read the header; raises InvalidParameter for one that cannot be read or contradicts itself."""
    form = _FORM.fullmatch(value.strip())
    if form is None:
        raise _unusable("Content-Range must look like 'bytes 0-524287/2000000', 'bytes 0-524287/*' or 'bytes */*'.")
    start, last, total = (None if group is None else int(group) for group in form.groups())
    stop = None if last is None else last + 1
    if start is not None and stop is not None and stop < start:
        raise _unusable("The last byte of Content-Range comes before the first.")
    if total is not None and max(start or 0, stop or 0) > total:
        raise _unusable("Content-Range names bytes behind the end of the whole.")
    return ContentRange(start, stop, total)


def _unusable(detail: str) -> InvalidParameter:
    return InvalidParameter(detail, parameter="Content-Range")
