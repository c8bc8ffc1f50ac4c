"""A server under measurement: started in a fresh folder, its CPU time and memory read from /proc, stopped for good."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from benchmarks.peers import Peer

START_SECONDS = 120.0
STOP_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class StartError(Exception):
    """The server did not come up; the message ends with its log."""


class Server:
    """A running server and its children, one process group. A context manager: leaving it stops the server."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self.port = _free_port()
        self._log = folder.with_suffix(".log")
        folder.mkdir(parents=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                peer.command(folder, self.port),
                cwd=peer.cwd or folder,
                env=peer.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Server:
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process group: SIGTERM, and SIGKILL for what is left after STOP_SECONDS."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that the living processes of the group have used so far."""
        return (
            sum(int(user) + int(system) for user, system in (stat[11:13] for stat in self._stats())) / TICKS_PER_SECOND
        )

    def reset_peak_memory(self) -> None:
        """Make ``peak_memory`` count from now on; see proc(5), clear_refs."""
        for pid in self._pids():
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_memory(self) -> int:
        """Return the bytes of peak resident memory (VmHWM) of the group; pages that processes share count in each."""
        peak = 0
        for pid in self._pids():
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                peak += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
        return peak

    def written_bytes(self) -> int:
        """Return the bytes that the living processes of the group gave to write calls so far, of files and sockets (wchar)."""
        written = 0
        for pid in self._pids():
            with suppress(OSError):
                counts = Path(f"/proc/{pid}/io").read_text()
                written += sum(int(line.split()[1]) for line in counts.splitlines() if line.startswith("wchar:"))
        return written

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", self.peer.ready)
                if connection.getresponse().status < 500:
                    return
            time.sleep(0.05)
        log = self._log.read_text(errors="replace")[-2000:]
        raise StartError(f"{self.peer.name} did not start within {START_SECONDS:.0f} s:\n{log}")

    def _stats(self) -> list[list[str]]:
        # The fields of /proc/PID/stat after the parenthesized name: state, ppid, pgrp, … utime and stime at 11 and 12.
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) == self._process.pid:
                        found.append([*fields, entry.name])
        return found

    def _pids(self) -> list[int]:
        return [int(stat[-1]) for stat in self._stats()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
