"""Limits taken together: what several allow is what each of them allows, and changing them is judged before anything is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.engine.access.limits import changed, expiry, intersect, refuse_size, refuse_type, remaining, rules
from fileferry.errors import FileTooLarge, InvalidExpiry, InvalidParameter, UnsupportedType
from fileferry.model import NO_LIMITS, Limits
from fileferry.settings import Settings

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TYPES = ("text/plain", "text/csv", "application/pdf")

limits = st.builds(
    Limits,
    max_size=st.none() | st.integers(0, 5),
    types=st.none() | st.lists(st.sampled_from(TYPES), unique=True).map(tuple),
    max_retention=st.none() | st.integers(1, 5),
    refuse_empty=st.none() | st.booleans(),
    serve_unscanned=st.none() | st.booleans(),
)


@given(st.lists(limits, max_size=4), st.integers(0, 6), st.sampled_from(TYPES), st.integers(1, 6))
def test_what_several_allow_is_what_each_of_them_allows(
    several: list[Limits], size: int, media_type: str, life: int
) -> None:
    together = intersect(*several)

    def allows(one: Limits) -> bool:
        fits = one.max_size is None or size <= one.max_size
        lives = one.max_retention is None or life <= one.max_retention
        return fits and lives and (one.types is None or media_type in one.types)

    assert allows(together) == all(allows(one) for one in several)
    assert bool(together.refuse_empty) == any(one.refuse_empty for one in several)
    assert (together.serve_unscanned is False) == any(one.serve_unscanned is False for one in several)


@given(st.lists(limits, max_size=3))
def test_the_order_changes_nothing(several: list[Limits]) -> None:
    one, other = intersect(*several), intersect(*reversed(several))
    assert set(one.types or ()) == set(other.types or ())
    for name in ("max_size", "max_retention"):
        assert getattr(one, name) == getattr(other, name)


def test_types_that_share_nothing_leave_nothing() -> None:
    none = intersect(Limits(types=("text/csv",)), Limits(types=("application/pdf",)))
    assert none.types == ()


def test_a_size_is_judged_where_it_is_known() -> None:
    refuse_size(Limits(max_size=5), None)
    refuse_size(Limits(max_size=5), 5)
    with pytest.raises(FileTooLarge) as refused:
        refuse_size(Limits(max_size=5), 6)
    assert refused.value.fields["limit"] == 5


def test_a_type_is_judged_by_the_last_name_of_a_path() -> None:
    allowed = Limits(types=("application/pdf",))
    refuse_type(allowed, "a.exe/report.pdf", "application/pdf")
    with pytest.raises(UnsupportedType):
        refuse_type(allowed, "report.pdf/a.exe", None)


def test_a_life_is_what_was_asked_for_within_what_is_allowed() -> None:
    day, week = timedelta(days=1), timedelta(days=7)
    allowed = Limits(max_retention=int(week.total_seconds()))
    assert expiry(NO_LIMITS, NOW, None, None) is None
    assert expiry(allowed, NOW, None, None) == NOW + week
    assert expiry(allowed, NOW, day, None) == NOW + day
    assert expiry(allowed, NOW, None, NOW + week) == NOW + week
    with pytest.raises(InvalidExpiry):
        expiry(allowed, NOW, week + day, None)
    with pytest.raises(InvalidExpiry):
        expiry(allowed, NOW, None, NOW)
    with pytest.raises(InvalidExpiry):
        expiry(allowed, NOW, day, NOW + day)


def test_a_life_that_was_promised_is_shortened_rather_than_refused() -> None:
    day, week = timedelta(days=1), timedelta(days=7)
    narrower = Limits(max_retention=int(day.total_seconds()))
    assert remaining(narrower, NOW, week, None, since=NOW) == NOW + day
    assert remaining(narrower, NOW, None, None, since=NOW) == NOW + day
    assert remaining(NO_LIMITS, NOW, week, None, since=NOW) == NOW + week
    assert remaining(NO_LIMITS, NOW, None, None, since=NOW) is None


def test_what_nothing_is_said_of_needs_no_judge() -> None:
    assert rules(Settings(), NO_LIMITS) is None
    assert rules(Settings(), Limits(types=TYPES)) is not None
    assert rules(Settings(), Limits(refuse_empty=True)) is not None
    assert rules(Settings(clamd="tcp://127.0.0.1:1"), NO_LIMITS) is not None


def test_changes_set_and_lift_and_leave_the_rest() -> None:
    before = Limits(max_size=5, requests="1/minute")
    after = changed(before, {"max_size": None, "types": ["Text/CSV; charset=utf-8", "text/csv"]}, parameter="limits")
    assert after == Limits(types=("text/csv",), requests="1/minute")


@pytest.mark.parametrize(
    "changes",
    [
        {"max_size": -1},
        {"max_bytes": 2**63},
        {"max_files": -1},
        {"max_retention": 0},
        {"types": ["pdf"]},
        {"types": ["image/*"]},
        {"types": ["application/pdf"] * 2 + [f"a/b{number}" for number in range(101)]},
        {"requests": "many"},
        {"bytes": "0/minute"},
        {"tickets": ""},
    ],
)
def test_what_can_be_no_limit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        changed(NO_LIMITS, changes, parameter="limits")
