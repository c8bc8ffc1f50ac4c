"""What clients call their files, made safe to keep and to show."""

from __future__ import annotations

import re
import unicodedata

from fileferry.errors import InvalidName, InvalidParameter

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
# Normalizing a run of combining marks takes the square of its length: so the length is bounded before. A byte of NFC stands for
# at most one and a half characters as they were sent (three, for a letter of two bytes), so nothing is refused that would fit.
_CHARACTERS_PER_BYTE = 2


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
    if len(path) > _CHARACTERS_PER_BYTE * MAX_PATH_BYTES:
        raise _too_long_path()
    segments = [_clean_segment(segment) for segment in path.removeprefix("/").split("/")]
    cleaned = "/".join(segments)
    if len(cleaned.encode()) > MAX_PATH_BYTES:
        raise _too_long_path()
    return cleaned


def normalized(text: str, parameter: str) -> str:
    """Return a name, or the beginning of a path, in the form that is kept: NFC. Raises InvalidParameter for too long a one."""
    if len(text) > _CHARACTERS_PER_BYTE * MAX_PATH_BYTES:
        raise InvalidParameter(f"{parameter} is longer than {MAX_PATH_BYTES} bytes.", parameter=parameter)
    return unicodedata.normalize("NFC", text)


def _clean_segment(segment: str) -> str:
    if len(segment) > _CHARACTERS_PER_BYTE * MAX_NAME_BYTES:
        raise _too_long_name()
    segment = unicodedata.normalize("NFC", segment)
    if segment in ("", ".", ".."):
        raise InvalidName("A path needs a name between its slashes; '.' and '..' are not names.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in segment):
        raise InvalidName("A name may not contain control characters.")
    if len(segment.encode()) > MAX_NAME_BYTES:
        raise _too_long_name()
    return segment


def _too_long_name() -> InvalidName:
    return InvalidName(f"A name may not be longer than {MAX_NAME_BYTES} bytes of UTF-8.")


def _too_long_path() -> InvalidName:
    return InvalidName(f"The path is longer than {MAX_PATH_BYTES} bytes.")
