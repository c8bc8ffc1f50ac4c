"""Room that is kept spare on a disk, for what must go on working when it is full. Who may use it is for others to say."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from fileferry.disks.calls import sync_disk

_AGAIN_SECONDS = 1.0
"""How often a full disk is asked whether the room can be had again: on some that takes a while."""


def free_bytes(folder: Path | str) -> int:
    """Return how many bytes are free on the disk of a folder, for those who are not root; raises OSError where it is away."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


class Spare:
    """A file that takes ``size`` bytes of room. Where a quota holds, nothing but such a file tells whether there is room.

    Several processes may use one. ``size`` 0: there is none, and nothing is kept.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = str(path)
        self._size = size
        self._next_try = 0.0
        self._lock = threading.Lock()

    def keep(self) -> bool:
        """Take the room, or as much of it as there is; return whether it is all taken.

        A disk that could not give it is asked again a second later.
        """
        if self._kept() >= self._size:
            return True
        with self._lock:
            if time.monotonic() < self._next_try:
                return False
            self._take()
            if self._kept() >= self._size:
                return True
            self._next_try = time.monotonic() + _AGAIN_SECONDS
            return False

    def release(self) -> bool:
        """Give the room back; return whether there was any."""
        try:
            os.unlink(self._path)
            # Some filesystems count room as taken until what was removed is on the disk.
            sync_disk(os.path.dirname(self._path))
        except OSError:
            return False
        return True

    def _kept(self) -> int:
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def _take(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return  # not even room for a name
        try:
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, self._size)
                return
            with contextlib.suppress(OSError):
                disk, present = os.fstatvfs(descriptor), os.fstat(descriptor).st_size
                os.posix_fallocate(descriptor, 0, min(self._size, present + disk.f_bavail * disk.f_frsize))
            if os.fstat(descriptor).st_size == 0:
                os.unlink(self._path)
        finally:
            os.close(descriptor)
