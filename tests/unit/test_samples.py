"""Samples of containers: what a scanner is tried with is the same at any time, or it would be found to open a kind by chance."""

from __future__ import annotations

import time

import pytest

from fileferry.scanners.samples import CONTAINERS


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_sample_is_the_same_at_any_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (1_000_000_000.0, 1_999_999_999.0):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        made.append([make(make(b"content")) for make in CONTAINERS[kind]])
    assert made[0] == made[1]
