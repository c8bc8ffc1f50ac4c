"""Bytes set aside on the database's disk, given up so that what ends things can still be written when that is full."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 1024 * 1024
"""How many bytes are set aside: a deletion takes some tens of KiB of the write-ahead log, until that begins anew."""


class Reserve:
    """A file beside the database, of no content."""

    def __init__(self, url: str) -> None:
        self._path = Path(url.removeprefix("sqlite:///") + "-reserve")

    def give_up(self) -> None:
        """Let go of the bytes."""
        self._path.unlink(missing_ok=True)

    def take(self) -> bool:
        """Set the bytes aside, as many of them as there are; return whether that is all of them."""
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return False  # not even room for a name
        try:
            present = os.fstat(descriptor).st_size
            disk = os.fstatvfs(descriptor)
            wanted = min(SIZE, present + disk.f_bavail * disk.f_frsize)
            if wanted > present:
                os.posix_fallocate(descriptor, present, wanted - present)
            return wanted >= SIZE
        except OSError:
            return False  # another was faster
        finally:
            os.close(descriptor)
