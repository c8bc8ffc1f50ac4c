"""How a person at the terminal learns that the connection is lost, and for how long it is tried again."""

from __future__ import annotations

import math
import sys
import threading

from fileferry.cli.session import note


class Outage:
    """Says once a minute how long a lost connection is still tried again; says nothing where nobody is watching."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._minutes: int | None = None

    def lasts(self, left: float) -> None:
        """Take in that the connection is lost, and that it is tried again for ``left`` more seconds."""
        minutes = math.ceil(left / 60)
        with self._lock:
            is_news, self._minutes = minutes != self._minutes, minutes
        if is_news and self._watched:
            note(f"connection lost, trying again for {minutes} min …")
