"""Whether it is noticed that a real clamd keeps its limits to itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fileferry.scanners import samples
from fileferry.scanners.clamd import Clamd
from fileferry.scanners.probe import Probe, hides_limits
from support.clamd import MakeClamd

pytestmark = pytest.mark.service("clamd")


@pytest.mark.parametrize(("setting", "hides"), [("no", True), ("yes", False)])
def test_a_scanner_that_keeps_its_limits_to_itself_is_told(make_clamd: MakeClamd, setting: str, hides: bool) -> None:
    clamd = make_clamd(AlertExceedsMax=setting)
    scanner = Clamd(clamd.unix, 2**20, timedelta(seconds=30))
    assert asyncio.run(hides_limits(scanner)) is hides


def test_what_a_real_clamd_does_not_open_is_told(make_clamd: MakeClamd) -> None:
    scanner = Clamd(make_clamd().unix, 2**20, timedelta(seconds=30))
    unopened = asyncio.run(Probe(scanner).unopened())
    assert "application/zip" not in unopened
    assert "application/zstd" in unopened


def test_a_clamd_that_opens_no_archives_opens_none_of_the_samples(make_clamd: MakeClamd) -> None:
    scanner = Clamd(make_clamd(ScanArchive="no").unix, 2**20, timedelta(seconds=30))
    assert asyncio.run(Probe(scanner).unopened()) == list(samples.CONTAINERS)
    assert asyncio.run(Probe(scanner).finds_test_string())
