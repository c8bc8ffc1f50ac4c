"""Where an upload's bytes come from: paths, bytes, open files and iterables, read in chunks, counted and digested.

Knows nothing of HTTP. What has a size can be read again, which is what makes a repeated upload possible.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol, cast

from fileferry.client.failures import SourceChanged
from fileferry.client.transfers.slices import FileSlices, HandleSlices, MemorySlices, Slices

CHUNK = 1024 * 1024
"""Bytes read and sent at a time."""

Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Iterable[bytes]
"""What ``Client.upload`` takes; a str is a path."""


class Source(Protocol):
    """Bytes to upload: ``name`` and ``size`` where they are known."""

    name: str | None
    size: int | None

    def chunks(self) -> Iterator[bytes]:
        """Yield everything from the first byte; raise OSError as reading does."""


class Sliceable(Source, Protocol):
    """Bytes to upload that can be read anywhere, in parts."""

    def slices(self) -> contextlib.AbstractContextManager[Slices]:
        """Open the bytes for reading anywhere."""


class PathSource:
    """A file of the local file system. A FIFO or a device has no size and can be read once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.name: str | None = self._path.name
        status = self._path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"{self._path} is a folder; upload its files one by one.")
        self._regular = stat.S_ISREG(status.st_mode)
        self.size: int | None = status.st_size if self._regular else None

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, at most the size it had at first."""
        with self._path.open("rb", buffering=0) as file:
            yield from _exactly(self.size, file) if self._regular else _until_the_end(file)

    @contextlib.contextmanager
    def slices(self) -> Iterator[Slices]:
        """Open a regular file."""
        with self._path.open("rb", buffering=0) as file:
            yield FileSlices(file.fileno())


class BytesSource:
    """Bytes in memory."""

    name: str | None = None

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(content).cast("B")
        self.size: int | None = self._view.nbytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        for start in range(0, self._view.nbytes, CHUNK):
            yield bytes(self._view[start : start + CHUNK])

    @contextlib.contextmanager
    def slices(self) -> Iterator[Slices]:
        """Give the bytes."""
        yield MemorySlices(self._view)


class HandleSource:
    """An open binary file, from where it stands now. The caller closes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        name = getattr(file, "name", None)
        self.name: str | None = os.path.basename(name) if isinstance(name, str) and not name.startswith("<") else None
        self._start = file.tell() if _is_seekable(file) else None
        self.size: int | None = None
        if self._start is not None:
            self.size = max(0, file.seek(0, os.SEEK_END) - self._start)
            file.seek(self._start)

    def chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes from where it stood at first."""
        if self._start is None:
            return _until_the_end(self._file)
        self._file.seek(self._start)
        return _exactly(self.size, self._file)

    @contextlib.contextmanager
    def slices(self) -> Iterator[Slices]:
        """Give a file that can seek."""
        assert self._start is not None
        assert self.size is not None
        yield HandleSlices(self._file, self._start, self.size)


class IterableSource:
    """Chunks that somebody else makes; read once."""

    name: str | None = None
    size: int | None = None

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def chunks(self) -> Iterator[bytes]:
        """Yield the chunks as they come."""
        for chunk in self._chunks:
            yield as_bytes(chunk)


class Sending:
    """One attempt to send a source: yields its chunks and keeps their count and digest."""

    def __init__(self, source: Source, algorithm: str = "sha256") -> None:
        self._source = source
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self.total = source.size
        self.sent = 0
        self.ended = False
        """Whether the source gave all it had."""

    @property
    def digest(self) -> str:
        """The digest of what was given out so far, hexadecimal."""
        return self._hash.hexdigest()

    def headers(self) -> dict[str, str]:
        """Return the header that announces the size; none for an unknown one, which is sent chunked."""
        return {} if self.total is None else {"Content-Length": str(self.total)}

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        for chunk in self._source.chunks():
            self._count(chunk)
            yield chunk
        self.ended = True

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.sent += len(chunk)


def source_of(readable: Readable) -> Source:
    """Return the source for what a caller gave; raise TypeError for what holds no bytes, OSError for a bad path."""
    if isinstance(readable, str | os.PathLike):
        return PathSource(readable)
    if isinstance(readable, bytes | bytearray | memoryview):
        return BytesSource(readable)
    if hasattr(readable, "read"):
        refuse_text(readable)
        return HandleSource(cast(IO[bytes], readable))
    if isinstance(readable, Iterable):
        return IterableSource(readable)
    raise TypeError(f"Cannot upload {type(readable).__name__}: give a path, bytes, a binary file or chunks.")


def refuse_text(file: object) -> None:
    """Raise TypeError for a file that is open as text: it would change the bytes, or take none."""
    # Only text has an encoding; a wrapper such as a temporary file shows that of the file inside.
    if hasattr(file, "encoding"):
        raise TypeError("The file is open as text: open it in binary mode, 'rb' to read and 'wb' to write.")


def sliced(source: Source) -> contextlib.AbstractContextManager[Slices]:
    """Open for reading anywhere a source whose size is known: a regular file, a file that can seek, or bytes."""
    assert source.size is not None
    return cast(Sliceable, source).slices()


def _until_the_end(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := as_bytes(file.read(CHUNK)):
        yield chunk


def _exactly(size: int | None, file: IO[bytes]) -> Iterator[bytes]:
    remaining = size or 0
    while remaining:
        chunk = as_bytes(file.read(min(CHUNK, remaining)))
        if not chunk:
            raise SourceChanged(f"The file became {remaining} bytes shorter while it was sent; nothing was stored.")
        remaining -= len(chunk)
        yield chunk


def as_bytes(chunk: object) -> bytes:
    """Return what a caller's source gave as bytes; raise TypeError for what is none."""
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, bytearray | memoryview):
        return bytes(chunk)
    raise TypeError(f"An upload is made of bytes, not {type(chunk).__name__}: open files in binary mode.")


def _is_seekable(file: IO[bytes]) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable and seekable())
