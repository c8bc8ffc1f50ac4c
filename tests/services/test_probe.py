"""Whether it is noticed that a real clamd keeps its limits to itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fileferry.scanners.clamd import Clamd
from fileferry.scanners.probe import hides_limits
from support.clamd import MakeClamd

pytestmark = pytest.mark.service("clamd")


@pytest.mark.parametrize(("setting", "hides"), [("no", True), ("yes", False)])
def test_a_scanner_that_keeps_its_limits_to_itself_is_told(make_clamd: MakeClamd, setting: str, hides: bool) -> None:
    clamd = make_clamd(AlertExceedsMax=setting)
    scanner = Clamd(clamd.unix, 2**20, timedelta(seconds=30))
    assert asyncio.run(hides_limits(scanner)) is hides
