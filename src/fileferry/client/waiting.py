"""Waiting for a version to be there: how long an answer may be put off, and how long it is to the next question.

Decides only; the clients ask and wait.
"""

from __future__ import annotations

import time

from fileferry.client.failures import TimedOut

FIRST_DELAY = 0.1
"""Seconds from the first question to the second; each wait is twice the one before."""
LONGEST_DELAY = 5.0
"""Seconds between two questions at most."""
LONGEST_WAIT = 60.0
"""Seconds that a server puts off an answer at most."""


class Waiting:
    """The waits for one version, or for the current one of a file, over ``timeout`` seconds."""

    def __init__(self, version: str | None, timeout: float) -> None:
        self._what = "The file" if version is None else f"Version {version}"
        self._timeout = timeout
        self._ends = time.monotonic() + timeout
        self._delay = FIRST_DELAY

    def seconds(self) -> float:
        """Return how long the next answer may be put off."""
        return max(0.0, min(self._ends - time.monotonic(), LONGEST_WAIT))

    def delay(self) -> float:
        """Return the seconds to wait before the next question; raise TimedOut when there was time enough."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimedOut(f"{self._what} was not there after {self._timeout:g} s.")
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        return min(delay, left)
