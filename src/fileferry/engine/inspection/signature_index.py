"""puremagic's signatures, found by where they stand and how they begin instead of one after the other. What they mean is in
``signatures``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from puremagic import PureMagic

_BEGINNING = 4  # bytes of a signature that it is looked up by
_LONGEST_WEIGHED = 9
_MOST_CONFIDENCE = 0.8


class Match(NamedTuple):
    """A signature that bytes bear: the bytes themselves, the type that they are of, and from 0 to 0.8 how much that says."""

    byte_match: bytes
    mime_type: str
    confidence: float


class _Place(NamedTuple):
    """All signatures that begin at ``offset`` and are looked up by ``length`` bytes, with their place in puremagic's list."""

    offset: int
    length: int
    by_beginning: dict[bytes, list[tuple[int, PureMagic]]]


class _Signatures(NamedTuple):
    """puremagic's tables as they are looked up; ``longest_ending`` is how many bytes of the end they look at."""

    places: list[_Place]
    endings: list[PureMagic]
    further: dict[bytes, list[PureMagic]]
    longest_ending: int


def matches(head: bytes) -> list[Match]:
    """Return what ``puremagic.magic_string`` finds in the first bytes of a file, in its order; nothing where that raises."""
    signatures = _signatures()
    found = [
        numbered
        for offset, length, by_beginning in signatures.places
        for numbered in by_beginning.get(head[offset : offset + length], ())
        if head.startswith(numbered[1].byte_match, offset)
    ]
    found.sort()  # among those that say equally much the first of puremagic's list wins
    tail = head[-signatures.longest_ending :]
    rows = [row for _, row in found]
    rows += [row for row in signatures.endings if _ends(tail, row)]
    results = [_match(row.byte_match, row) for row in rows]
    for row in rows:
        for further in signatures.further.get(row.byte_match, ()):
            if further.offset < 0 and _ends(tail, further):
                results.append(_match(row.byte_match + further.byte_match, further))
            elif further.offset >= 0 and head.startswith(further.byte_match, further.offset):
                results.append(_match(head[row.offset : further.offset + len(further.byte_match)], further))
    return sorted(results, key=lambda match: (match.confidence, len(match.byte_match)), reverse=True)


@functools.cache
def _signatures() -> _Signatures:
    # A mebibyte, loaded with the first file.
    from puremagic import magic_footer_array, magic_header_array, multi_part_dict

    places: dict[tuple[int, int], _Place] = {}
    for number, row in enumerate(magic_header_array):
        length = min(len(row.byte_match), _BEGINNING)
        place = places.setdefault((row.offset, length), _Place(row.offset, length, {}))
        place.by_beginning.setdefault(row.byte_match[:length], []).append((number, row))
    at_the_end = [row for rows in multi_part_dict.values() for row in rows if row.offset < 0]
    longest = max(len(row.byte_match) - row.offset for row in (*magic_footer_array, *at_the_end))
    return _Signatures(
        sorted(places.values(), key=lambda place: place[:2]), magic_footer_array, multi_part_dict, longest
    )


def _ends(tail: bytes, row: PureMagic) -> bool:
    return bool(tail[row.offset : row.offset + len(row.byte_match) or None] == row.byte_match)


def _match(byte_match: bytes, row: PureMagic) -> Match:
    length = len(byte_match)
    return Match(byte_match, row.mime_type, _MOST_CONFIDENCE if length >= _LONGEST_WEIGHED else length / 10)
