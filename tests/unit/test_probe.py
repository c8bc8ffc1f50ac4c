"""When a scanner is tried anew with what it opens: a scripted one, as no real one changes its name and readers on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import pytest

from fileferry.model import ScanOutcome
from fileferry.scanners import probe as module
from fileferry.scanners import samples
from fileferry.scanners.probe import Probe
from fileferry.scanners.scanner import Identity, ScannerAway, Verdict

OLD, NEW = Identity("Scripted 1.0", "7", None), Identity("Scripted 1.1", "7", None)
RAR = "application/vnd.rar"


class Scripted:
    """A scanner that opens nothing but the bytes that it was told of."""

    max_size = 1000

    def __init__(self) -> None:
        self.opened: set[bytes] = set()
        self.scanned = 0
        self.away = False

    async def identify(self) -> Identity:
        return OLD

    async def scan(self, blocks: AsyncIterable[bytes]) -> Verdict:
        if self.away:
            raise ScannerAway("nobody listens")
        self.scanned += 1
        content = b"".join([block async for block in blocks])
        return Verdict(ScanOutcome.INFECTED if content in self.opened else ScanOutcome.CLEAN, OLD)

    async def close(self) -> None:
        pass


def opens_rar(scanner: Scripted) -> None:
    scanner.opened = {make(make(samples.test_string())) for make in samples.CONTAINERS[RAR]}


@pytest.fixture
def scanner() -> Scripted:
    return Scripted()


def test_it_is_tried_once_and_again_when_another_answers_or_it_was_away(scanner: Scripted) -> None:
    async def trial() -> None:
        probe = Probe(scanner)
        assert not await probe.opens(RAR, OLD)
        tried = scanner.scanned
        opens_rar(scanner)
        assert not await probe.opens(RAR, OLD)
        assert scanner.scanned == tried
        assert await probe.opens(RAR, NEW)
        scanner.opened = set()
        assert await probe.opens(RAR, NEW)
        probe.forget()
        assert not await probe.opens(RAR, NEW)

    asyncio.run(trial())


def test_what_was_learned_is_forgotten_in_time(scanner: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trial() -> None:
        probe = Probe(scanner)
        opens_rar(scanner)
        assert await probe.opens(RAR, OLD)
        scanner.opened = set()
        monkeypatch.setattr(module, "_LIFE", 0.0)
        assert not await probe.opens(RAR, OLD)

    asyncio.run(trial())


def test_a_kind_is_opened_only_where_each_of_its_forms_is(scanner: Scripted) -> None:
    opens_rar(scanner)
    scanner.opened.pop()
    assert not asyncio.run(Probe(scanner).opens(RAR, OLD))


def test_what_there_is_no_sample_of_is_not_opened(scanner: Scripted) -> None:
    assert not asyncio.run(Probe(scanner).opens("application/x-unheard-of", OLD))


def test_a_trial_that_fails_teaches_nothing(scanner: Scripted) -> None:
    async def trial() -> None:
        probe = Probe(scanner)
        scanner.away = True
        with pytest.raises(ScannerAway):
            await probe.opens(RAR, OLD)
        scanner.away = False
        opens_rar(scanner)
        assert await probe.opens(RAR, OLD)

    asyncio.run(trial())


def test_no_sample_holds_the_test_string_as_it_is() -> None:
    for makers in samples.CONTAINERS.values():
        for make in makers:
            assert samples.test_string()[:20] not in make(samples.test_string())
