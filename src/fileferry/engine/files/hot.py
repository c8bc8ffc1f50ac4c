"""Small files that are fetched again and again, in memory. What may be served, and whether still, is decided in ``catalogue``."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from fileferry.db.generations import Generation
from fileferry.model import StoredFile

_LARGEST = 64 * 1024
_OVERHEAD = 4 * 1024  # of an entry, at most: its records and header fields


class HotFile(msgspec.Struct):
    """A version with its bytes and the header fields they are served with; ``generation`` is when its row was last looked at."""

    stored: StoredFile
    content: bytes
    fields: list[tuple[bytes, bytes]]
    generation: Generation | None = None


class Hot:
    """The files that were fetched last, by the token of their public URL, as many as ``size`` bytes hold."""

    def __init__(self, size: int) -> None:
        self._size = self._room = size
        self._files: OrderedDict[str, HotFile] = OrderedDict()

    def takes(self, stored: StoredFile) -> bool:
        """Whether a version is kept: a small one, whose fetches are not counted down."""
        version = stored.version
        return version.fetches_left is None and 0 < version.size <= min(_LARGEST, self._size // 16)

    def find(self, token: str) -> HotFile | None:
        """Return what is kept under a token."""
        hot = self._files.get(token)
        if hot is not None:
            self._files.move_to_end(token)
        return hot

    def keep(self, token: str, hot: HotFile) -> None:
        """Keep a file, and forget those that nobody has asked for the longest."""
        self.drop(token)
        self._files[token] = hot
        self._room -= _cost(hot)
        while self._room < 0:
            self.drop(next(iter(self._files)))

    def drop(self, token: str) -> None:
        """Forget what is kept under a token."""
        hot = self._files.pop(token, None)
        if hot is not None:
            self._room += _cost(hot)


def _cost(hot: HotFile) -> int:
    return len(hot.content) + _OVERHEAD
