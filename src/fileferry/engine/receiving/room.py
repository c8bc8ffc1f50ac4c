"""Room on the disks: uploads are refused while what is left is needed for deleting, expiring and finishing what is under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from fileferry.disks.failures import told
from fileferry.disks.spare import Spare, free_bytes
from fileferry.errors import InsufficientStorage

_REMEMBERED_SECONDS = 0.02
"""How long a disk is not asked again that has far more room than must be free."""


class Room:
    """What is free on the disks that blobs and the database are on. ``reserve`` is in bytes.

    Disks that say how much is free are asked; a quota does not say, so the ``spare`` must be there besides.
    """

    def __init__(self, folders: Sequence[Path], reserve: int, spare: Spare | None = None) -> None:
        self._folders = [str(folder) for folder in folders]
        self._reserve = reserve
        self._spare = spare
        self._plenty: dict[str, float] = {}  # until when a folder's disk is not asked again

    def free(self) -> list[tuple[str, int]]:
        """Return the folders that are written to, and how many bytes are free on the disk of each; 0 where it is away."""
        return [(folder, _free(folder)) for folder in self._folders]

    def refuse_full(self, size: int = 0) -> None:
        """Raise InsufficientStorage where ``size`` more bytes would leave less than the reserve, Unavailable without a disk."""
        if self._reserve == 0:
            return
        for folder in self._folders:
            self._refuse_full(folder, size)
        if self._spare is not None and not self._spare.keep():
            raise InsufficientStorage()

    def _refuse_full(self, folder: str, size: int) -> None:
        now = time.monotonic()
        if size <= self._reserve and now < self._plenty.get(folder, 0):
            return
        try:
            free = free_bytes(folder)
        except OSError as error:
            raise told(error, "A disk") from error
        if free < self._reserve + size:
            raise InsufficientStorage()
        # Asking for every small file costs more than a statement does.
        if free > 3 * self._reserve:
            self._plenty[folder] = now + _REMEMBERED_SECONDS


def _free(folder: str) -> int:
    try:
        return free_bytes(folder)
    except OSError:
        return 0
