"""Blobs as files of a local folder, durable once committed: file synced, renamed into place, folder synced.

Layout under the root: ``incoming/KEY`` while bytes arrive, ``blobs/TTTTT/TTT/KEY`` after commit, where T are the first digits
of the key, a time-ordered UUID: blobs that are committed together share a folder, and so its sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

from fileferry.blobs.direct import Observation, Report
from fileferry.blobs.local.commits import Commit, Committer
from fileferry.blobs.local.disk import (
    CopyBeside,
    ElsewhereError,
    T,
    any_exists,
    claim_first,
    create_claimed,
    open_existing,
    open_file,
    punch,
    punch_first,
    read_cached,
    read_marker,
    read_whole,
    remove,
    remove_if_empty,
    size_of,
    start_write_back,
    sync_folder,
    translated,
    try_write,
    unclaimed,
    write_all,
    write_marker,
)
from fileferry.blobs.store import BlobAssembled, BlobMissing, BlobStat, BlobWriter, Capabilities
from fileferry.errors import FerryError
from fileferry.groups import GroupThread, settled
from fileferry.model import Extent

# A blob up to this size stays in memory until commit and then costs one visit to the disk.
_SMALL = 256 * 1024
_READ_BLOCK = 256 * 1024  # fits a processor's cache, which larger blocks do not
_CACHED_BLOCK = 64 * 1024  # costs no thread; shorter than the others, as the event loop copies it
_THREADS = 16
_LARGEST_GROUP = 64

# Dirty pages are pushed to the disk while more bytes arrive, so that the last fsync is short.
_WRITE_BACK = 16 * 1024 * 1024

# A folder this young may be about to receive a blob; its name holds the time in units of 2**16 milliseconds.
_FOLDER_UNIT_SECONDS = 65.536
_YOUNG_FOLDER_SECONDS = 3600
_FOLDER_NAME = re.compile(r"[0-9a-f]{5}/[0-9a-f]{3}")


class LocalStore:
    """A BlobStore in a folder. Several processes may share the folder; claims are ``flock``s, which die with their process."""

    capabilities = Capabilities(has_files=True)
    direct_uploads = None
    direct_downloads = None

    def __init__(self, root: Path) -> None:
        self._marker = root / "store-id"
        self._incoming = root / "incoming"
        self._blobs = root / "blobs"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._blobs.mkdir(exist_ok=True)
        sync_folder(root)
        self._room = memoryview(bytearray(_CACHED_BLOCK))
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blob")
        self._committer = GroupThread("blob-commit", Committer().commit, _LARGEST_GROUP)

    def open_write(self, key: str) -> BlobWriter:
        """Start a new blob; small ones touch the disk only at commit."""
        return _LocalWriter(self, key)

    def open_region(self, key: str, offset: int) -> BlobWriter:
        """Start writing inside the file that gathers the pieces of a blob; it is sparse until they have come."""
        return _RegionWriter(self, key, offset)

    async def discard_region(self, key: str, offset: int, length: int) -> None:
        """Punch a hole into the file where it is now."""
        await self.run(punch_first, [self.incoming_path(key), self.final_path(key)], offset, length)

    async def assemble(self, key: str) -> None:
        """Rename the file into place and sync the folder."""
        job = Commit(self.incoming_path(key), self.final_path(key), None, [])
        await self.commit(job)
        if job.descriptor is not None:
            os.close(job.descriptor)

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield the range in blocks of at most 256 KiB: what is in the page cache at once, other bytes from a thread.

        Nothing is read before the consumer asks for it: one who has stopped asking costs no more than the block he has. The
        kernel reads the disk ahead by itself.
        """
        if length <= _READ_BLOCK:
            yield await self.run(read_whole, self.final_path(key), start, length)
            return
        descriptor = await self.run(open_existing, self.final_path(key))
        try:
            end = start + length
            while start < end:
                block = read_cached(descriptor, self._room[: end - start], start)
                if block:
                    await asyncio.sleep(0)  # others have their turn, however fast this consumer is
                else:
                    block = await self.run(os.pread, descriptor, min(_READ_BLOCK, end - start), start)
                if not block:
                    raise BlobMissing(key)
                start += len(block)
                yield block
                del block
        finally:
            os.close(descriptor)

    async def open_file(self, key: str) -> FileIO:
        """Open the blob's own file."""
        return await self.run(open_file, self.final_path(key))

    async def stat(self, key: str) -> BlobStat:
        """Return the size of the blob's file."""
        return BlobStat(key, await self.run(size_of, self.final_path(key)))

    async def runs(self, key: str) -> list[Extent]:
        """Return the whole file: a hole cannot be told from zeros that came."""
        return [Extent(0, (await self.stat(key)).size)]

    async def is_begun(self, key: str) -> bool:
        """Look for the blob's file in both places."""
        return await self.run(any_exists, [self.incoming_path(key), self.final_path(key)])

    async def delete(self, key: str) -> None:
        """Unlink the blob, committed or not."""
        await self.run(self._unlink, key)

    async def delete_unowned(self, key: str, is_owned: Callable[[], Awaitable[bool]]) -> bool:
        """Hold the blob's lock while ``is_owned`` is asked, so that no writer can finish in between."""
        descriptor = await self.run(claim_first, [self.incoming_path(key), self.final_path(key)])
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
            for key in await self.run(unclaimed, folder):
                yield key
        await self.run(self._drop_old_folders)

    async def identity(self) -> str | None:
        """Read the marker file."""
        return await self.run(read_marker, self._marker)

    async def identify(self, id: str) -> None:
        """Write the marker file and sync it and its folder."""
        await self.run(write_marker, self._marker, id)

    async def probe(self) -> Report:
        """Write and remove a small file; what is known of the disk is told elsewhere."""
        folder = str(self._incoming.parent)
        try:
            await self.check()
            came, is_fine = "done", True
        except FerryError as error:
            came, is_fine = error.detail, False
        seen = Observation("write", "write and remove a small file", came, "", is_fine)
        return Report(folder, [seen], uploads=False, downloads=False, reasons=["A folder gives out no URLs."])

    async def check(self) -> None:
        """Write and remove a small file."""
        await self.run(try_write, self._incoming)

    async def close(self) -> None:
        """Let the committer finish its group and the threads their calls."""
        await self._committer.close()
        self._pool.shutdown()

    async def run(self, fn: Callable[..., T], *args: object) -> T:
        """Run a blocking call in the store's threads, with the disk's errors told in our own words."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, translated, self._there, fn, *args)
        result: T = await settled(future)
        return result

    def _there(self, fn: Callable[..., T], *args: object) -> T:
        """Call ``fn``; a blob that is missing because the whole store is, its disk taken away, is not missing."""
        try:
            return fn(*args)
        except BlobMissing:
            os.stat(self._incoming)
            raise

    async def commit(self, job: Commit) -> None:
        """Hand a finished blob to the committer and wait until it is durable."""
        try:
            await self._committer.submit(job)
        except ElsewhereError:
            assert job.source is not None
            await self._commit_copy(job, job.source)

    async def _commit_copy(self, job: Commit, source: str) -> None:
        """Do the same where what came in is on another disk, as on mergerfs it may be: for a copy in the blob's own folder."""
        copy = CopyBeside(source, job.final)
        try:
            await self.run(copy.make)
            moved = Commit(copy.path, job.final, copy.descriptor, [])
            try:
                await self._committer.submit(moved)
            finally:
                copy.descriptor = moved.descriptor
            if job.descriptor is not None:
                os.close(job.descriptor)
            job.descriptor, copy.descriptor = copy.descriptor, None
        finally:
            await self.run(copy.discard)
        await self.run(remove, source)

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
        descriptor = create_claimed(path)
        if os.path.exists(self.final_path(key)):
            os.unlink(path)
            os.close(descriptor)
            raise BlobAssembled(key)
        sync_folder(self._incoming)
        return descriptor

    def incoming_path(self, key: str) -> str:
        """Where the blob is while bytes arrive."""
        return f"{self._incoming}/{key}"

    def final_path(self, key: str) -> str:
        """Where the blob is once committed."""
        return f"{self._blobs}/{key[:5]}/{key[5:8]}/{key}"

    def _unlink(self, key: str) -> None:
        for path in (self.final_path(key), self.incoming_path(key)):
            remove(path)

    def _folders(self) -> list[Path]:
        return sorted(
            folder for folder in self._blobs.glob("*/*") if _FOLDER_NAME.fullmatch("/".join(folder.parts[-2:]))
        )

    def _drop_old_folders(self) -> None:
        young = int((time.time() - _YOUNG_FOLDER_SECONDS) / _FOLDER_UNIT_SECONDS)
        for folder in self._folders():
            if int("".join(folder.parts[-2:]), 16) < young:
                remove_if_empty(folder)
            if int(folder.parent.name + "fff", 16) < young:
                remove_if_empty(folder.parent)


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
        job = Commit(source, self._store.final_path(self._key), self._descriptor, self._held)
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
            self._descriptor = create_claimed(self._store.incoming_path(self._key))
        write_all(self._descriptor, chunks)
        if self._size - self._written_back >= _WRITE_BACK:
            start_write_back(self._descriptor, self._written_back, self._size - self._written_back)
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
            await self._store.run(punch, descriptor, self._start, self._offset - self._start)
        os.close(descriptor)

    def _write_held(self) -> int:
        if self._descriptor is None:
            self._descriptor = self._store.open_shared(self._key)
            os.lseek(self._descriptor, self._offset, os.SEEK_SET)
        write_all(self._descriptor, self._held)
        start_write_back(self._descriptor, self._offset, self._held_size)
        self._offset += self._held_size
        self._held, self._held_size = [], 0
        return self._descriptor

    def _finish(self) -> None:
        os.fdatasync(self._write_held())
