"""What the engine needs of a scanner for malware; each engine of that kind is one module beside this."""

from __future__ import annotations

from collections.abc import AsyncIterable
from datetime import datetime
from typing import Protocol

import msgspec

from fileferry.model import ScanOutcome


class ScannerAway(Exception):
    """The scanner cannot be reached or went away before it answered: it says nothing of the bytes, which are to be sent again."""


class ScannerTroubled(ScannerAway):
    """The scanner answered that it can scan nothing at the moment, for a reason that lies with it."""


class ScanFailed(Exception):
    """The scanner answered that it could not scan these bytes; the message says why."""


class Identity(msgspec.Struct, frozen=True):
    """Which scanner it is: engine and version of its signatures, and when those were made; None is what it does not say."""

    engine: str | None
    signatures: str | None
    signatures_at: datetime | None


class Verdict(msgspec.Struct, frozen=True):
    """What a scan came to; ``detail`` is the name of what was found, or why nothing could be said."""

    outcome: ScanOutcome
    scanner: Identity
    detail: str | None = None


class Scanner(Protocol):
    """A scanner that many scans may run on at once."""

    max_size: int
    """The most bytes that it scans; of more it could say nothing truthful."""

    async def identify(self) -> Identity:
        """Return which scanner answers now; raises ScannerAway."""
        ...

    async def scan(self, blocks: AsyncIterable[bytes]) -> Verdict:
        """Send bytes, at most ``max_size``, and return the verdict, never a guess; holds no more than a block of them.

        Raises ScannerAway, ScannerTroubled, ScanFailed, and whatever ``blocks`` raises.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
