"""What caches may keep of answers: nothing, unless an answer says so itself."""

from __future__ import annotations

from litestar.types import Message, Scope

PRIVATE = {"Cache-Control": "private, no-store"}
"""The header of an answer that is for who asked, and for now."""
_KEYS = (b"vary", b"Authorization, X-API-Key, Api-Key, User-Id")
_FIELD = (b"cache-control", PRIVATE["Cache-Control"].encode())


async def keep_private(message: Message, _scope: Scope) -> None:
    """Add ``Cache-Control`` to an answer without one, and to all that are not public what they differ by."""
    if message["type"] != "http.response.start":
        return
    headers = message["headers"] = list(message.get("headers", ()))
    for name, value in headers:
        if name.lower() == b"cache-control":
            if not value.startswith(b"public"):
                headers.append(_KEYS)
            return
    headers += (_FIELD, _KEYS)
