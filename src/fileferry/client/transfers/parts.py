"""The parts of one upload: how long each is, which the server holds, what was acknowledged. Sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from fileferry.client.failures import UnexpectedAnswer
from fileferry.client.nouns.uploads import Ticket
from fileferry.errors import Retry

Progress = Callable[[int, int | None], object]
"""Called with the bytes done so far and the total, None where it is unknown."""


class Parts:
    """The parts of an upload of ``size`` bytes; ``progress`` hears of every acknowledged one. For one thread."""

    def __init__(self, ticket: Ticket, size: int, progress: Progress | None) -> None:
        if not ticket.part_size or ticket.size != size:
            raise UnexpectedAnswer(
                "The server's upload has no parts of this file.",
                code=UnexpectedAnswer.code,
                status=0,
                retry=Retry.NEVER,
            )
        self._part_size = ticket.part_size
        self._size = size
        self._progress = progress
        self.count = max(1, -(-size // self._part_size))
        self._etags = {number: etag for number, etag in ticket.parts.items() if number <= self.count}
        self._acknowledged = sum(self.extent(number)[1] for number in self._etags)
        self._report()

    def missing(self) -> list[int]:
        """Return the numbers of the parts that the server does not hold, in order."""
        return [number for number in range(1, self.count + 1) if number not in self._etags]

    def extent(self, number: int) -> tuple[int, int]:
        """Return offset and length of a part in bytes."""
        offset = (number - 1) * self._part_size
        return offset, min(self._part_size, self._size - offset)

    def acknowledge(self, number: int, etag: str) -> None:
        """Take in that the server holds a part."""
        self._etags[number] = etag
        self._acknowledged += self.extent(number)[1]
        self._report()

    def listed(self) -> list[tuple[int, str]]:
        """Return number and ETag of every part, in order."""
        return sorted(self._etags.items())

    def _report(self) -> None:
        if self._progress:
            self._progress(self._acknowledged, self._size)
