"""What happens between received and ready: telling the type from the bytes and holding it against the declared one."""

from __future__ import annotations

import mimetypes
import re

import puremagic

SNIFFED_BYTES = 4096
GENERIC_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"

# RFC 6838 section 4.2: two names of at most 127 characters. What is sent as a header later must be nothing else.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_FIRM = 0.3
_ALIASES = {
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "video/x-m4v": "video/mp4",
}
# Types that a browser shows and that always begin with a signature: a file that lacks it is not one.
SIGNED_TYPES = frozenset(
    {
        "application/pdf",
        "audio/flac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "video/mp4",
        "video/ogg",
        "video/webm",
    }
)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\f\r\x1b"))
SHOWN_TYPES = SIGNED_TYPES | {TEXT_TYPE}
"""What a browser may show by itself, once the bytes agree; everything else is offered for saving."""
_ACTIVE_TYPES = frozenset({"application/xhtml+xml", "application/xml", "image/svg+xml", "text/html", "text/xml"})


def detect_type(head: bytes, declared: str) -> str | None:
    """Return the media type that the first bytes show, or None where they show none.

    Where they fit several types the declared one wins, as a zip container that says it is a word processor's document.
    """
    if not head:
        return None
    shown = _signatures(head)
    if declared in shown:
        return declared
    if shown:
        return shown[0]
    return TEXT_TYPE if _is_text(head) else None


def effective_type(declared: str | None, name: str) -> str:
    """Return the media type to record: the declared one, or for want of a usable one what the name's extension says."""
    media_type = (declared or "").split(";")[0].strip().lower()
    if media_type in (GENERIC_TYPE, "application/x-www-form-urlencoded") or not _MEDIA_TYPE.fullmatch(media_type):
        media_type = mimetypes.guess_type(name)[0] or GENERIC_TYPE
    return _ALIASES.get(media_type, media_type)


def judge_types(head: bytes, declared: str | None, name: str) -> tuple[str, str | None]:
    """Return the media type to record and the one that the first bytes show, where they show one."""
    content_type = effective_type(declared, name)
    if declared and content_type not in SHOWN_TYPES:
        return content_type, None  # only ever offered for saving, so there is nothing that the bytes could disprove
    detected = detect_type(head, content_type)
    if content_type == GENERIC_TYPE:
        content_type = detected or content_type
    return content_type, detected


def contradicts(declared: str, detected: str | None) -> bool:
    """Whether the bytes show that the declared type is wrong in a way that matters to whoever opens the file."""
    if declared == detected:
        return False
    return declared in SIGNED_TYPES or (detected in _ACTIVE_TYPES and declared not in _ACTIVE_TYPES)


def _signatures(head: bytes) -> list[str]:
    try:
        matches = puremagic.magic_string(head)
    except puremagic.PureError:  # nothing matched
        return []
    found = [match.mime_type for match in matches if match.confidence >= _FIRM and match.mime_type]
    return [_ALIASES.get(media_type, media_type) for media_type in found]


def _is_text(head: bytes) -> bool:
    if len(head.translate(None, _CONTROLS)) != len(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character cut in half at the end of the sample is still text.
        return len(head) == SNIFFED_BYTES and error.start >= SNIFFED_BYTES - 3
    return True
