"""By which URL a client fetches a blob from a store of objects itself; the signature is the store's own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from fileferry.blobs.direct import Presentation

Sign = Callable[[str, Presentation, timedelta], str]
"""Returns a URL that gives the object of a name, presented so, for so long."""
_REMEMBERED = 1024  # blobs, of which it is known what object they are


class ObjectDownloads:
    """The DirectDownloads of a store. ``find_object`` returns name and size of the one object that a blob is, if it is one."""

    def __init__(self, sign: Sign, find_object: Callable[[str], Awaitable[tuple[str, int] | None]]) -> None:
        self._sign = sign
        self._find_object = find_object
        self._known: OrderedDict[str, tuple[str, int] | None] = OrderedDict()

    async def url(self, key: str, size: int, presented: Presentation, lifetime: timedelta) -> str | None:
        """Sign a GET of the object, with what is to be answered."""
        found = await self._object_of(key)
        if found is None or found[1] != size:
            return None
        return self._sign(found[0], presented, lifetime)

    async def _object_of(self, key: str) -> tuple[str, int] | None:
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = self._known[key] = await self._find_object(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found
