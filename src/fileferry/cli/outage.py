"""How whoever runs a command learns that it waits: for a lost connection, or because the server asked for it."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable

from fileferry.errors import FerryError, RateLimited

_WORTH_SAYING = 2.0


class Outage:
    """Says with ``say`` what a command waits for, once per wait; of a lost connection at once, and then once a minute."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._watched = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._minutes: int | None = None
        self._until = 0.0

    def lasts(self, left: float) -> None:
        """Take in that the connection is lost, and that it is tried again for ``left`` more seconds."""
        minutes = math.ceil(left / 60)
        with self._lock:
            is_news, self._minutes = minutes != self._minutes, minutes
        if is_news:
            self._say(f"connection lost, trying again for {minutes} min …")

    def waits(self, error: FerryError, seconds: float) -> None:
        """Take in that the next attempt after ``error`` is ``seconds`` away."""
        # What the server did not ask for is a few seconds at most, and of interest only to who watches.
        if seconds < _WORTH_SAYING or not (self._watched or error.retry_after):
            return
        until = time.monotonic() + seconds
        with self._lock:
            # Parts of one file that are refused together wait together.
            is_news, self._until = until > self._until + _WORTH_SAYING, max(until, self._until)
        if is_news:
            what = "rate limited" if isinstance(error, RateLimited) else error.detail.rstrip(".")
            self._say(f"{what}: waiting {math.ceil(seconds)} s")
