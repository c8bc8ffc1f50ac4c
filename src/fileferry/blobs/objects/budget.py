"""How much memory the parts of all uploads of one process take together: what is being gathered of them, and what is being sent."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fileferry.errors import InsufficientStorage
from fileferry.groups import settled

HELD = 10 * 1024 * 1024
"""Bytes of parts that are still coming, of all uploads; what is more waits in a file."""
SENT = 16 * 1024 * 1024
"""Bytes of parts on their way to the store, of all uploads; one of more is sent alone."""


class Budget:
    """The memory that writers share. ``folder`` is where what does not fit in is kept meanwhile; by default the system's own."""

    def __init__(self, folder: Path | None = None, *, held: int = HELD, sent: int = SENT) -> None:
        self.folder = folder
        self._to_hold = held
        self._to_send = sent
        self._sent = 0
        self._dismissed = asyncio.Condition()

    def hold(self, size: int) -> bool:
        """Take ``size`` bytes for what is coming; return whether there were so many."""
        if size > self._to_hold:
            return False
        self._to_hold -= size
        return True

    def give_back(self, size: int) -> None:
        """Give back what ``hold`` took."""
        self._to_hold += size

    async def admit(self, size: int) -> None:
        """Wait until ``size`` bytes may be sent: others that are being sent end without any client's doing."""
        async with self._dismissed:
            await self._dismissed.wait_for(lambda: not self._sent or self._sent + size <= self._to_send)
            self._sent += size

    async def dismiss(self, size: int) -> None:
        """Let others send what ``admit`` let in."""
        async with self._dismissed:
            self._sent -= size
            self._dismissed.notify_all()


class Gathering:
    """The bytes of an upload that are still to be sent: in memory while the budget has some, else in a file without a name."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._chunks: list[bytes] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self.size = 0

    async def add(self, chunks: Sequence[bytes]) -> None:
        """Keep further bytes. Raises InsufficientStorage."""
        size = sum(map(len, chunks))
        if self._file is None and self._budget.hold(size):
            self._chunks.extend(chunks)
            self._held += size
        else:
            await self._spill(chunks)
        self.size += size

    async def take(self, size: int) -> bytes:
        """Return the first ``size`` bytes, and keep the others."""
        if self._file is not None:
            await self._read_back()
        over = self.size - size
        taken, self._chunks = self._chunks, []
        while over:
            last = taken.pop()
            kept = min(over, len(last))
            self._chunks.insert(0, last[len(last) - kept :])
            if kept < len(last):
                taken.append(last[: len(last) - kept])
            over -= kept
        self.size -= size
        self._budget.give_back(self._held)
        # What is left is less than a batch, and may be more than there is.
        self._held = self.size if self._budget.hold(self.size) else 0
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def drop(self) -> None:
        """Forget all of it."""
        self._budget.give_back(self._held)
        self._chunks, self._held, self.size = [], 0, 0
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _spill(self, chunks: Sequence[bytes]) -> None:
        moved, self._chunks = [*self._chunks, *chunks], []
        try:
            await settled(asyncio.ensure_future(asyncio.to_thread(self._write, moved)))
        except OSError as error:
            raise InsufficientStorage() from error
        self._budget.give_back(self._held)
        self._held = 0

    def _write(self, chunks: Sequence[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._budget.folder, buffering=0)  # noqa: SIM115
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]

    async def _read_back(self) -> None:
        """Take everything into memory, on its way out."""
        file, self._file = self._file, None
        assert file is not None
        with file:
            self._chunks = [
                await settled(asyncio.ensure_future(asyncio.to_thread(os.pread, file.fileno(), self.size, 0)))
            ]
