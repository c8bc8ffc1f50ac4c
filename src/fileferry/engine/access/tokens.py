"""What links to pages carry, and what is said on them: a random token, and words of whoever made the link."""

from __future__ import annotations

import re
import secrets
import unicodedata

from fileferry.errors import InvalidParameter

_TOKEN_BYTES = 16
_LONGEST_TITLE = 255
_LONGEST_MESSAGE = 4096
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


def new_token() -> str:
    """Return 128 random bits as 22 characters for an address."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def title(text: str, parameter: str) -> str:
    """Return a line of text as it is kept; raises InvalidParameter for an empty or long one, and for control characters."""
    return _clean(text, parameter, least=1, most=_LONGEST_TITLE, allowed="")


def message(text: str) -> str:
    """Return text of several lines as it is kept; raises InvalidParameter."""
    return _clean(text.replace("\r\n", "\n"), "message", least=0, most=_LONGEST_MESSAGE, allowed="\n\t")


def _clean(text: str, parameter: str, *, least: int, most: int, allowed: str) -> str:
    if not least <= len(text) <= most:
        raise InvalidParameter(f"{parameter} has {least} to {most} characters.", parameter=parameter)
    if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in allowed for letter in text):
        raise InvalidParameter(f"{parameter} may not contain control characters.", parameter=parameter)
    return unicodedata.normalize("NFC", text)
