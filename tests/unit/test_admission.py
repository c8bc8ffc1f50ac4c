"""How many connections a process holds, and which of them makes room."""

from __future__ import annotations

import pytest

from fileferry.settings import Settings
from fileferry.web.admission import RESERVE, Admission, Place, most_connections


class Quiet:
    """A connection that only notes that it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def make_room(self) -> None:
        """Close."""
        self.is_closed = True


def test_beyond_the_most_the_longest_idle_makes_room_then_the_reserve_is_used_and_has_an_end() -> None:
    admission = Admission(Settings(max_connections=2), 1024)
    first, second = Quiet(), Quiet()
    admission.is_idle(second)
    admission.is_idle(first)
    admission.is_at_work(second)
    admission.is_idle(second)
    assert admission.place(2) is Place.USUAL
    assert not first.is_closed
    assert admission.place(3) is Place.USUAL
    assert (first.is_closed, second.is_closed) == (True, False)
    admission.is_at_work(second)
    assert admission.place(3) is Place.RESERVED
    assert admission.place(2 + RESERVE) is Place.RESERVED
    assert admission.place(3 + RESERVE) is Place.NONE


@pytest.mark.parametrize(
    ("files", "asked", "most"),
    [(1024, None, 416), (20480, None, 10_000), (-1, None, 10_000), (64, None, 1), (1024, 10, 10), (1024, 5000, 416)],
)
def test_files_bound_connections(files: int, asked: int | None, most: int) -> None:
    assert most_connections(Settings(max_connections=asked), files) == most
