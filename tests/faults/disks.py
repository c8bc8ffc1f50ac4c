"""Small disks of their own for tests: filesystems in files, mounted through loop devices, and the ways they fail. Needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from faults.waiting import eventually

MIB = 1024 * 1024
_MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
_SIZES = {"ext4": 192 * MIB, "xfs": 320 * MIB, "btrfs": 256 * MIB}


class LoopDisk:
    """A filesystem of one kind in a file below ``place``, mounted there; ``size`` is in bytes. ``close`` removes both."""

    def __init__(self, place: Path, kind: str, size: int | None = None) -> None:
        self.kind = kind
        self.image = place / f"{kind}.img"
        self.folder = place / "data"  # as a LiveServer of the same place has it
        self.folder.mkdir()
        with self.image.open("wb") as image:
            image.truncate(size or _SIZES[kind])
        run(*_MAKE[kind], str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount the filesystem, also after it was cut off: its journal is replayed then."""
        run("mount", "-o", "loop", str(self.image), str(self.folder))

    def unmount(self) -> None:
        """Let go of the filesystem, once processes that were killed have let go of their files."""
        command = ["umount", str(self.folder)]
        eventually(
            lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0,
            "nothing has a file of the disk open",
        )

    def cut_power(self) -> None:
        """End the filesystem as a power cut does: what is not on the disk is lost, and every later call fails."""
        force = ["-F"] if self.kind != "xfs" else []
        run("xfs_io", *force, "-x", "-c", "shutdown", str(self.folder))

    def come_back(self) -> None:
        """Cut the power, then mount what is on the disk. The server must have ended."""
        if self.kind == "btrfs":
            # It knows no shutdown: what an instant of its disk was, which takes a disk below that can copy by reference.
            copy = self.image.with_suffix(".copy")
            run("cp", "--reflink=always", str(self.image), str(copy))
            self.unmount()
            copy.replace(self.image)
        else:
            self.cut_power()
            self.unmount()
        self.mount()

    def close(self) -> None:
        """Let go of it in any case."""
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)
        self.image.unlink()


class SmallDisk:
    """A tmpfs of ``size`` bytes that a ballast file can fill to the last byte."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast.db"
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "fileferry-test", str(folder))

    def free(self) -> int:
        """Return the free space in bytes."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leaving: int = 0) -> None:
        """Take all space but ``leaving`` bytes."""
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while self.free() > leaving:
                ballast.write(bytes(min(65536, self.free() - leaving)))
        assert self.free() <= leaving

    def relieve(self) -> None:
        """Give the taken space back."""
        self._ballast.unlink()

    def unmount(self) -> None:
        """Let go of the disk, also while something still has it open."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def quota(disk: LoopDisk, size: int) -> Path:
    """Return a new subvolume of a btrfs disk that may hold ``size`` bytes."""
    folder = disk.folder / "subvolume"
    run("btrfs", "subvolume", "create", str(folder))
    run("btrfs", "quota", "enable", str(disk.folder))
    run("btrfs", "qgroup", "limit", str(size), str(folder))
    return folder


def run(*command: str) -> None:
    """Run a command; a test that may not mount fails and says so."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"this test needs the right to make and mount disks (root): {' '.join(command)}: {done.stderr}")
