"""A real `fileferry worker` in a process of its own, beside a server: `with LiveWorker(server) as worker`."""

from __future__ import annotations

import signal
from typing import Self

from support import fork_server
from support.live_server import LiveServer

STOP_SECONDS = 90.0


class LiveWorker:
    """One worker on the data and settings of a server."""

    def __init__(self, server: LiveServer) -> None:
        command = ["worker", "--data", str(server.data)]
        self._process = fork_server.shared().start(command, environment=server.environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end (SIGTERM), and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)
