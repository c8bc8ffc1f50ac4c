"""Tries in a folder what the server relies on, with files of its own that it removes. What follows is for its user to say."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from fileferry.disks import calls, kinds
from fileferry.disks.failures import is_full


class Finding(msgspec.Struct, frozen=True):
    """What a folder cannot do. ``fatal``: nothing can be kept there safely. ``sentence`` says it to an operator."""

    sentence: str
    fatal: bool = False


def examine(folder: Path) -> list[Finding]:
    """Return what an operator should know of the disk under a folder; raises OSError where nothing can be written there.

    A full disk is not judged: it can take no trial, and shows what it can do when there is room.
    """
    kind = kinds.kind_of(folder)
    known = kinds.warning_of(kind)
    told = [Finding(f"{folder} is on {kind}: {known}.")] if known else []
    try:
        place = Path(tempfile.mkdtemp(prefix=".trial-", dir=folder))
    except OSError as error:
        if is_full(error):
            return told
        raise OSError(error.errno, error.strerror, str(folder)) from error
    try:
        failed = [finding for trial, finding in _TRIALS if _fails(trial, place)]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return told + [Finding(f"{folder}: {finding.sentence}", finding.fatal) for finding in failed]


def _fails(trial: Callable[[Path], None], place: Path) -> bool:
    try:
        trial(place)
    except OSError as error:
        return not is_full(error)
    return False


def _moves(place: Path) -> None:
    """Move a file from one folder to another, if that can be, and find it there alone."""
    source, final = place / "from" / "a", place / "to" / "a"
    for path in (source, final):
        path.parent.mkdir()
    source.write_bytes(b"a")
    try:
        os.rename(source, final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return
    if source.exists() or final.read_bytes() != b"a":
        raise OSError(errno.EIO, "a renamed file is not where it should be")


def _moves_between_folders(place: Path) -> None:
    """See whether the file has been moved."""
    if (place / "from" / "a").exists():
        raise OSError(errno.EXDEV, "a file is not moved from one folder to another")


def _moves_exclusively(place: Path) -> None:
    """Move a file only where none is, by the call for it or by a second name."""
    source, final = place / "b", place / "c"
    source.write_bytes(b"b")
    try:
        calls.rename_exclusive(str(source), str(final))
    except OSError as error:
        if error.errno not in calls.NO_SUCH_CALL:
            raise
        os.link(source, final)


def _locks(place: Path) -> None:
    """Lock a file, and find it locked by whoever else opens it."""
    with (place / "lock").open("wb") as held, (place / "lock").open("rb") as other:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise OSError(errno.EIO, "a locked file can be locked again")


def _syncs(place: Path) -> None:
    """Sync a file and its folder."""
    file = place / "synced"
    for path, flags in ((file, os.O_CREAT | os.O_RDWR), (place, os.O_RDONLY)):
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _keeps_modes(place: Path) -> None:
    """Make a file for nobody else, and find it so."""
    path = place / "private"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    if path.stat().st_mode & 0o077:
        raise OSError(errno.EPERM, "a mode does not hold")


_TRIALS: list[tuple[Callable[[Path], None], Finding]] = [
    (
        _moves,
        Finding("a file cannot be moved there, and every large upload is.", fatal=True),
    ),
    (
        _moves_between_folders,
        Finding("a file cannot be moved from one folder to another there: large uploads are written twice."),
    ),
    (
        _moves_exclusively,
        Finding("a file can only be moved there so that it may replace another; do not let two processes share it."),
    ),
    (_locks, Finding("locks do not hold there, and without them a sweep takes uploads under way.", fatal=True)),
    (_syncs, Finding("a file or a folder cannot be synced there, so nothing is safe from a power cut.", fatal=True)),
    (_keeps_modes, Finding("other users of this machine can read what is kept there.")),
]
