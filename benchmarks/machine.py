"""Facts about the machine that the numbers hold for."""

from __future__ import annotations

import mmap
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def facts(folder: Path) -> dict[str, str]:
    """Return what a reader needs to judge the numbers; ``folder`` is where the servers write."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "filesystem": filesystem(folder),
        "disk": f"{_write_speed(folder):.0f} MB/s sequential write with fsync",
        "Python": platform.python_version(),
    }


def free_memory() -> int:
    """Return the bytes of memory that programs could still take."""
    return int(_field("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def warm_memory(size: int) -> None:
    """Touch ``size`` bytes of free memory and give them back, so that page cache is quick to get for what comes next.

    A virtual machine may hand its free memory to the host within seconds, and getting a page back costs ten times what
    writing it does: without this, a server's rate would depend on what ran before it.
    """
    block = b"\1" * (1024 * 1024)
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for offset in range(0, size, len(block)):
            memory.write(block[: size - offset])


def filesystem(folder: Path) -> str:
    """Return the type of the filesystem that holds ``folder``, as `findmnt` names it."""
    if shutil.which("findmnt") is None:
        return "unknown"
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _write_speed(folder: Path) -> float:
    # The ceiling for whoever waits for the disk: 512 MiB written and synced, nothing else.
    probe, block, blocks = folder / "probe", os.urandom(8 * 1024 * 1024), 64
    os.sync()
    started = datetime.now(UTC)
    with probe.open("wb", buffering=0) as file:
        for _ in range(blocks):
            file.write(block)
        os.fsync(file.fileno())
    seconds = (datetime.now(UTC) - started).total_seconds()
    probe.unlink()
    return len(block) * blocks / seconds / 1e6
