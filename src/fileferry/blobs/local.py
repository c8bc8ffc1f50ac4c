"""Blobs as files of a local folder, durable once committed: file synced, renamed into place, folder synced.

Layout under the root: ``incoming/KEY`` while bytes arrive, ``blobs/TTTTT/TTT/KEY`` after commit, where T are the first digits
of the key, a time-ordered UUID: blobs that are committed together share a folder, and so its sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from fileferry.blobs.store import BlobAssembled, BlobMissing, BlobStat, BlobWriter
from fileferry.errors import FileTooLarge, InsufficientStorage, Unavailable
from fileferry.groups import GroupThread, Job, settled

T = TypeVar("T")

# A blob up to this size stays in memory until commit and then costs one visit to the disk.
_SMALL = 256 * 1024
_READ_BLOCK = 256 * 1024  # fits a processor's cache, which larger blocks do not
_THREADS = 16
_LARGEST_GROUP = 64
_MOST_VECTORS = 1024  # IOV_MAX
# Dirty pages are pushed to the disk while more bytes arrive, so that the last fsync is short.
_WRITE_BACK = 16 * 1024 * 1024
_SYNC_FILE_RANGE_WRITE = 2
_PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE and the FALLOC_FL_KEEP_SIZE that it needs
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
# A folder this young may be about to receive a blob; its name holds the time in units of 2**16 milliseconds.
_FOLDER_UNIT_SECONDS = 65.536
_YOUNG_FOLDER_SECONDS = 3600
_FOLDER_NAME = re.compile(r"[0-9a-f]{5}/[0-9a-f]{3}")
_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


class LocalStore:
    """A BlobStore in a folder. Several processes may share the folder; claims are ``flock``s, which die with their process."""

    def __init__(self, root: Path) -> None:
        self._marker = root / "store-id"
        self._incoming = root / "incoming"
        self._blobs = root / "blobs"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._blobs.mkdir(exist_ok=True)
        _sync_folder(root)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blob")
        self._committer = GroupThread("blob-commit", _Committer().commit, _LARGEST_GROUP)

    def open_write(self, key: str) -> BlobWriter:
        """Start a new blob; small ones touch the disk only at commit."""
        return _LocalWriter(self, key)

    def open_region(self, key: str, offset: int) -> BlobWriter:
        """Start writing inside the file that gathers the pieces of a blob; it is sparse until they have come."""
        return _RegionWriter(self, key, offset)

    async def discard_region(self, key: str, offset: int, length: int) -> None:
        """Punch a hole into the file where it is now."""
        await self.run(_punch_first, [self.incoming_path(key), self.final_path(key)], offset, length)

    async def assemble(self, key: str) -> None:
        """Rename the file into place and sync the folder."""
        try:
            await self._committer.submit(_Commit(self.incoming_path(key), self.final_path(key), None, []))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield the range in blocks of at most 256 KiB, reading one block ahead of the consumer."""
        if length <= _READ_BLOCK:
            yield await self.run(_read_whole, self.final_path(key), start, length)
            return
        descriptor = await self.run(_open_existing, self.final_path(key))
        try:
            end = start + length
            ahead = asyncio.ensure_future(self.run(os.pread, descriptor, min(_READ_BLOCK, length), start))
            try:
                while start < end:
                    block = await ahead
                    if not block:
                        raise BlobMissing(key)
                    start += len(block)
                    if start < end:
                        ahead = asyncio.ensure_future(
                            self.run(os.pread, descriptor, min(_READ_BLOCK, end - start), start)
                        )
                    yield block
            finally:
                # The read ahead must be over before its descriptor is closed and the number reused.
                await asyncio.wait([ahead])
        finally:
            os.close(descriptor)

    async def stat(self, key: str) -> BlobStat:
        """Return the size of the blob's file."""
        return BlobStat(key, await self.run(_size_of, self.final_path(key)))

    async def delete(self, key: str) -> None:
        """Unlink the blob, committed or not."""
        await self.run(self._unlink, key)

    async def delete_unowned(self, key: str, is_owned: Callable[[], Awaitable[bool]]) -> bool:
        """Hold the blob's lock while ``is_owned`` is asked, so that no writer can finish in between."""
        descriptor = await self.run(_claim_first, [self.incoming_path(key), self.final_path(key)])
        if descriptor is None:
            return False
        try:
            if await is_owned():
                return False
            await self.delete(key)
            return True
        finally:
            os.close(descriptor)

    async def orphans(self) -> AsyncGenerator[str]:
        """Yield every key on disk that no live writer has locked; drop old empty folders on the way."""
        for folder in [self._incoming, *await self.run(self._folders)]:
            for key in await self.run(_unclaimed, folder):
                yield key
        await self.run(self._drop_old_folders)

    async def identity(self) -> str | None:
        """Read the marker file."""
        return await self.run(_read_marker, self._marker)

    async def identify(self, id: str) -> None:
        """Write the marker file and sync it and its folder."""
        await self.run(_write_marker, self._marker, id)

    async def check(self) -> None:
        """Write and remove a small file."""
        await self.run(_try_write, self._incoming)

    async def close(self) -> None:
        """Let the committer finish its group and the threads their calls."""
        await self._committer.close()
        self._pool.shutdown()

    async def run(self, fn: Callable[..., T], *args: object) -> T:
        """Run a blocking call in the store's threads, with the disk's errors told in our own words."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, _translated, fn, *args)
        result: T = await settled(future)
        return result

    async def commit(self, job: _Commit) -> None:
        """Hand a finished blob to the committer and wait until it is durable."""
        await self._committer.submit(job)

    def open_shared(self, key: str) -> int:
        """Open, or make, the file that gathers the pieces of a blob, and claim it beside others."""
        path = self.incoming_path(key)
        while True:
            # Each may fail where another process does the opposite in between; then it is the other's turn.
            with contextlib.suppress(FileExistsError):
                return self._create_shared(key, path)
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                return descriptor

    def _create_shared(self, key: str, path: str) -> int:
        descriptor = _create_claimed(path)
        if os.path.exists(self.final_path(key)):
            os.unlink(path)
            os.close(descriptor)
            raise BlobAssembled(key)
        _sync_folder(self._incoming)
        return descriptor

    def incoming_path(self, key: str) -> str:
        """Where the blob is while bytes arrive."""
        return f"{self._incoming}/{key}"

    def final_path(self, key: str) -> str:
        """Where the blob is once committed."""
        return f"{self._blobs}/{key[:5]}/{key[5:8]}/{key}"

    def _unlink(self, key: str) -> None:
        for path in (self.final_path(key), self.incoming_path(key)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _folders(self) -> list[Path]:
        return sorted(
            folder for folder in self._blobs.glob("*/*") if _FOLDER_NAME.fullmatch("/".join(folder.parts[-2:]))
        )

    def _drop_old_folders(self) -> None:
        young = int((time.time() - _YOUNG_FOLDER_SECONDS) / _FOLDER_UNIT_SECONDS)
        for folder in self._folders():
            if int("".join(folder.parts[-2:]), 16) < young:
                _remove_if_empty(folder)
            if int(folder.parent.name + "fff", 16) < young:
                _remove_if_empty(folder.parent)


class _LocalWriter:
    def __init__(self, store: LocalStore, key: str) -> None:
        self._store = store
        self._key = key
        self._held: list[bytes] = []
        self._size = 0
        self._descriptor: int | None = None
        self._written_back = 0
        self._committed = False

    async def append(self, chunks: Sequence[bytes]) -> None:
        self._size += sum(map(len, chunks))
        if self._descriptor is None and self._size <= _SMALL:
            self._held.extend(chunks)
            return
        pending, self._held = [*self._held, *chunks], []
        await self._store.run(self._write, pending)

    async def commit(self) -> None:
        if self._descriptor is not None:
            # Outside the committer: syncing a large file may take seconds, which small ones must not wait for.
            await self._store.run(os.fsync, self._descriptor)
        source = None if self._descriptor is None else self._store.incoming_path(self._key)
        job = _Commit(source, self._store.final_path(self._key), self._descriptor, self._held)
        try:
            await self._store.commit(job)
        finally:
            self._descriptor = job.descriptor
        self._held = []
        self._committed = True

    async def close(self) -> None:
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if not self._committed:
            await self._store.delete(self._key)
        os.close(descriptor)

    def _write(self, chunks: list[bytes]) -> None:
        if self._descriptor is None:
            self._descriptor = _create_claimed(self._store.incoming_path(self._key))
        _write_all(self._descriptor, chunks)
        if self._size - self._written_back >= _WRITE_BACK:
            _start_write_back(self._descriptor, self._written_back, self._size - self._written_back)
            self._written_back = self._size


class _RegionWriter:
    """Writes from one offset of a shared file on; small regions reach the disk only at commit."""

    def __init__(self, store: LocalStore, key: str, offset: int) -> None:
        self._store = store
        self._key = key
        self._start = self._offset = offset
        self._held: list[bytes] = []
        self._held_size = 0
        self._descriptor: int | None = None
        self._committed = False

    async def append(self, chunks: Sequence[bytes]) -> None:
        self._held.extend(chunks)
        self._held_size += sum(map(len, chunks))
        if self._held_size > _SMALL:
            await self._store.run(self._write_held)

    async def commit(self) -> None:
        await self._store.run(self._finish)
        self._committed = True

    async def close(self) -> None:
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if not self._committed:
            await self._store.run(_punch, descriptor, self._start, self._offset - self._start)
        os.close(descriptor)

    def _write_held(self) -> int:
        if self._descriptor is None:
            self._descriptor = self._store.open_shared(self._key)
            os.lseek(self._descriptor, self._offset, os.SEEK_SET)
        _write_all(self._descriptor, self._held)
        _start_write_back(self._descriptor, self._offset, self._held_size)
        self._offset += self._held_size
        self._held, self._held_size = [], 0
        return self._descriptor

    def _finish(self) -> None:
        os.fdatasync(self._write_held())


class _Commit(Job):
    """One blob on its way to durability: already written to ``source``, or small and held in ``chunks``."""

    def __init__(self, source: str | None, final: str, descriptor: int | None, chunks: list[bytes]) -> None:
        super().__init__()
        self.source = source
        self.final = final
        self.descriptor = descriptor
        self.chunks = chunks

    def place(self) -> None:
        """Put the blob where it belongs, not yet durably."""
        if self.source is not None:
            _rename_once(self.source, self.final)
            return
        self.descriptor = _create_claimed(self.final)
        _write_all(self.descriptor, self.chunks)
        # Every file's blocks are on their way before the first sync waits, so that one journal commit serves the group.
        _start_write_back(self.descriptor, 0, 0)

    def sync(self) -> None:
        """Make a small blob's bytes durable; those of a large one were synced before it came here."""
        if self.source is None and self.descriptor is not None:
            os.fsync(self.descriptor)


