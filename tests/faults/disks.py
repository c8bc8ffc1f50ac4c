"""Small disks of their own for tests: filesystems in files, mounted through loop devices, and the ways they fail. Needs root."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

MIB = 1024 * 1024
_MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
_SIZES = {"ext4": 192 * MIB, "xfs": 320 * MIB, "btrfs": 256 * MIB}


class LoopDisk:
    """A filesystem of one kind in a file below ``place``, mounted there. ``close`` removes both."""

    def __init__(self, place: Path, kind: str) -> None:
        self.kind = kind
        self.image = place / f"{kind}.img"
        self.folder = place / kind
        self.folder.mkdir()
        with self.image.open("wb") as image:
            image.truncate(_SIZES[kind])
        run(*_MAKE[kind], str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount the filesystem, also after it was cut off: its journal is replayed then."""
        run("mount", "-o", "loop", str(self.image), str(self.folder))

    def unmount(self) -> None:
        """Let go of the filesystem; fails while something has a file of it open."""
        run("umount", str(self.folder))

    def cut_power(self) -> None:
        """End the filesystem as a power cut does: what is not on the disk is lost, and every later call fails."""
        force = ["-F"] if self.kind != "xfs" else []
        run("xfs_io", *force, "-x", "-c", "shutdown", str(self.folder))

    def close(self) -> None:
        """Let go of it in any case."""
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)
        self.image.unlink()


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
