"""Room on the disks: uploads are refused while what is left is needed for deleting, expiring and finishing what is under way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fileferry.errors import InsufficientStorage


class Room:
    """What is free on the disks that blobs and the database are on. ``reserve`` is in bytes."""

    def __init__(self, folders: Sequence[Path], reserve: int) -> None:
        self._folders = [str(folder) for folder in folders]
        self._reserve = reserve

    def refuse_full(self, size: int = 0) -> None:
        """Raise InsufficientStorage where ``size`` more bytes would leave less than the reserve."""
        if self._reserve == 0:
            return
        for folder in self._folders:
            disk = os.statvfs(folder)
            if disk.f_bavail * disk.f_frsize < self._reserve + size:
                raise InsufficientStorage()
