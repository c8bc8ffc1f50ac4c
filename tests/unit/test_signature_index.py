"""The index over puremagic's signatures finds what puremagic's own walk over all of them finds, in real files and invented ones."""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from unittest import mock

import puremagic

from fileferry.engine.inspection import signature_index, signatures
from fileferry.engine.inspection.signature_index import Match, matches

_FILES = 1000
_PER_SUFFIX = 15


def walked(head: bytes) -> list[Match]:
    """Ask puremagic itself."""
    try:
        return [Match(found.byte_match, found.mime_type, found.confidence) for found in puremagic.magic_string(head)]
    except puremagic.PureError:
        return []


def files(folders: list[Path]) -> Iterator[Path]:
    """Yield some files of every kind that their names tell."""
    seen: dict[str, int] = {}
    for folder in folders:
        for directory, within, names in os.walk(folder):
            within.sort()
            for name in sorted(names):
                path = Path(directory, name)
                suffix = path.suffix.lower()
                seen[suffix] = seen.get(suffix, 0) + 1
                if seen[suffix] <= _PER_SUFFIX and path.is_file() and os.access(path, os.R_OK):
                    yield path


@functools.cache
def corpus() -> list[tuple[bytes, str]]:
    """Return the beginnings of real files, with their names: of Python, its packages, of these tests and of the system."""
    folders = [Path(sys.prefix), Path(sys.base_prefix, "lib"), Path(__file__).parent.parent, Path("/usr/share")]
    found = []
    for path in islice(files(folders), _FILES):
        with path.open("rb") as file:
            found.append((file.read(signatures.SNIFFED_BYTES), path.name))
    return [(head, name) for head, name in found if head]


def invented() -> Iterator[bytes]:
    """Yield every signature in its place, alone and with what may follow it, among bytes of chance; and cut short."""
    chance = random.Random(14)
    for number, row in enumerate(puremagic.magic_header_array):
        if row.offset + len(row.byte_match) > signatures.SNIFFED_BYTES:
            continue
        head = chance.randbytes(row.offset) + row.byte_match
        if number % 10 == 0:
            yield head[:-1] or b"\x01"
        yield head + chance.randbytes(600)
        for further in puremagic.multi_part_dict.get(row.byte_match, ()):
            body = bytearray(head + chance.randbytes(1200))
            start = further.offset if further.offset >= 0 else len(body) + further.offset
            body[start : start + len(further.byte_match)] = further.byte_match
            yield bytes(body)
    for row in puremagic.magic_footer_array:
        yield chance.randbytes(100) + row.byte_match + chance.randbytes(-row.offset - len(row.byte_match))


def test_what_is_found_is_what_a_walk_over_all_signatures_finds() -> None:
    real = [head for head, _ in corpus()]
    assert len(real) > 300
    assert sum(bool(matches(head)) for head in real) > 50
    for head in (*real, *invented()):
        # puremagic keeps signatures of two parts in a set, so their order among equals changes from run to run.
        assert set(matches(head)) == set(walked(head))
        assert [match.confidence for match in matches(head)][:1] == [match.confidence for match in walked(head)][:1]


def test_files_are_judged_as_by_a_walk_over_all_signatures() -> None:
    asked = [(head, None, name) for head, name in corpus()]
    asked += [(head, kind, "a") for head, _ in corpus()[::7] for kind in ("application/octet-stream", "image/png")]
    judged = [signatures.judge_types(*one) for one in asked]
    with mock.patch.object(signatures, "matches", walked):
        assert judged == [signatures.judge_types(*one) for one in asked]
    assert len({detected for _, detected in judged}) > 15


def test_most_signatures_are_not_looked_at() -> None:
    looked_at = 0
    for offset, length, by_beginning in signature_index._signatures().places:
        looked_at += 1 + max(len(rows) for rows in by_beginning.values())
        assert all(
            row.offset == offset and len(row.byte_match) >= length for rows in by_beginning.values() for _, row in rows
        )
    assert looked_at < len(puremagic.magic_header_array) / 4
