"""Bounded reads of a stored file: its ends at once, and a few pieces between, however large it is or says it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

Reader = Callable[[int, int], Awaitable[bytes]]
"""Returns the bytes of a file from ``start`` on, at most ``length`` of them."""

EDGE: Final = 65_557
"""Bytes looked at on either end: an archive's end record with the longest comment that it can have."""
_MOST_READS: Final = 64
_MOST_BYTES: Final = 4 << 20


class Glimpses:
    """Pieces of one file of ``size`` bytes; what was spent on reads in between the ends is counted and bounded."""

    def __init__(self, read: Reader, size: int) -> None:
        self.size = size
        self.head = self.tail = b""
        self._read = read
        self._reads = _MOST_READS
        self._bytes = _MOST_BYTES
        self._seen: dict[tuple[int, int], bytes] = {}  # no more than may be read

    async def open(self) -> None:
        """Read both ends; must come first."""
        self.head = await self.at(0, EDGE)
        self.tail = self.head if self.size <= EDGE else await self.at(self.size - EDGE, EDGE)

    async def at(self, start: int, length: int) -> bytes:
        """Return the bytes at a place, fewer where the file ends before, none where it has no such place or too much was read."""
        length = min(length, self.size - start)
        if start < 0 or length <= 0:
            return b""
        if start + length <= len(self.head):
            return self.head[start : start + length]
        within = start - (self.size - len(self.tail))
        if within >= 0:
            return self.tail[within : within + length]
        if (start, length) in self._seen:
            return self._seen[start, length]
        if self._reads < 1 or self._bytes < length:
            return b""
        self._reads -= 1
        self._bytes -= length
        piece = self._seen[start, length] = (await self._read(start, length))[:length]
        return piece
