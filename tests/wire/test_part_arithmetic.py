"""The arithmetic of parts: sizes, places and checksums of up to 10,000 of them, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.engine.files.versions import extents_within
from fileferry.engine.inspection.digests import combine_crc32c
from fileferry.engine.receiving.extents import join_extents
from fileferry.engine.receiving.parts import LARGEST_PART, MOST_PARTS, SMALLEST_PART, choose_part_size, choose_parts
from fileferry.errors import InvalidParameter, InvalidPart
from fileferry.model import Extent, Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def part(number: int, offset: int, size: int) -> Part:
    return Part(number, offset, size, f"{number:032x}", "00000000", NOW)


def scattered(sizes: list[int], order: list[int], gaps: list[int]) -> list[Part]:
    """Return parts of these sizes, numbered in order, placed in a blob in the order ``order`` with ``gaps`` before them."""
    placed = {}
    end = 0
    for index, gap in zip(order, gaps, strict=True):
        placed[index] = part(index + 1, end + gap, sizes[index])
        end += gap + sizes[index]
    return [placed[index] for index in range(len(sizes))]


@st.composite
def scatterings(draw: st.DrawFn) -> list[Part]:
    sizes = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    order = draw(st.permutations(range(len(sizes))))
    gaps = draw(st.lists(st.sampled_from([0, 0, 0, 7]), min_size=len(sizes), max_size=len(sizes)))
    return scattered(sizes, list(order), gaps)


@given(scatterings(), st.data())
def test_a_range_of_the_whole_is_found_wherever_its_parts_lie(parts: list[Part], data: st.DataObject) -> None:
    blob = bytearray(b"?" * max(part.offset + part.size for part in parts))
    whole = b""
    for each in parts:
        piece = bytes((each.number * 16 + position) % 256 for position in range(each.size))
        blob[each.offset : each.offset + each.size] = piece
        whole += piece
    extents = join_extents(parts)
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))
    found = [
        bytes(blob[run.offset : run.offset + run.length]) for run in extents_within(extents, len(whole), start, length)
    ]
    assert b"".join(found) == whole[start : start + length]
    assert all(found)


@given(scatterings())
def test_runs_that_follow_each_other_are_joined(parts: list[Part]) -> None:
    runs = join_extents(parts) or ()
    assert all(run.length for run in runs)
    assert all(one.offset + one.length != next_.offset for one, next_ in pairwise(runs))


def test_parts_in_their_own_places_are_one_run_however_many() -> None:
    size = 5 * 1024**3
    parts = [part(number, (number - 1) * size, size) for number in range(1, MOST_PARTS + 1)]
    assert join_extents(parts) is None
    parts[5_000] = part(5_001, MOST_PARTS * size, size)
    assert join_extents(parts) == (
        Extent(0, 5_000 * size),
        Extent(MOST_PARTS * size, size),
        Extent(5_001 * size, 4_999 * size),
    )


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_checksums_of_pieces_make_that_of_the_whole(pieces: list[bytes]) -> None:
    combined = 0
    for piece in pieces:
        combined = combine_crc32c(combined, google_crc32c.value(piece), len(piece))
    assert combined == google_crc32c.value(b"".join(pieces))


@given(st.binary(max_size=50), st.integers(0, 2_000_000))
def test_a_checksum_is_carried_over_any_distance(head: bytes, zeros: int) -> None:
    tail = bytes(zeros)
    expected = google_crc32c.extend(google_crc32c.value(head), tail)
    assert combine_crc32c(google_crc32c.value(head), google_crc32c.value(tail), zeros) == expected


@given(st.integers(0, LARGEST_PART * MOST_PARTS))
def test_a_part_size_is_found_for_every_size_that_parts_can_make(size: int) -> None:
    chosen = choose_part_size(0, size)
    assert chosen >= SMALLEST_PART
    assert -(-size // chosen) <= MOST_PARTS


@pytest.mark.parametrize("asked", [SMALLEST_PART, 8 * 1024**2, LARGEST_PART])
def test_the_limit_is_ten_thousand_parts_exactly(asked: int) -> None:
    assert choose_part_size(asked, asked * MOST_PARTS) == asked
    with pytest.raises(InvalidParameter):
        choose_part_size(asked, asked * MOST_PARTS + 1)


@pytest.mark.parametrize("asked", [1, SMALLEST_PART - 1, LARGEST_PART + 1])
def test_part_sizes_out_of_bounds_are_refused(asked: int) -> None:
    with pytest.raises(InvalidParameter):
        choose_part_size(asked, 1)


def test_ten_thousand_listed_parts_are_chosen_in_order() -> None:
    present = [part(number, number, 1) for number in range(1, MOST_PARTS + 1)]
    listed = [(each.number, f'"{each.md5.upper()}"') for each in present]
    assert choose_parts(present, listed) == present
    assert choose_parts(present, listed[::2]) == present[::2]
    with pytest.raises(InvalidPart) as refused:
        choose_parts(present[:-1], listed)
    assert refused.value.fields["part_number"] == MOST_PARTS
