"""Errors of the disk in our own words: the whole class of them, so that none is a fault of the server's."""

from __future__ import annotations

import errno

from fileferry.errors import FerryError, FileTooLarge, InsufficientStorage, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ENOTCONN)
_RETRY_SECONDS = 5


def is_full(error: OSError) -> bool:
    """Return whether it says that there is no room: of bytes, of files, or under a quota."""
    return error.errno in _FULL


def told(error: OSError, subject: str = "The blob store") -> FerryError:
    """Return what to tell a client: InsufficientStorage, FileTooLarge, and otherwise Unavailable with the reason."""
    if is_full(error):
        return InsufficientStorage()
    if error.errno == errno.EFBIG:
        return FileTooLarge("The blob store's filesystem takes no file this large.")
    reason = "its disk is not there" if error.errno in _GONE else error.strerror or type(error).__name__
    return Unavailable(f"{subject} cannot be used at the moment: {reason}.", retry_after=_RETRY_SECONDS)
