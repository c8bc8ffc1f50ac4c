"""What the local store asks of the filesystem, one system call or a few at a time. It knows paths and descriptors, no blobs."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import TypeVar

from fileferry.blobs.store import BlobMissing
from fileferry.disks.calls import NO_SUCH_CALL, rename_exclusive
from fileferry.disks.failures import told

T = TypeVar("T")
_MOST_VECTORS = 1024  # IOV_MAX
_SYNC_FILE_RANGE_WRITE = 2
_PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE and the FALLOC_FL_KEEP_SIZE that it needs
_BESIDE = ".copy"  # how the name of a copy ends that is about to be renamed
_COPIED = 8 * 1024 * 1024
_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def translated(fn: Callable[..., T], *args: object) -> T:
    """Call ``fn``, with the disk's errors told in our own words: InsufficientStorage, FileTooLarge, otherwise Unavailable.

    A FileExistsError says that another was first and is for the caller to understand.
    """
    try:
        return fn(*args)
    except FileExistsError:
        raise
    except OSError as error:
        raise told(error) from error


class ElsewhereError(Exception):
    """A file cannot be renamed into this folder, as the two are on different disks: EXDEV."""


def rename_once(source: str, final: str) -> bool:
    """Rename ``source`` to ``final`` unless that was done before; raises FileNotFoundError where neither is there.

    What is at ``final`` is never replaced: a late writer may have made a new ``source`` meanwhile. Raises ElsewhereError. Returns
    whether it was done by a second name: there the claim of the first need not hold (``claim_anew``).
    """
    try:
        rename_exclusive(source, final)
    except FileNotFoundError:
        os.stat(final, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno == errno.EXDEV:
            # Which is said before it is looked whether there is anything.
            if os.path.lexists(final):
                return False
            os.stat(source, follow_symlinks=False)
            raise ElsewhereError(final) from error
        if error.errno not in NO_SUCH_CALL:
            raise
        _rename_by_link(source, final)
        return True
    return False


def _rename_by_link(source: str, final: str) -> None:
    """Do the same where renaming cannot be told to spare what is there, as on most filesystems by FUSE: a second name can."""
    try:
        os.link(source, final, follow_symlinks=False)
    except FileNotFoundError:
        os.stat(final, follow_symlinks=False)
        return
    except FileExistsError:
        # Two names of one file: the first half of this was done, and then the process or the machine ended.
        if not _is_same(source, final):
            return
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise ElsewhereError(final) from error
        if error.errno not in (errno.EPERM, errno.EMLINK, *NO_SUCH_CALL):
            raise
        # Neither way is there: two processes that do this at once could replace each other's, and start-up warns of it.
        if not os.path.lexists(final):
            os.rename(source, final)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(source)


def claim_anew(path: str, claim: int) -> int:
    """Claim a file by the name that it has now, in place of a claim by another; an OSError says that a sweep was first.

    Several filesystems by FUSE take two names of one file for two files, each with locks of its own.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not os.path.lexists(path):
        os.close(descriptor)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
    os.close(claim)
    return descriptor


def _is_same(source: str, final: str) -> bool:
    try:
        return os.path.samefile(source, final)
    except FileNotFoundError:
        return False


class CopyBeside:
    """A copy of a file, under a name of its own in the folder of ``final``; ``descriptor`` claims it."""

    def __init__(self, source: str, final: str) -> None:
        self.path = f"{final}.{secrets.token_hex(4)}{_BESIDE}"
        self.descriptor: int | None = None
        self._source = source

    def make(self) -> None:
        """Copy the bytes, and sync them."""
        source = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.descriptor = create_claimed(self.path)
            while os.sendfile(self.descriptor, source, None, _COPIED):
                pass
            os.fsync(self.descriptor)
        finally:
            os.close(source)

    def discard(self) -> None:
        """Remove what is left of it: nothing where it was renamed, and its descriptor taken."""
        remove(self.path)
        if self.descriptor is not None:
            os.close(self.descriptor)


def remove(path: str) -> None:
    """Unlink a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def punch_first(paths: Sequence[str], offset: int, length: int) -> None:
    """Give back the space of a run of bytes in the first of these files that is there."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                punch(descriptor, offset, length)
            finally:
                os.close(descriptor)
            return


