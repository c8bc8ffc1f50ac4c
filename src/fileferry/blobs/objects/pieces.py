"""Blobs that came in pieces: each is an object of its own, and a small object lists them once the blob is put together. No I/O.

A blob's objects are ``blobs/KEY/…``: ``whole``, or a piece for each region, named by its offset, and ``manifest``. ``empty`` is
what a region without bytes leaves, ``incoming`` what a client is still to send to the store itself.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import msgspec

from fileferry.blobs.store import BlobMissing
from fileferry.model import Extent

BLOBS = "blobs/"
_KEY = re.compile(r"blobs/([^/]+)/[^/]+")
_PIECE = re.compile(r"blobs/[^/]+/([0-9a-f]{16})")


def folder(key: str) -> str:
    """Return what the names of all objects of a blob begin with."""
    return f"{BLOBS}{key}/"


def whole(key: str) -> str:
    """Return the name of the object that is a blob by itself."""
    return f"{BLOBS}{key}/whole"


def piece(key: str, offset: int) -> str:
    """Return the name of the piece that begins at ``offset`` (bytes)."""
    return f"{BLOBS}{key}/{offset:016x}"


def empty(key: str) -> str:
    """Return the name of the object that stands for regions without bytes."""
    return f"{BLOBS}{key}/empty"


def incoming(key: str) -> str:
    """Return the name of the object to which a client sends a blob, of stores where it is copied when it is whole."""
    return f"{BLOBS}{key}/incoming"


def manifest(key: str) -> str:
    """Return the name of the list of pieces."""
    return f"{BLOBS}{key}/manifest"


def key_of(name: str) -> str | None:
    """Return the blob that an object belongs to; None for one of no blob."""
    found = _KEY.fullmatch(name)
    return found[1] if found else None


def offset_of(name: str) -> int | None:
    """Return where a piece begins; None for an object that is none."""
    found = _PIECE.fullmatch(name)
    return int(found[1], 16) if found else None


class Pieces:
    """Where the pieces of a blob begin and end, in order.

    They do not overlap. Should one be longer than its place, as a writer that died may leave it, then the next one holds: it was
    written by who went on from there.
    """

    def __init__(self, found: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(found)
        self._starts = array("Q", (start for start, _length in ordered))
        self._ends = array("Q", (start + length for start, length in ordered))
        for number, start in enumerate(self._starts[1:]):
            self._ends[number] = min(self._ends[number], start)

    @property
    def size(self) -> int:
        """Where the last piece ends."""
        return self._ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return len(self._starts)

    def runs(self) -> list[Extent]:
        """Return where there are bytes, in order and apart from each other; a blob without any is one run of none."""
        runs: list[Extent] = []
        for start, end in zip(self._starts, self._ends, strict=True):
            if runs and runs[-1].offset + runs[-1].length == start:
                start = runs.pop().offset
            runs.append(Extent(start, end - start))
        return runs or [Extent(0, 0)]

    def encode(self) -> bytes:
        """Return the content of a manifest."""
        pieces = [(start, end - start) for start, end in zip(self._starts, self._ends, strict=True)]
        return msgspec.json.encode({"version": 1, "pieces": pieces})

    @staticmethod
    def decode(content: bytes) -> Pieces:
        """Read a manifest; raises msgspec.DecodeError for what is none."""
        return Pieces(msgspec.json.decode(content, type=_Manifest).pieces)

    def spans(self, start: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield, for the bytes from ``start`` on, where a piece begins, how far in it they begin, and how many they are.

        Raises BlobMissing at the first byte that is in no piece.
        """
        end = start + length
        while start < end:
            number = bisect_right(self._starts, start) - 1
            if number < 0 or self._ends[number] <= start:
                raise BlobMissing(f"There is no byte {start}.")
            till = min(end, self._ends[number])
            yield self._starts[number], start - self._starts[number], till - start
            start = till


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    pieces: list[tuple[int, int]]
