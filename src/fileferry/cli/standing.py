"""How a command line says how a file stands, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileferry.client import File


def standing(file: File) -> str:
    """Return a file's status, with the reason where it is rejected."""
    return f"{file.status}: {file.reason}" if file.status == "rejected" and file.reason else file.status


def found_by_scan(file: File) -> str:
    """Return what a scan says of why a file is rejected, in brackets; nothing where that is not the reason."""
    if file.scan is None or file.reason not in {"infected", "not_scanned", "scan_failed"}:
        return ""
    return f" ({file.scan.detail or file.scan.outcome})"
