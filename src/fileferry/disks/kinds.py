"""Which filesystem a folder is on, and what is known of it. What a folder really does is tried in ``trial``."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = "/proc/self/mountinfo"  # proc_pid_mountinfo(5)
_OCTAL = re.compile(r"\\([0-7]{3})")
_FOLDER_SYNC = (
    "syncing a folder may do nothing here: a power cut can take uploads that were answered, above all where the database"
    " is on another disk"
)
_NETWORK = "this is a network: locks and syncs are as good as its server, and two machines may not share the folder"
_MODES = "files here cannot be kept from other users of this machine"
_MEMORY = "this is memory: all is lost when the machine ends"

WARNINGS: dict[str, str] = {
    "tmpfs": _MEMORY,
    "ramfs": _MEMORY,
    "nfs": _NETWORK,
    "nfs4": _NETWORK,
    "cifs": _NETWORK,
    "smb3": _NETWORK,
    "9p": _NETWORK,
    "vfat": _MODES,
    "exfat": _MODES,
    "fuseblk": _MODES,
    "fuse.mergerfs": f"large uploads are written twice where they come in on another of its disks; {_FOLDER_SYNC}",
    "fuse.gocryptfs": "after a power cut it may not start again",
    "fuse.rclone": "a power cut takes all that its cache has not sent",
}
"""What an operator should know of a filesystem, by the name that the kernel gives it."""

NEEDS_PRIVATE_INDEX = frozenset({"btrfs"})
"""Filesystems that end a process which writes to a mapped file when the disk is full, as each such write takes new room."""


def kind_of(folder: Path, mounts: str | None = None) -> str:
    """Return the name of the filesystem that a folder is on, as ``ext4`` or ``fuse.mergerfs``; empty where it cannot be told."""
    if mounts is None:
        try:
            mounts = Path(_MOUNTS).read_text(errors="replace")
        except OSError:
            return ""
    path = os.path.realpath(folder)
    found, longest = "", -1
    for line in mounts.splitlines():
        place, _, rest = line.partition(" - ")
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), place.split(" ")[4])
        # Of mounts at one place the last one is on top.
        if len(point) >= longest and (path == point or path.startswith(point.rstrip("/") + "/")):
            found, longest = rest.split(" ")[0], len(point)
    return found


def warning_of(kind: str) -> str | None:
    """Return what an operator should know of this kind of filesystem, as part of a sentence."""
    return WARNINGS.get(kind, _FOLDER_SYNC if kind.startswith("fuse") else None)
