"""Where a client connects and with what: address, key, timeouts. Holds the secret so that nothing else prints it."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from fileferry.client.failures import NotConfigured
from fileferry.version import version

CONNECT_SECONDS = 10.0


class Connection:
    """A server's address, a key and an end user, from arguments or FILEFERRY_URL, FILEFERRY_KEY and FILEFERRY_END_USER.

    FILEFERRY_KEY_FILE names a file that holds the key, where FILEFERRY_KEY does not.
    """

    def __init__(self, url: str | None, key: str | None, end_user: str | None, timeout: float) -> None:
        self.url = _address(url or os.environ.get("FILEFERRY_URL") or "")
        self._key = _usable_key(key or os.environ.get("FILEFERRY_KEY") or _key_of_file())
        named = end_user if end_user is not None else os.environ.get("FILEFERRY_END_USER") or None
        self._end_user = None if named is None else _usable_name(named)
        self.timeout = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        self.headers = {"User-Agent": f"fileferry/{version()}"}

    def to(self, path: str) -> str:
        """Return the whole address of a path of the server; raise NotConfigured when no server is known."""
        if not self.url:
            raise NotConfigured()
        return self.url + path

    def timeout_with(self, seconds: float) -> httpx.Timeout:
        """Return the timeouts of a request whose answer may take ``seconds`` longer."""
        known = self.timeout
        read = known.read if known.read is None else known.read + seconds
        return httpx.Timeout(connect=known.connect, read=read, write=known.write, pool=known.pool)

    def authorization(self) -> dict[str, str]:
        """Return the headers that carry the key and name the end user, where they are known. Only ever sent to this server."""
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return key if self._end_user is None else {**key, "user-id": self._end_user}


def _address(url: str) -> str:
    if not url:
        return ""
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise NotConfigured("The server's address cannot be read; it looks like https://files.example.com.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise NotConfigured("The server's address must look like https://files.example.com.")
    if parsed.userinfo:
        raise NotConfigured("The server's address must hold no user or password; the key is given by itself.")
    return str(parsed).rstrip("/")


def _key_of_file() -> str:
    path = os.environ.get("FILEFERRY_KEY_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NotConfigured(f"FILEFERRY_KEY_FILE: {path} cannot be read: {reason}.") from None


def _usable_key(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured("The API key holds characters that no key has.")
    return key


def _usable_name(end_user: str) -> str:
    if not end_user.isascii() or not end_user.isprintable() or end_user != end_user.strip() or not end_user:
        raise NotConfigured(
            "An end user's name must be ASCII, without spaces at its ends and without control characters."
        )
    return end_user