class _Committer:
    """Makes waiting blobs durable as a group, so that they share the sync of their folder."""

    def __init__(self) -> None:
        self._known_folders: set[str] = set()

    def commit(self, group: list[_Commit]) -> None:
        """Place every blob and sync each folder once; a blob that fails carries its own error."""
        placed = [job for job in group if _attempt(job, self._place, job)]
        synced = [job for job in placed if _attempt(job, job.sync)]
        folders: dict[str, list[_Commit]] = {}
        for job in synced:
            folders.setdefault(os.path.dirname(job.final), []).append(job)
        for folder, jobs in folders.items():
            first, *others = jobs
            if not _attempt(first, _sync_folder, folder):
                for job in others:
                    job.error = first.error

    def _place(self, job: _Commit) -> None:
        folder = os.path.dirname(job.final)
        if folder not in self._known_folders:
            self._make_folder(folder)
        try:
            job.place()
        except FileNotFoundError:  # an old empty folder was cleaned away since
            self._make_folder(folder)
            job.place()

    def _make_folder(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        parent = os.path.dirname(folder)
        _sync_folder(parent)
        _sync_folder(os.path.dirname(parent))
        # Only the folders of this hour are worth remembering.
        if len(self._known_folders) > 64:
            self._known_folders.clear()
        self._known_folders.add(folder)


def _attempt(job: _Commit, step: Callable[..., None], *args: object) -> bool:
    try:
        _translated(step, *args)
    except Exception as error:
        job.error = error
        return False
    return True


def _translated(fn: Callable[..., T], *args: object) -> T:
    try:
        return fn(*args)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InsufficientStorage() from error
        if error.errno == errno.EFBIG:
            raise FileTooLarge("The blob store's filesystem takes no file this large.") from error
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS, errno.EACCES):
            raise Unavailable(
                f"The blob store cannot be used at the moment: {error.strerror}.", retry_after=5
            ) from error
        raise


