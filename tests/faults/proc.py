"""What the kernel says of a running process: memory, open files, children. Linux only, as the server's local store is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return _status(pid, "VmRSS")


def peak_resident(pid: int) -> int:
    """Return the most resident memory, in bytes, since the start of the process or the last ``forget_peak``."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begin to measure the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(pid: int) -> list[int]:
    """Return the worker processes of a server of the harness that was started with several."""
    return children(pid)


def written(pid: int) -> int:
    """Return how many bytes a process has written so far, to files and sockets."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["wchar"])


def open_files(pid: int) -> set[str]:
    """Return what the descriptors of a process are, without the database's: its connections are opened as they are needed."""
    found = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return {target for target in found if ".db" not in target}


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise AssertionError(f"/proc/{pid}/status has no {field}")
