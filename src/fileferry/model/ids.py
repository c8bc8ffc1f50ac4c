"""How things are named for good: time-ordered UUIDs."""

from __future__ import annotations

import os
import re
import secrets
import threading
import uuid
from datetime import datetime

_ID_RANDOM_BITS = 74
_ID_RANDOM = (1 << _ID_RANDOM_BITS) - 1
_CANONICAL = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_id_lock = threading.Lock()
_last_id = 0


def new_id(now: datetime) -> str:
    """Return a time-ordered UUID (version 7, RFC 9562 section 5.7) for ``now``, above every earlier one of this process.

    Within a millisecond the random part counts up by random steps (section 6.2, method 2), so that a batch keeps its order.
    """
    global _last_id
    milliseconds = int(now.timestamp() * 1000)
    with _id_lock:
        value = milliseconds << _ID_RANDOM_BITS | int.from_bytes(os.urandom(10)) & _ID_RANDOM
        if value <= _last_id:
            value = _last_id + 1 + secrets.randbits(32)
        _last_id = value
    high, low = value >> 62, value & (1 << 62) - 1
    digits = f"{(high >> 12) << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID, in any of its spellings."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def canonical_id(text: str) -> str:
    """Return a UUID in the one spelling that is kept, lower-case with hyphens; anything else, such as a name, as it is."""
    if _CANONICAL.fullmatch(text):  # as nearly all are sent
        return text
    return str(uuid.UUID(text)) if is_uuid(text) else text
