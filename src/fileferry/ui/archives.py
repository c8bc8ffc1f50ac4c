"""All files of a share as one zip archive, made while it is sent: stored, not packed, and of any size in the same memory.

Source: APPNOTE.TXT 6.3.10 of PKWARE. The archive is written by ``zipfile`` (decision 0059).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from fileferry.engine.engine import Engine
from fileferry.engine.files.shared import OpenShare

_LONG = 2**32 - 1  # from here on a size needs ZIP64
_READABLE = 0o100644 << 16
_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
# What Windows takes for something else than a letter of a name, and names that it takes for devices.
_UNSAFE = re.compile(r'[\\:*?"<>|\x00-\x1f]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_BLANK_END = re.compile(r"[. ]+$")


class _Sink(io.RawIOBase):
    """What an archive is written to: it cannot be read or sought in, so nothing of it is changed once it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take bytes."""
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = bytes(self._written)
        self._written.clear()
        return taken


async def archive(engine: Engine, opened: OpenShare) -> AsyncGenerator[bytes]:
    """Yield the archive of all files of a share that are ready; it is counted as a download before its end is sent.

    Raises Gone when the share ends meanwhile, or may not be downloaded any more: then it has no end, and nobody can open it.
    """
    sink = _Sink()
    taken: set[str] = set()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as written:
        async for stored in engine.shared.every(opened):
            version = stored.version
            modified = min(max(stored.file.modified_at.astimezone(UTC), _FIRST), _LAST)
            info = zipfile.ZipInfo(_free_name(opened.name_of(stored), taken), modified.timetuple()[:6])
            info.external_attr = _READABLE
            pending = b""
            with written.open(info, "w", force_zip64=version.size >= _LONG) as entry:
                async for block in engine.files.read(stored, 0, version.size):
                    if pending:
                        yield pending
                    entry.write(block)
                    pending = sink.take()
                if version.fetches_left is not None:
                    await engine.fetches.record(stored)  # before the last of its bytes is sent
            yield pending + sink.take()
            if version.fetches_left is None:
                engine.fetches.add(stored)
        await engine.shared.downloaded(opened, None)
    yield sink.take()


def safe_name(name: str) -> str:
    """Return the name of a file in an archive, which leads out of its folder on no system and names no device."""
    segments = [_UNSAFE.sub("_", segment) for segment in name.split("/")]
    return "/".join(_safe_segment(segment) for segment in segments if segment)


def _safe_segment(segment: str) -> str:
    if _DEVICES.fullmatch(segment):
        return f"_{segment}"
    return _BLANK_END.sub(lambda end: "_" * len(end[0]), segment)


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no other file of the archive has, also where letters are not told apart by their case."""
    safe = safe_name(name)
    folder, slash, last = safe.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    free, number = safe, 1
    while free.casefold() in taken:
        number += 1
        free = f"{folder}{slash}{stem} ({number}){dot}{extension}"
    taken.add(free.casefold())
    return free