def _rename_once(source: str, final: str) -> None:
    """Rename ``source`` to ``final`` unless that was done before; raises FileNotFoundError where neither is there.

    What is at ``final`` is never replaced: a late writer may have made a new ``source`` meanwhile.
    """
    if _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(final), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code == errno.ENOENT:
        os.stat(final, follow_symlinks=False)
    elif code in (errno.EINVAL, errno.ENOSYS):  # a filesystem that does not know the flag
        os.rename(source, final)
    elif code != errno.EEXIST:
        raise OSError(code, os.strerror(code), final)


def _punch_first(paths: Sequence[str], offset: int, length: int) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                _punch(descriptor, offset, length)
            finally:
                os.close(descriptor)
            return


def _punch(descriptor: int, offset: int, length: int) -> None:
    """Give the space of a run of bytes back (fallocate(2)); where the filesystem cannot, it is kept until the blob goes."""
    if length:
        _libc.fallocate(descriptor, _PUNCH_HOLE, offset, length)


def _start_write_back(descriptor: int, offset: int, length: int) -> None:
    """Begin to write dirty pages to the disk without waiting (sync_file_range(2)); a length of 0 is all. Only a hint."""
    _libc.sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)


def _create_claimed(path: str) -> int:
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # a sweep took it for an orphan between the two calls


