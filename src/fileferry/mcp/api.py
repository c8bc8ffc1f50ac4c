"""How a tool reaches the native API: what both ways there, within the server and from another machine, are to a tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Api(Protocol):
    """The native API, asked with the key of one agent."""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        wait: int = 0,
    ) -> Any:
        """Return the JSON that is answered, None where there is none; ``path`` is quoted, and has the query.

        ``wait`` (seconds) is how long the answer may be put off. Raises the FerryError that was answered.
        """

    async def scopes(self) -> frozenset[str]:
        """Return the scopes of the key."""
