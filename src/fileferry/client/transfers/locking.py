"""Files that one process at a time may hold: opened and locked, for partial downloads and the state of uploads."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from fileferry.errors import Conflict


def open_locked(path: Path, busy: str, *, mode: int = 0o666) -> IO[bytes]:
    """Open ``path`` for reading and writing, made with ``mode`` where it is missing; raise Conflict(busy) when it is held."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), mode)
        file = os.fdopen(descriptor, "r+b", buffering=1024 * 1024)
        try:
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return file
        except BlockingIOError:
            file.close()
            raise Conflict(busy) from None
        except FileNotFoundError:
            pass
        # Whoever held it removed it between our opening and our locking: what we hold is no longer the file.
        file.close()


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        """Do nothing: an open file cannot be renamed there, which protects it as well."""

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
