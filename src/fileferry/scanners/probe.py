"""Whether a scanner says so when it did not look into something, rather than calling it clean: tried with nested archives."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncGenerator

from fileferry.model import ScanOutcome
from fileferry.scanners.scanner import Scanner

_DEPTH = 40  # deeper than any engine follows by default


async def hides_limits(scanner: Scanner) -> bool:
    """Whether it calls clean what is packed deeper than it looks; raises ScannerAway, ScanFailed."""
    verdict = await scanner.scan(_once(_nested()))
    return verdict.outcome is ScanOutcome.CLEAN


def _nested() -> bytes:
    content = b"nothing bad"
    for _ in range(_DEPTH):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("inside.zip", content)
        content = packed.getvalue()
    return content


async def _once(content: bytes) -> AsyncGenerator[bytes]:
    yield content
