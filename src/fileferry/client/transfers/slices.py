"""Sources that can be read anywhere, by several threads at once: what sending parts in parallel needs. Knows no parts."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from typing import IO, Protocol

from fileferry.client.failures import SourceChanged

PIECE = 256 * 1024
"""Bytes read and sent at a time: few enough that a socket takes most of them at once, as what it leaves is copied."""


class Slices(Protocol):
    """Bytes that can be read anywhere."""

    size: int

    @property
    def identity(self) -> list[int] | None:
        """What tells this content from a later one of the same file, over processes; None where nothing does."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``, none at the end; raise OSError as reading does."""

    def check_unchanged(self) -> None:
        """Raise SourceChanged when the bytes may be others than they were at first."""


class FileSlices:
    """A regular file, by its descriptor, which the caller closes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._first = os.fstat(descriptor)
        self.size = self._first.st_size

    @property
    def identity(self) -> list[int]:
        """Inode, size, and the times of the last changes: the last of them nobody can set back."""
        found = self._first
        return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the file."""
        return os.pread(self._descriptor, length, offset)

    def check_unchanged(self) -> None:
        """Compare size and time of modification."""
        if _stamp(os.fstat(self._descriptor)) != _stamp(self._first):
            raise SourceChanged()


class HandleSlices:
    """An open file of the caller's from ``start`` on. Read under a lock: an object that seeks has one position."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._lock = threading.Lock()
        self._first = self._status()
        self.size = size

    @property
    def identity(self) -> None:
        """None: an open object may be anything."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the file."""
        with self._lock:
            self._file.seek(self._start + offset)
            return bytes(self._file.read(length))

    def check_unchanged(self) -> None:
        """Compare size and time of modification, where there is a file behind the object."""
        if self._status() != self._first:
            raise SourceChanged()

    def _status(self) -> tuple[int, int] | None:
        try:
            return _stamp(os.fstat(self._file.fileno()))
        except (AttributeError, OSError, io.UnsupportedOperation):
            return None


class MemorySlices:
    """Bytes in memory."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.size = view.nbytes

    @property
    def identity(self) -> None:
        """None: memory ends with its process."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return a copy of some bytes."""
        return bytes(self._view[offset : offset + length])

    def check_unchanged(self) -> None:
        """Trust the caller."""


class Slice:
    """One stretch of slices as a source, to be sent any number of times."""

    name: str | None = None

    def __init__(self, slices: Slices, offset: int, length: int) -> None:
        self._slices = slices
        self._offset = offset
        self._end = offset + length
        self.size: int | None = length

    def chunks(self) -> Iterator[bytes]:
        """Yield the stretch; raise SourceChanged when the source ends within it."""
        position = self._offset
        while position < self._end:
            piece = self._slices.read_at(position, min(PIECE, self._end - position))
            if not piece:
                raise SourceChanged()
            position += len(piece)
            yield piece


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
