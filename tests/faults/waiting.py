"""Waiting for a condition to hold; the only place where these tests let time pass."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.live_server import LiveServer

_POLL_SECONDS = 0.01


def eventually(condition: Callable[[], object], what: str, within: float = 90.0) -> None:
    """Return once ``condition()`` is true; raise AssertionError naming ``what`` after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {within} s: {what}"
        time.sleep(_POLL_SECONDS)


def until_all_serve(server: LiveServer, processes: int) -> None:
    """Return once every worker of a server that was started once serves; the harness waits for the first only."""
    eventually(lambda: server.log_text().count("Application startup complete") >= processes, "all workers serve")
