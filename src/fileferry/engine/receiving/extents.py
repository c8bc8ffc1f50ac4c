"""Where the pieces of a whole lie, one after the other, and how many there may be. No I/O.

Whoever asks for a version reads its extents, and whoever completes an upload has all its bytes read: what a client makes of
little that it sends is bounded here (docs/decisions/0024-bounded-extents.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fileferry.engine.receiving.parts import MOST_BLOCKS, SMALLEST_PART
from fileferry.errors import TooManyPieces
from fileferry.model import Extent, Part

MOST_EXTENTS = 1_000
"""How many runs of bytes a version may lie in; a large one may have one for each ``BYTES_OF_EACH`` of it, as parts do."""
BYTES_OF_EACH = SMALLEST_PART
MOST_REPEATED = 64 * 1024 * 1024
"""How many bytes may be listed again (bytes); of more than that, as many as were sent."""


def joined(pieces: Iterable[Extent]) -> tuple[Extent, ...]:
    """Return the pieces in their order, those that follow each other in one blob as one; raises TooManyPieces."""
    runs: list[Extent] = []
    size = 0
    for piece in pieces:
        if not piece.length:
            continue
        size += piece.length
        last = runs[-1] if runs else None
        if last and last.blob_key == piece.blob_key and last.offset + last.length == piece.offset:
            runs[-1] = Extent(last.offset, last.length + piece.length, last.blob_key)
        else:
            runs.append(piece)
        if len(runs) > MOST_BLOCKS:
            raise _too_many(MOST_BLOCKS)
    limit = max(MOST_EXTENTS, size // BYTES_OF_EACH)
    if len(runs) > limit:
        raise _too_many(limit)
    return tuple(runs)


def join_extents(parts: Sequence[Part]) -> tuple[Extent, ...] | None:
    """Return where the parts lie in order, runs that follow each other joined; None for one run from the start.

    Raises TooManyPieces.
    """
    runs = joined(Extent(part.offset, part.size) for part in parts)
    return None if not runs or (len(runs) == 1 and runs[0].offset == 0) else runs


def refuse_repeated(size: int, sent: int) -> None:
    """Raise TooManyPieces for a whole of ``size`` bytes of which only ``sent`` are different ones."""
    if size - sent > max(MOST_REPEATED, sent):
        raise TooManyPieces(
            f"The list repeats {size - sent} bytes of what was sent: send them instead.", sent=sent, size=size
        )


def _too_many(limit: int) -> TooManyPieces:
    return TooManyPieces(
        f"The file would lie in more than {limit} runs of bytes: send larger pieces, or in their order.", limit=limit
    )
