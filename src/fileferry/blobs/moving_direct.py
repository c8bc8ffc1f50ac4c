"""What clients may do with two stores while blobs move from one to the other: a blob's URLs are those of the store that has it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

from fileferry.blobs.direct import DirectDownloads, DirectPart, DirectUploads, Pinned, Presentation
from fileferry.errors import Unavailable

_REMEMBERED = 4096  # names that were begun in the store that stays


class MovingUploads:
    """The DirectUploads of the store that stays, if clients are sent there, and of the other for what was begun in it."""

    def __init__(self, staying: DirectUploads | None, before: DirectUploads) -> None:
        self._staying = staying
        self._before = before
        self._begun: OrderedDict[str, None] = OrderedDict()
        self.pins = staying.pins if staying else frozenset[str]()
        self.least_part = staying.least_part if staying else 0
        self.largest_part = staying.largest_part if staying else 0  # so that nothing new fits
        self.names_parts = staying.names_parts if staying else False
        self.longest = min(staying.longest, before.longest) if staying else before.longest

    async def begin(self, key: str) -> str:
        """Begin it in the store that stays."""
        if self._staying is None:
            raise Unavailable("Clients are not sent to this store.")
        return self._remembered(await self._staying.begin(key))

    async def session(self, key: str, size: int, origin: str | None) -> tuple[str, str] | None:
        """Begin it in the store that stays, if that has sessions."""
        begun = None if self._staying is None else await self._staying.session(key, size, origin)
        if begun is not None:
            self._remembered(begun[0])
        return begun

    async def urls(
        self, key: str, name: str, asked: Sequence[tuple[int, int]], lifetime: timedelta, pinned: Pinned | None = None
    ) -> Sequence[str]:
        """Return URLs of the store in which it was begun."""
        return await (await self._place(key, name)).urls(key, name, asked, lifetime, pinned)

    async def parts(self, key: str, name: str) -> Sequence[DirectPart] | None:
        """Return what that store has."""
        return await (await self._place(key, name)).parts(key, name)

    async def complete(self, key: str, name: str, parts: Sequence[DirectPart]) -> None:
        """Put them together there."""
        await (await self._place(key, name)).complete(key, name, parts)

    async def abort(self, key: str, name: str) -> None:
        """Give them up there."""
        await (await self._place(key, name)).abort(key, name)

    def _remembered(self, name: str) -> str:
        self._begun[name] = None
        if len(self._begun) > _REMEMBERED:
            self._begun.popitem(last=False)
        return name

    async def _place(self, key: str, name: str) -> DirectUploads:
        if self._staying is None:
            return self._before
        if name in self._begun or await self._before.parts(key, name) is None:
            return self._staying
        return self._before


class MovingDownloads:
    """The DirectDownloads of several stores, of which the first that has a blob gives it."""

    def __init__(self, stores: Sequence[DirectDownloads]) -> None:
        self._stores = stores

    async def url(self, key: str, size: int, presented: Presentation, lifetime: timedelta) -> str | None:
        """Return the first URL that one of them has."""
        for store in self._stores:
            url = await store.url(key, size, presented, lifetime)
            if url is not None:
                return url
        return None
