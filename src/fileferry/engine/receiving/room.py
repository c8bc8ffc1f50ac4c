"""Room on the disks: uploads are refused while what is left is needed for deleting, expiring and finishing what is under way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fileferry.disks.failures import told
from fileferry.disks.spare import Spare, free_bytes
from fileferry.errors import InsufficientStorage


class Room:
    """What is free on the disks that blobs and the database are on. ``reserve`` is in bytes.

    Disks that say how much is free are asked; a quota does not say, so the ``spare`` must be there besides.
    """

    def __init__(self, folders: Sequence[Path], reserve: int, spare: Spare | None = None) -> None:
        self._folders = [str(folder) for folder in folders]
        self._reserve = reserve
        self._spare = spare

    def free(self) -> list[tuple[str, int]]:
        """Return the folders that are written to, and how many bytes are free on the disk of each; 0 where it is away."""
        return [(folder, _free(folder)) for folder in self._folders]

    def refuse_full(self, size: int = 0) -> None:
        """Raise InsufficientStorage where ``size`` more bytes would leave less than the reserve, Unavailable without a disk."""
        if self._reserve == 0:
            return
        for folder in self._folders:
            try:
                is_full = free_bytes(folder) < self._reserve + size
            except OSError as error:
                raise told(error, "A disk") from error
            if is_full:
                raise InsufficientStorage()
        if self._spare is not None and not self._spare.keep():
            raise InsufficientStorage()


def _free(folder: str) -> int:
    try:
        return free_bytes(folder)
    except OSError:
        return 0