def punch(descriptor: int, offset: int, length: int) -> None:
    """Give the space of a run of bytes back (fallocate(2)); where the filesystem cannot, it is kept until the blob goes."""
    if length:
        _libc.fallocate(descriptor, _PUNCH_HOLE, offset, length)


def start_write_back(descriptor: int, offset: int, length: int) -> None:
    """Begin to write dirty pages to the disk without waiting (sync_file_range(2)); a length of 0 is all. Only a hint."""
    _libc.sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)


def create_claimed(path: str) -> int:
    """Make a file and claim it beside others; raises FileExistsError."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Some filesystems go on to count a name that is gone, so it is looked for too.
        if os.fstat(descriptor).st_nlink and os.path.lexists(path):
            return descriptor
        os.close(descriptor)  # a sweep took it for an orphan between the two calls


def write_all(descriptor: int, chunks: Sequence[bytes]) -> None:
    """Write all of these, where the descriptor stands."""
    size = sum(map(len, chunks))
    written = os.writev(descriptor, chunks[:_MOST_VECTORS])
    if written == size:
        return
    remaining = memoryview(b"".join(chunks))[written:]
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def open_existing(path: str) -> int:
    """Open a blob to read it; raises BlobMissing."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise BlobMissing(os.path.basename(path)) from None


def open_file(path: str) -> FileIO:
    """Do the same for whoever may be gone when it is open: a file that nobody holds is closed."""
    return FileIO(path, opener=lambda named, _flags: open_existing(named))


def read_whole(path: str, start: int, length: int) -> bytes:
    """Return ``length`` bytes of a blob from offset ``start``; raises BlobMissing where there are fewer."""
    descriptor = open_existing(path)
    try:
        block = os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)
    if len(block) != length:
        raise BlobMissing(os.path.basename(path))
    return block


def read_cached(descriptor: int, room: memoryview, start: int) -> bytes:
    """Return what is in the page cache from offset ``start``, at most as much as there is room; nothing where that takes a disk.

    Never waits (preadv2(2), RWF_NOWAIT); a filesystem that cannot promise that gives nothing, ever.
    """
    try:
        size = os.preadv(descriptor, [room], start, os.RWF_NOWAIT)
    except OSError:
        return b""
    return bytes(room[:size])


def any_exists(paths: Sequence[str]) -> bool:
    """Whether one of these files is there."""
    return any(map(os.path.lexists, paths))


def size_of(path: str) -> int:
    """Return how many bytes a blob has; raises BlobMissing."""
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:
        raise BlobMissing(os.path.basename(path)) from None


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unclaimed(folder: Path) -> list[str]:
    """Return the keys of the blobs in a folder that no live process holds."""
    names = []
    for entry in os.scandir(folder):
        if entry.name.endswith(_BESIDE):
            _remove_unclaimed(entry.path)
        # What somebody else put here, and what check() tries writing with, is not ours to judge.
        if not _KEY.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
            continue
        descriptor = _claim(entry.path)
        if descriptor is not None:
            os.close(descriptor)
            names.append(entry.name)
    return names


def _remove_unclaimed(path: str) -> None:
    descriptor = _claim(path)
    if descriptor is not None:
        remove(path)
        os.close(descriptor)


def _claim(path: str) -> int | None:
    """Return a descriptor that holds the blob alone; None while a live process writes it or has yet to record its owner."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def claim_first(paths: Sequence[str]) -> int | None:
    """Claim the first of these files that can be; None where none can."""
    return next((descriptor for path in paths if (descriptor := _claim(path)) is not None), None)


def read_marker(path: Path) -> str | None:
    """Return what ``write_marker`` has written, or None."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def write_marker(path: Path, id: str) -> None:
    """Write an id to a file, durably."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, [f"{id}\n".encode()])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def try_write(folder: Path) -> None:
    """Write a few bytes to a file of its own in a folder, and remove it."""
    path = folder / f".check-{os.getpid()}-{threading.get_ident()}"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, [b"fileferry"])
    finally:
        os.close(descriptor)
        os.unlink(path)
