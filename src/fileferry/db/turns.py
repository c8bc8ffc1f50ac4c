"""Whose turn it is to write, among the processes that have one SQLite file open."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator


class Turn:
    """A lock whose waiters are woken, where SQLite's own would sleep and try again."""

    def __init__(self, database: str) -> None:
        self._descriptor = os.open(database + "-turn", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def take(self) -> None:
        """Wait for the turn."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def take_free(self) -> bool:
        """Take the turn without waiting; False while another process has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def give(self) -> None:
        """Let others have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and give it away in the end."""
        self.take()
        try:
            yield
        finally:
            self.give()

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)


@contextlib.contextmanager
def turn(database: str) -> Iterator[None]:
    """Hold off the writes of every process to the database in this file."""
    held = Turn(database)
    try:
        with held.taken():
            yield
    finally:
        held.close()
