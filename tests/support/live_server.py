"""A real `fileferry serve` in a process of its own, for tests that look from outside. Knows no endpoint but /readyz."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

import httpx

from fileferry.engine.access.keys import new_secret
from support import fork_server, postgresql
from support.fork_server import Forked

START_SECONDS = 90.0
STOP_SECONDS = 90.0


class LiveServer:
    """One server on a port and a data folder that stay its own through every restart.

    ``settings`` are server settings in lower case without the prefix: ``{"max_file_size": "1MiB"}``. Nothing of the
    caller's own FILEFERRY_… environment reaches the server. ``workers`` may be changed for the next start. ``everywhere``
    returns settings that every server has unless its own say otherwise.
    """

    everywhere: Callable[[], Mapping[str, str]] = staticmethod(dict)

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, workers: int = 1) -> None:
        self.data = folder / "data"
        self.lent_at = 0.0  # seconds since 1970
        self.root_key = new_secret()
        self._log = folder / "server.log"
        self.workers = workers
        self._settings = {"root_key": self.root_key, **type(self).everywhere(), **(settings or {})}
        if postgresql.is_chosen():
            self._settings.setdefault("database_url", postgresql.new_database(prepared=True))
        self.database_url = self._settings.get("database_url")
        self._process: Forked | None = None
        # Bound but never listening: Linux lets the server listen on the same port, and gives the port to nobody else.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the id of the running server's first process; raise RuntimeError when it is not running."""
        return self._running().pid

    def start(self) -> None:
        """Start the server and return once it is ready; raise RuntimeError with its log when that fails."""
        command = ["serve", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--data", str(self.data), "--workers", str(self.workers)]
        with self._log.open("ab") as log:
            self._process = fork_server.shared().start(
                command, environment=self.environment, stdout=log.fileno(), stderr=log.fileno()
            )
        self._wait_until_ready()

    def stop(self) -> int:
        """Ask the server to end (SIGTERM) and return its exit status; raise RuntimeError when it does not."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except TimeoutError:
            self.kill()
            raise RuntimeError(f"The server did not stop on SIGTERM.\n{self.log_text()}") from None

    def kill(self) -> None:
        """End the server and its workers at once (SIGKILL), as a power cut would."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._wait_until_released()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and data."""
        if self.is_running():
            self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server if it runs, and give its port back."""
        try:
            if self.is_running():
                self.stop()
        finally:
            self._reservation.close()

    def is_running(self) -> bool:
        """Return whether the server's first process lives."""
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """Return everything the server has written, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this server's processes: its settings, and nothing of the caller's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
        return inherited | {f"FILEFERRY_{name.upper()}": value for name, value in self._settings.items()}

    def run(self, *arguments: str, **settings: str) -> CompletedProcess[bytes]:
        """Run a command of ``fileferry`` on the server's data, running or not, to its end; ``settings`` go before the server's."""
        named = {f"FILEFERRY_{name.upper()}": value for name, value in settings.items()}
        return fork_server.shared().run([*arguments, "--data", str(self.data)], environment=self.environment | named)

    def client(self, key: str | None = None) -> httpx.Client:
        """Return an HTTP client for this server that carries ``key``, by default the root key; the caller closes it."""
        headers = {"Authorization": f"Bearer {key or self.root_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def _running(self) -> Forked:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("The server is not running.")
        return self._process

    def _wait_until_released(self) -> None:
        """Wait until nothing listens on the port: workers may end somewhat later than what started them."""
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"Something still listens on {self.port}.")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False, timeout=2) as probe:
            while self.is_running() and time.monotonic() < deadline:
                try:
                    if probe.get(self.url + "/readyz").status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.02)
        if self.is_running():
            self.kill()
        raise RuntimeError(f"The server did not become ready.\n{self.log_text()}")


class MakeServer(Protocol):
    """Starts a server of the test's own: ``make_server(max_file_size="1MiB", workers=2)``; it ends with the test."""

    def __call__(self, *, workers: int = 1, **settings: str) -> LiveServer:
        """Return the server once it is ready."""
