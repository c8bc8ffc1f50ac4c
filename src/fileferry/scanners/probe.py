"""What a scanner opens, and whether it says so where it did not look: tried with samples, for it calls the rest clean.

Remembered for a while, and only of the scanner that was tried: another one may take its place at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from fileferry.model import ScanOutcome
from fileferry.scanners import samples
from fileferry.scanners.scanner import Identity, Scanner

_DEPTH = 40  # deeper than any engine follows by default
_LIFE = 60.0
"""Seconds after which a kind is tried anew: a scanner that was configured anew has the name that it had."""


class Probe:
    """What one scanner opens of the kinds that there are samples of."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._opened: dict[str, tuple[bool, Identity, float]] = {}

    async def opens(self, kind: str, scanner: Identity) -> bool:
        """Whether containers of a media type are opened, and those in them, by the scanner that gave its name just now.

        False where there is no sample of it either. Raises ScannerAway, ScanFailed.
        """
        now = asyncio.get_running_loop().time()
        if kind in self._opened:
            is_opened, identity, tried_at = self._opened[kind]
            if identity == scanner and now - tried_at < _LIFE:
                return is_opened
        is_opened = kind in samples.CONTAINERS
        for make in samples.CONTAINERS.get(kind, ()):
            verdict = await self._scanner.scan(_once(make(make(samples.test_string()))))
            is_opened = is_opened and verdict.outcome is not ScanOutcome.CLEAN
        self._opened[kind] = (is_opened, scanner, now)
        return is_opened

    async def unopened(self) -> list[str]:
        """Return every kind that is not opened; raises ScannerAway, ScanFailed."""
        identity = await self._scanner.identify()
        return [kind for kind in samples.CONTAINERS if not await self.opens(kind, identity)]

    async def finds_test_string(self) -> bool:
        """Whether the string is found by which the rest is tried; raises ScannerAway, ScanFailed."""
        return (await self._scanner.scan(_once(samples.test_string()))).outcome is ScanOutcome.INFECTED

    def forget(self) -> None:
        """Try every kind anew, as after the scanner was away."""
        self._opened.clear()


async def hides_limits(scanner: Scanner) -> bool:
    """Whether it calls clean what is packed deeper than it looks; raises ScannerAway, ScanFailed."""
    content = b"nothing bad"
    for _ in range(_DEPTH):
        content = samples.zipped(content)
    return (await scanner.scan(_once(content))).outcome is ScanOutcome.CLEAN


async def _once(content: bytes) -> AsyncGenerator[bytes]:
    yield content
