"""Scans by a real clamd, over TCP and over a Unix socket."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
import uvloop

from fileferry.model import ScanOutcome
from fileferry.scanners import clamd as module
from fileferry.scanners.clamd import CEILING, Clamd
from fileferry.scanners.scanner import ScannerAway, Verdict
from support.clamd import EICAR, EICAR_NAME, MARKER, MARKER_NAME, LiveClamd, MakeClamd
from support.encrypted_zip import encrypted_zip

pytestmark = pytest.mark.service("clamd")

KIB, MIB = 1024, 1024**2
MINUTE = timedelta(minutes=1)
Scanner = Callable[[LiveClamd], Clamd]


@pytest.fixture(params=["tcp", "unix"])
def scanner_of(request: pytest.FixtureRequest) -> Scanner:
    """Make the scanner that speaks to a clamd, one way or the other."""
    return lambda live: Clamd(live.tcp if request.param == "tcp" else live.unix, CEILING, MINUTE)


async def in_blocks(content: bytes, size: int = 64 * KIB) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def repeated(block: bytes, times: int) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield block


def scanned(scanner: Clamd, content: bytes) -> Verdict:
    return uvloop.run(scanner.scan(in_blocks(content)))


def zipped(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return archive.getvalue()


@pytest.mark.parametrize("content", [b"", b"a", b"A report.\n" * 100_000, zipped("report.txt", b"A report.")])
def test_harmless_bytes_are_clean(clamd: LiveClamd, scanner_of: Scanner, content: bytes) -> None:
    verdict = scanned(scanner_of(clamd), content)
    assert (verdict.outcome, verdict.detail) == (ScanOutcome.CLEAN, None)
    assert verdict.scanner.engine.startswith("ClamAV ")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EICAR, EICAR_NAME),
        (zipped("deep/down.txt", EICAR), EICAR_NAME),
        (zipped("outer.zip", zipped("inner.txt", EICAR)), EICAR_NAME),
        (bytes(3 * MIB) + MARKER + bytes(3 * MIB), MARKER_NAME),
    ],
    ids=["plain", "zipped", "zipped twice", "in the midst of much"],
)
def test_what_its_signatures_know_is_found_by_name(
    clamd: LiveClamd, scanner_of: Scanner, content: bytes, name: str
) -> None:
    verdict = scanned(scanner_of(clamd), content)
    assert (verdict.outcome, verdict.detail) == (ScanOutcome.INFECTED, name)


def test_a_finding_has_no_more_than_its_name_whatever_clamd_adds(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    assert scanned(scanner_of(make_clamd(ExtendedDetectionInfo="yes")), EICAR).detail == EICAR_NAME


def test_what_a_password_hides_is_not_clean(clamd: LiveClamd, scanner_of: Scanner) -> None:
    archive = encrypted_zip("report.txt", EICAR, b"secret")
    assert zipfile.ZipFile(io.BytesIO(archive)).read("report.txt", b"secret") == EICAR
    verdict = scanned(scanner_of(clamd), archive)
    assert (verdict.outcome, verdict.detail) == (ScanOutcome.SKIPPED_ENCRYPTED, "Heuristics.Encrypted.Zip")


def test_more_than_a_stream_may_hold_is_too_large(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    scanner = scanner_of(make_clamd(StreamMaxLength="1M"))
    assert scanned(scanner, bytes(MIB)).outcome is ScanOutcome.CLEAN
    for size in (MIB + 1, 40 * MIB):
        verdict = scanned(scanner, bytes(size))
        assert verdict.outcome is ScanOutcome.SKIPPED_TOO_LARGE
        assert "StreamMaxLength" in str(verdict.detail)


@pytest.mark.parametrize(
    ("limit", "content"),
    [("MaxFileSize", bytes(MIB + 1)), ("MaxScanSize", zipped("large", bytes(3 * MIB)))],
    ids=["a file", "what an archive holds"],
)
def test_what_its_limits_keep_it_from_is_too_large(
    make_clamd: MakeClamd, scanner_of: Scanner, limit: str, content: bytes
) -> None:
    verdict = scanned(scanner_of(make_clamd(**{limit: "1M"})), content)
    assert (verdict.outcome, verdict.detail) == (
        ScanOutcome.SKIPPED_TOO_LARGE,
        f"Heuristics.Limits.Exceeded.{limit}",
    )


def test_a_large_file_passes_in_little_memory(clamd: LiveClamd, scanner_of: Scanner) -> None:
    tracemalloc.start()
    try:
        verdict = uvloop.run(scanner_of(clamd).scan(repeated(bytes(256 * KIB), 240)))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.outcome is ScanOutcome.CLEAN
    assert peak < 4 * MIB


def test_two_scans_at_once_do_not_mix(clamd: LiveClamd, scanner_of: Scanner) -> None:
    async def trial() -> list[ScanOutcome]:
        both_begun = asyncio.Barrier(2)

        async def together(content: bytes) -> AsyncIterator[bytes]:
            yield b"a"
            await both_begun.wait()
            yield content

        scanner = scanner_of(clamd)
        verdicts = await asyncio.gather(scanner.scan(together(b"harmless")), scanner.scan(together(MARKER)))
        return [verdict.outcome for verdict in verdicts]

    assert uvloop.run(trial()) == [ScanOutcome.CLEAN, ScanOutcome.INFECTED]


def test_killed_while_bytes_are_sent_it_is_away(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    live = make_clamd()

    async def deadly() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        live.kill()
        async for block in repeated(bytes(MIB), 50):
            yield block

    with pytest.raises(ScannerAway):
        uvloop.run(scanner_of(live).scan(deadly()))


def test_killed_while_its_answer_is_awaited_it_is_away(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    live = make_clamd()

    async def trial() -> None:
        all_sent = asyncio.Event()

        async def content() -> AsyncIterator[bytes]:
            yield bytes(KIB)
            live.pause()
            all_sent.set()

        scan = asyncio.create_task(scanner_of(live).scan(content()))
        await all_sent.wait()
        live.kill()
        await scan

    with pytest.raises(ScannerAway):
        uvloop.run(trial())


def test_while_it_hangs_it_is_away_and_then_it_is_not(
    make_clamd: MakeClamd, scanner_of: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    live = make_clamd()
    scanner = scanner_of(live)
    live.pause()
    with pytest.raises(ScannerAway):
        scanned(scanner, EICAR)
    live.resume()
    monkeypatch.undo()
    assert scanned(scanner, EICAR).outcome is ScanOutcome.INFECTED


def test_a_restart_ends_nothing_but_what_ran_meanwhile(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    live = make_clamd()
    scanner = scanner_of(live)
    assert scanned(scanner, EICAR).outcome is ScanOutcome.INFECTED
    live.stop()
    with pytest.raises(ScannerAway):
        scanned(scanner, EICAR)
    live.start()
    assert scanned(scanner, EICAR).outcome is ScanOutcome.INFECTED


def test_what_was_clean_is_found_once_the_signatures_know_it(make_clamd: MakeClamd, scanner_of: Scanner) -> None:
    live = make_clamd()
    scanner, content = scanner_of(live), b"what nobody knew to be harmful until today"
    assert scanned(scanner, content).outcome is ScanOutcome.CLEAN
    live.add_signature("Test.Late", content)
    verdict = scanned(scanner, content)
    assert (verdict.outcome, verdict.detail) == (ScanOutcome.INFECTED, "Test.Late.UNOFFICIAL")
