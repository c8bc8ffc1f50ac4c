"""Waiting for a version to be there: how long from one question to the next. Decides only; the clients ask and wait."""

from __future__ import annotations

import time

from fileferry.client.failures import TimedOut
from fileferry.client.nouns import File

FIRST_DELAY = 0.1
"""Seconds from the first question to the second; each wait is twice the one before."""
LONGEST_DELAY = 5.0
"""Seconds between two questions at most."""

_UNDER_WAY = {"pending", "received", "processing"}


class Waiting:
    """The waits for one version, over ``timeout`` seconds."""

    def __init__(self, version: str, timeout: float) -> None:
        self._version = version
        self._timeout = timeout
        self._ends = time.monotonic() + timeout
        self._delay = FIRST_DELAY

    def delay(self) -> float:
        """Return the seconds to wait before the next question; raise TimedOut when there was time enough."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimedOut(f"Version {self._version} was not there after {self._timeout:g} s.")
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        return min(delay, left)


def is_there(file: File) -> bool:
    """Return whether a version has come to its end, ready or refused, and is no longer being checked."""
    return file.status not in _UNDER_WAY
