"""Judging one version: its bytes are verified once more, its type is held against what is allowed, and it is scanned.

Nothing is recorded here, and nothing is tried again: see ``queue``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import partial

import msgspec

from fileferry.engine.files.catalogue import Files
from fileferry.engine.files.versions import Judgement
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.inspection.examination import Examined, examine, examine_packed, refusal
from fileferry.engine.inspection.media_types import SHOWN_TYPES
from fileferry.model import Clock, Rules, Scan, ScanOutcome, StoredFile
from fileferry.scanners.probe import Probe
from fileferry.scanners.scanner import ScanFailed, Scanner, ScannerAway, ScannerTroubled, Verdict
from fileferry.settings import Settings

_UNSCANNED = (ScanOutcome.SKIPPED_TOO_LARGE, ScanOutcome.SKIPPED_ENCRYPTED, ScanOutcome.SKIPPED_UNSUPPORTED)


class Corrupted(Exception):
    """The store gives back other bytes than it was given."""


class Judge:
    """Finds out what a version is, and whether it may be served."""

    def __init__(self, opened: Files, scanner: Scanner | None, settings: Settings, clock: Clock) -> None:
        self._files = opened
        self._scanner = scanner
        self.probe = None if scanner is None else Probe(scanner)
        self._settings = settings
        self._clock = clock

    async def judge(self, stored: StoredFile, rules: Rules) -> Judgement:
        """Return what a version comes to.

        Raises ScannerAway, ScanFailed, Corrupted, Gone for one that ended meanwhile, and InternalError or Unavailable where its
        bytes cannot be read.
        """
        version = stored.version
        # A type that only the first bytes showed was declared by nobody; judged whole, they may show more.
        sniffed = version.content_type == version.detected_type and version.content_type not in SHOWN_TYPES
        declared = None if sniffed else version.content_type
        examined = await examine(partial(self._read, stored), version.size, declared, stored.file.name)
        reason = _refused(rules, stored, examined)
        scan = None if reason is not None else await self._scan(stored, examined)
        if scan is not None:
            reason = _found(rules, scan)
        return Judgement(
            reason=reason,
            content_type=examined.content_type,
            detected_type=examined.detected_type,
            scan=scan,
            rescan_at=self.next_scan(self._clock()),
        )

    def next_scan(self, now: datetime) -> datetime | None:
        """Return when a file is to be scanned again; where there is no scanner, as soon as there is one."""
        if self._scanner is None:
            return now
        interval = self._settings.rescan_interval
        return None if interval is None else now + interval

    async def _scan(self, stored: StoredFile, examined: Examined) -> Scan:
        async with aclosing(self._files.read(stored, 0, stored.version.size)) as blocks:
            passage = _Passage(blocks)
            try:
                scan = await self._scan_passage(passage, stored, examined)
            except ScannerTroubled:
                raise
            except ScannerAway as error:
                if passage.is_begun:  # a file that ends the scanner must not do so for ever
                    raise ScanFailed(f"The scanner went away in the middle: {error}") from error
                raise
            await passage.verify(stored.version.digests.crc32c)
        return msgspec.structs.replace(scan, ended_at=self._clock())

    async def _scan_passage(self, passage: _Passage, stored: StoredFile, examined: Examined) -> Scan:
        size = stored.version.size
        scanner, started = self._scanner, self._clock()
        if scanner is None or size > scanner.max_size:
            skipped = ScanOutcome.SKIPPED_DISABLED if scanner is None else ScanOutcome.SKIPPED_TOO_LARGE
            detail = None if scanner is None else f"Files of up to {scanner.max_size} bytes are scanned here."
            return Scan(outcome=skipped, detail=detail, started_at=started)
        verdict = await scanner.scan(passage.blocks())
        if verdict.outcome is ScanOutcome.CLEAN:
            verdict = await self._held_against_content(verdict, stored, examined)
        return Scan(
            outcome=verdict.outcome,
            detail=verdict.detail,
            engine=verdict.scanner.engine,
            signatures=verdict.scanner.signatures,
            signatures_at=verdict.scanner.signatures_at,
            started_at=started,
        )

    async def _held_against_content(self, verdict: Verdict, stored: StoredFile, examined: Examined) -> Verdict:
        """Return a clean verdict, or why it is none: a scanner calls clean also what it could not open."""
        packed = await examine_packed(partial(self._read, stored), stored.version.size)
        if examined.is_encrypted or packed.is_encrypted:
            return msgspec.structs.replace(verdict, outcome=ScanOutcome.SKIPPED_ENCRYPTED)
        most = self._scanner.max_size if self._scanner is not None else 0
        if packed.unpacked is None or packed.unpacked > most:
            # clamd 1.4 cuts members of zip and 7z without a word, whatever it is told to report.
            size = "more than can be told" if packed.unpacked is None else f"{packed.unpacked} bytes"
            detail = f"It unpacks to {size}, and up to {most} bytes are scanned here."
            return Verdict(ScanOutcome.SKIPPED_TOO_LARGE, verdict.scanner, detail)
        for kind in sorted(packed.kinds):
            if self.probe is not None and not await self.probe.opens(kind, verdict.scanner):
                detail = f"The scanner does not open {kind}, which this is or holds."
                return Verdict(ScanOutcome.SKIPPED_UNSUPPORTED, verdict.scanner, detail)
        return verdict

    async def _read(self, stored: StoredFile, start: int, length: int) -> bytes:
        async with aclosing(self._files.read(stored, start, length)) as blocks:
            return b"".join([block async for block in blocks])


class _Passage:
    """The bytes of a version on their way to the scanner, and their checksum."""

    def __init__(self, blocks: AsyncGenerator[bytes]) -> None:
        self._blocks = blocks
        self._hasher = Hasher(())
        self.is_begun = False

    async def blocks(self) -> AsyncGenerator[bytes]:
        self.is_begun = True
        async for block in self._blocks:
            self._hasher.update([block])
            yield block

    async def verify(self, crc32c: str) -> None:
        """Read what nobody has read, and raise Corrupted unless these are the bytes that were received."""
        async for block in self._blocks:
            self._hasher.update([block])
        if self._hasher.value(Algorithm.CRC32C).hex() != crc32c:
            raise Corrupted("The store gives back other bytes than were received.")


def _refused(rules: Rules, stored: StoredFile, examined: Examined) -> str | None:
    if rules.refuse_empty and stored.version.size == 0:
        return "empty"
    if rules.types is not None and refusal(rules.types, examined, stored.file.name) is not None:
        return "type_not_allowed"
    return None


def _found(rules: Rules, scan: Scan) -> str | None:
    if scan.outcome is ScanOutcome.INFECTED:
        return "infected"
    return "not_scanned" if scan.outcome in _UNSCANNED and not rules.serve_unscanned else None
