"""A real redis-server in a process of its own, which keeps nothing; it can be killed, and started again on the same port."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import Self

START_SECONDS = 90.0


class LiveRedis:
    """One Redis at ``url``, an address that stays its own through every restart: ``with LiveRedis() as redis``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # Bound but never listening: Linux lets Redis listen on the same port, and gives the port to nobody else.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
        self._reservation.close()

    def start(self) -> None:
        """Start it, empty, and return once it answers; raise RuntimeError when that fails."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start.")

    def pause(self) -> None:
        """Let it hang: it takes connections and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once (SIGKILL); what it counted is lost."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("Redis is not running.")
        return self._process

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
