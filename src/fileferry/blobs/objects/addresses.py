"""Addresses of stores of objects, as settings have them: what keys begin with, and where a store answers. No I/O."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

# Of these characters no store makes others, and none of them needs an escape in a URL. Azure drops dots at the end of a name.
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?/)*")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
_PATH = re.compile(r"/?|/[A-Za-z0-9-]+/?")


def words_of(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    """Return the words behind the question mark; raises ValueError for one that is not ``known``."""
    words = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(words.keys() - set(known)):
        raise ValueError(f"{unknown[0]} is not known: use {', '.join(known[:-1])} and {known[-1]}")
    return words


def prefix_of(path: str) -> str:
    """Return what all keys begin with, empty or ending in ``/``. Raises ValueError."""
    prefix = path.strip("/") + "/" if path.strip("/") else ""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("a prefix is of letters, digits and '._-', with '/' between its names")
    return prefix


def endpoint_of(word: str, url: str, *, with_path: bool = False) -> SplitResult:
    """Return where a store answers; ``with_path`` there may be one name behind the host. Raises ValueError."""
    address = urlsplit(url)
    has_path = not _PATH.fullmatch(address.path) if with_path else address.path.strip("/")
    if address.scheme not in ("http", "https") or not _HOST.fullmatch(address.netloc) or has_path or address.query:
        further = "/ACCOUNT" if with_path else ""
        raise ValueError(f"{word} is http://HOST:PORT{further} or https://HOST:PORT{further}")
    return address
