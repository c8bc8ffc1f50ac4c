"""puremagic's signatures, found by where they stand and how they begin instead of one after the other. What they mean is in
``signatures``.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import puremagic

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
    by_beginning: dict[bytes, list[tuple[int, puremagic.PureMagic]]]


def matches(head: bytes) -> list[Match]:
    """Return what ``puremagic.magic_string`` finds in the first bytes of a file, in its order; nothing where that raises."""
    found = [
        numbered
        for offset, length, by_beginning in _places()
        for numbered in by_beginning.get(head[offset : offset + length], ())
        if head.startswith(numbered[1].byte_match, offset)
    ]
    found.sort()  # among those that say equally much the first of puremagic's list wins
    tail = head[-_longest_ending() :]
    rows = [row for _, row in found]
    rows += [row for row in puremagic.magic_footer_array if _ends(tail, row)]
    results = [_match(row.byte_match, row) for row in rows]
    for row in rows:
        for further in puremagic.multi_part_dict.get(row.byte_match, ()):
            if further.offset < 0 and _ends(tail, further):
                results.append(_match(row.byte_match + further.byte_match, further))
            elif further.offset >= 0 and head.startswith(further.byte_match, further.offset):
                results.append(_match(head[row.offset : further.offset + len(further.byte_match)], further))
    return sorted(results, key=lambda match: (match.confidence, len(match.byte_match)), reverse=True)


@functools.cache
def _places() -> list[_Place]:
    places: dict[tuple[int, int], _Place] = {}
    for number, row in enumerate(puremagic.magic_header_array):
        length = min(len(row.byte_match), _BEGINNING)
        place = places.setdefault((row.offset, length), _Place(row.offset, length, {}))
        place.by_beginning.setdefault(row.byte_match[:length], []).append((number, row))
    return sorted(places.values(), key=lambda place: place[:2])


@functools.cache
def _longest_ending() -> int:
    """Return how many bytes of the end the signatures look at that stand there."""
    further = [row for rows in puremagic.multi_part_dict.values() for row in rows if row.offset < 0]
    lengths: list[int] = [len(row.byte_match) - row.offset for row in (*puremagic.magic_footer_array, *further)]
    return max(lengths)


def _ends(tail: bytes, row: puremagic.PureMagic) -> bool:
    return bool(tail[row.offset : row.offset + len(row.byte_match) or None] == row.byte_match)


def _match(byte_match: bytes, row: puremagic.PureMagic) -> Match:
    length = len(byte_match)
    return Match(byte_match, row.mime_type, _MOST_CONFIDENCE if length >= _LONGEST_WEIGHED else length / 10)