def _write_all(descriptor: int, chunks: Sequence[bytes]) -> None:
    size = sum(map(len, chunks))
    written = os.writev(descriptor, chunks[:_MOST_VECTORS])
    if written == size:
        return
    remaining = memoryview(b"".join(chunks))[written:]
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _open_existing(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise BlobMissing(os.path.basename(path)) from None


def _read_whole(path: str, start: int, length: int) -> bytes:
    descriptor = _open_existing(path)
    try:
        block = os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)
    if len(block) != length:
        raise BlobMissing(os.path.basename(path))
    return block


def _size_of(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:
        raise BlobMissing(os.path.basename(path)) from None


def _sync_folder(folder: str | Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unclaimed(folder: Path) -> list[str]:
    names = []
    for entry in os.scandir(folder):
        # What somebody else put here, and what check() tries writing with, is not ours to judge.
        if not _KEY.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
            continue
        descriptor = _claim(entry.path)
        if descriptor is not None:
            os.close(descriptor)
            names.append(entry.name)
    return names


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


def _claim_first(paths: Sequence[str]) -> int | None:
    return next((descriptor for path in paths if (descriptor := _claim(path)) is not None), None)


def _read_marker(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _write_marker(path: Path, id: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _write_all(descriptor, [f"{id}\n".encode()])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync_folder(path.parent)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _try_write(folder: Path) -> None:
    path = folder / f".check-{os.getpid()}-{threading.get_ident()}"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        _write_all(descriptor, [b"fileferry"])
    finally:
        os.close(descriptor)
        os.unlink(path)
