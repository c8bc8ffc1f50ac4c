"""How an upload goes about it: in how many parts at once, from which size on, and whether a later process may continue it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fileferry.client.calls import uploads
from fileferry.client.calls.uploads import NewFile
from fileferry.client.connection import Connection
from fileferry.client.transfers.journal import Journal, journal
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.slices import Slices
from fileferry.client.transfers.sources import Source
from fileferry.errors import InvalidParameter

MULTIPART_THRESHOLD = 64 * 1024 * 1024
"""Bytes from which an upload goes in parts unless told otherwise."""
PARALLEL = 4
"""Parts under way at once unless told otherwise."""
MOST_PARALLEL = 64
"""More would wait for each other's connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one upload is made. ``resumed`` is the path of a file whose upload a later process may continue."""

    progress: Progress | None
    resumed: Path | None
    parallel: int
    part_size: int | None
    multipart_threshold: int

    def takes_parts(self, source: Source) -> bool:
        """Return whether a source is large enough to go in parts."""
        return (source.size or 0) >= max(1, self.multipart_threshold)

    def journal(self, connection: Connection, new: NewFile, slices: Slices) -> AbstractContextManager[Journal | None]:
        """Open the journal of an upload that can be continued; None for any other. Raise Conflict when it is under way."""
        if self.resumed is None:
            return nullcontext()
        asked = uploads.open_ticket(new, size=None, part_size=self.part_size)
        return journal(connection.to(asked.path), self.resumed, asked.json or {}, slices.identity)


def manner_of(
    source: object,
    *,
    progress: Progress | None,
    resume: bool,
    parallel: int,
    part_size: int | None,
    multipart_threshold: int,
) -> Manner:
    """Return how to upload ``source``; raise InvalidParameter for what cannot be done."""
    if not 1 <= parallel <= MOST_PARALLEL:
        raise InvalidParameter(f"parallel= takes 1 to {MOST_PARALLEL}.")
    if resume and not isinstance(source, str | os.PathLike):
        raise InvalidParameter("resume=True takes a path: what else is read does not outlive its process.")
    return Manner(
        progress=progress,
        resumed=Path(source) if resume and isinstance(source, str | os.PathLike) else None,
        parallel=parallel,
        part_size=part_size,
        multipart_threshold=multipart_threshold,
    )
