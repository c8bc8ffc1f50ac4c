"""The arithmetic of parts: how many an upload has, how long each is, and which make the file. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fileferry.errors import FileTooLarge, InvalidParameter, InvalidPart, SizeMismatch
from fileferry.model import Part, Upload

MOST_PARTS = 10_000
MOST_BLOCKS = 50_000
MOST_PARTIALS = 1_000
MOST_WAITING_BLOCKS = 100_000
SMALLEST_PART = 64 * 1024
LARGEST_PART = 5 * 1024**3
_USUAL_PART = 8 * 1024**2


def part_length(upload: Upload, number: int) -> int | None:
    """Return how many bytes a part must have, None where that is open; raises InvalidPart for a number out of range."""
    if not 1 <= number <= MOST_PARTS:
        raise InvalidPart(f"Part numbers go from 1 to {MOST_PARTS}.", part_number=number)
    if upload.part_size is None or upload.promised_size is None:
        return None
    count = part_count(upload)
    if number > count:
        raise InvalidPart(f"This upload has {count} parts; there is no part {number}.", part_number=number)
    return upload.part_size if number < count else upload.promised_size - (count - 1) * upload.part_size


def part_count(upload: Upload) -> int:
    """Return how many parts an upload of known size and part size has: at least one."""
    assert upload.part_size is not None
    assert upload.promised_size is not None
    return max(1, -(-upload.promised_size // upload.part_size))


def multipart_etag(parts: Sequence[Part]) -> str:
    """Return the entity tag that S3 gives an object of these parts: MD5 of their MD5s, a dash, and how many."""
    joined = hashlib.md5(b"".join(bytes.fromhex(part.md5) for part in parts), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(parts)}"


def choose_part_size(asked: int, size: int) -> int:
    """Return the part size for an upload of ``size`` bytes: the one asked for, or with 0 one that needs few enough parts."""
    if asked and not SMALLEST_PART <= asked <= LARGEST_PART:
        raise InvalidParameter(f"partSize must be from {SMALLEST_PART} to {LARGEST_PART} bytes.", parameter="partSize")
    chosen = asked or _USUAL_PART
    if not asked:
        while -(-size // chosen) > MOST_PARTS:
            chosen *= 2
    if -(-size // chosen) > MOST_PARTS:
        raise InvalidParameter(f"An upload has at most {MOST_PARTS} parts: ask for larger ones.", parameter="partSize")
    return chosen


def choose_parts(present: list[Part], listed: Sequence[tuple[int, str]] | None) -> list[Part]:
    """Return the parts that make the file; raises InvalidPart for one that is missing, stale or out of order."""
    if listed is None:
        return present
    if not listed:
        raise InvalidPart("List the parts that make the file.")
    by_number = {part.number: part for part in present}
    last = 0
    for number, etag in listed:
        if number <= last:
            raise InvalidPart("List every part once, in ascending order.", part_number=number)
        last = number
        part = by_number.get(number)
        if part is None:
            raise InvalidPart(f"Part {number} has not arrived.", part_number=number)
        if part.md5 != etag.strip().strip('"').lower():
            raise InvalidPart(f"Part {number} has another ETag: it was replaced, or is not yours.", part_number=number)
    return [by_number[number] for number, _etag in listed]


def refuse_part_size(expected: int | None, announced: int | None) -> None:
    """Raise FileTooLarge or SizeMismatch for a part that announces another size than it must have."""
    if announced is None or expected is None or announced == expected:
        return
    if announced > expected:
        raise FileTooLarge(f"This part has {expected} bytes, not {announced}.", expected=expected)
    raise SizeMismatch(f"This part has {expected} bytes, not {announced}.", expected=expected)
