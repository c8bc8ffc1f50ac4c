"""A real clamd with a few signatures of its own, in a process and a folder of its own; no freshclam, no internet."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

import pytest

# In halves, so that no scanner takes this file for what it finds with it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EIC" + rb"AR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The string that every scanner finds, and the signatures below."""
MARKER = b"marker of the tests of fileferry, harmless"
"""What is found as well, in whatever it is."""
EICAR_NAME = "Test.Eicar.UNOFFICIAL"
MARKER_NAME = "Test.Marker.UNOFFICIAL"

START_SECONDS = 90.0
STOP_SECONDS = 90.0
_ASK_SECONDS = 30.0


class LiveClamd:
    """One clamd at ``tcp`` and ``unix``, addresses that stay its own through every restart: ``with LiveClamd() as clamd``.

    ``settings`` are lines of clamd.conf, ``{"StreamMaxLength": "1M"}``. Without them it takes 100 MiB and reports whatever it
    did not look into.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        # Not a folder of pytest's: the path of a Unix socket has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="clamd-")
        folder = Path(self._folder.name)
        self._socket = folder / "clamd.sock"
        self._log = folder / "clamd.log"
        self._config = folder / "clamd.conf"
        self._signatures = folder / "signatures" / "local.ndb"
        self._process: subprocess.Popen[bytes] | None = None
        # Bound but never listening: Linux lets clamd listen on the same port, and gives the port to nobody else.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.tcp = f"tcp://127.0.0.1:{self.port}"
        self.unix = f"unix://{self._socket}"
        self._signatures.parent.mkdir()
        self._write_signature("Test.Eicar", EICAR)
        self._write_signature("Test.Marker", MARKER)
        lines = {
            "Foreground": "yes",
            "User": pwd.getpwuid(os.getuid()).pw_name,
            "DatabaseDirectory": str(self._signatures.parent),
            "TemporaryDirectory": str(folder),
            "LocalSocket": str(self._socket),
            "TCPAddr": "127.0.0.1",
            "TCPSocket": str(self.port),
            "MaxThreads": "4",
            "StreamMaxLength": "100M",
            "MaxFileSize": "100M",
            "MaxScanSize": "100M",
            "AlertExceedsMax": "yes",
            "AlertEncrypted": "yes",
            **(settings or {}),
        }
        self._config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Return the id of the running process; raise RuntimeError when it is not running."""
        return self._running().pid

    def start(self) -> None:
        """Start clamd and return once both addresses answer; raise RuntimeError with its log when that fails."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["clamd", "--config-file", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            if self._answers(socket.AF_INET) and self._answers(socket.AF_UNIX):
                return
            time.sleep(0.01)
        raise RuntimeError(f"clamd did not start.\n{self.log_text()}")

    def stop(self) -> None:
        """Ask clamd to end (SIGTERM), and kill it where it does not."""
        process = self._running()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End clamd at once (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()

    def pause(self) -> None:
        """Let clamd do nothing, while connections to it still open."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused clamd go on."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop clamd if it runs, and remove everything of it."""
        try:
            if self.is_running():
                self.resume()
                self.stop()
        finally:
            self._reservation.close()
            self._folder.cleanup()

    def is_running(self) -> bool:
        """Return whether the process lives, paused or not."""
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """Return everything that clamd has written, over all its starts."""
        return self._log.read_text(errors="replace")

    def add_signature(self, name: str, content: bytes) -> None:
        """Have clamd find ``content`` from now on, as ``{name}.UNOFFICIAL``: return once it does."""
        self._write_signature(name, content)
        self._ask(b"zRELOAD\0")
        stream = b"zINSTREAM\0" + struct.pack(">I", len(content)) + content + bytes(4)
        deadline = time.monotonic() + START_SECONDS
        while b"FOUND" not in self._ask(stream):
            if time.monotonic() > deadline:
                raise RuntimeError(f"clamd does not find {name}.\n{self.log_text()}")
            time.sleep(0.02)

    def _write_signature(self, name: str, content: bytes) -> None:
        with self._signatures.open("a") as signatures:
            signatures.write(f"{name}:0:*:{content.hex()}\n")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("clamd is not running.")
        return self._process

    def _answers(self, family: int) -> bool:
        with suppress(OSError):
            return self._ask(b"zPING\0", family) == b"PONG\0"
        return False

    def _ask(self, request: bytes, family: int = socket.AF_UNIX) -> bytes:
        with socket.socket(family) as connection:
            connection.settimeout(_ASK_SECONDS)
            connection.connect(str(self._socket) if family == socket.AF_UNIX else ("127.0.0.1", self.port))
            connection.sendall(request)
            answer = b""
            while part := connection.recv(4096):
                answer += part
            return answer


class MakeClamd(Protocol):
    """Starts a clamd of the test's own: ``make_clamd(StreamMaxLength="1M")``; it ends with the test."""

    def __call__(self, **settings: str) -> LiveClamd:
        """Return the clamd once it answers."""


@pytest.fixture(scope="session")
def clamd() -> Iterator[LiveClamd]:
    """The clamd that all tests of a process share: never stop it, never add to what it finds."""
    with LiveClamd() as live:
        yield live


@pytest.fixture
def make_clamd() -> Iterator[MakeClamd]:
    """A factory of clamds that a test may configure, stop and teach."""
    made: list[LiveClamd] = []

    def make(**settings: str) -> LiveClamd:
        made.append(LiveClamd(settings))
        made[-1].start()
        return made[-1]

    yield make
    for live in made:
        live.close()
