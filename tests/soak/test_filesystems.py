"""One table of filesystems: does the store keep its contract there, and what do uploads and deletions answer on a full disk?

Loop devices and root. `make soak ARGS=tests/soak/test_filesystems.py` prints a line for each; FUSE where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from faults.disks import MIB, LoopDisk, quota, run
from fileferry.blobs.conformance import CHECKS, Violation
from fileferry.blobs.local import LocalStore
from support.live_server import LiveServer

_MOST_UPLOADS = 400


@contextlib.contextmanager
def loop(place: Path, kind: str) -> Iterator[Path]:
    disk = LoopDisk(place, kind)
    try:
        yield disk.folder
    finally:
        disk.close()


@contextlib.contextmanager
def btrfs_quota(place: Path) -> Iterator[Path]:
    disk = LoopDisk(place, "btrfs")
    try:
        yield quota(disk, 32 * MIB)
    finally:
        disk.close()


@contextlib.contextmanager
def mounted(place: Path, *command: str) -> Iterator[Path]:
    folder = place / "data"
    folder.mkdir()
    run(*command, str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def overlay(place: Path) -> Iterator[Path]:
    (place / "disk").mkdir()
    with loop(place / "disk", "ext4") as disk:
        layers = {name: disk / name for name in ("lower", "upper", "work")}
        for layer in layers.values():
            layer.mkdir()
        options = f"lowerdir={layers['lower']},upperdir={layers['upper']},workdir={layers['work']}"
        with mounted(place, "mount", "-t", "overlay", "-o", options, "overlay") as folder:
            yield folder


def bindfs(place: Path) -> contextlib.AbstractContextManager[Path]:
    (place / "below").mkdir()
    return mounted(place, "bindfs", str(place / "below"))


FILESYSTEMS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Path]]] = {
    "ext4": lambda place: loop(place, "ext4"),
    "xfs": lambda place: loop(place, "xfs"),
    "btrfs": lambda place: loop(place, "btrfs"),
    "btrfs under a quota": btrfs_quota,
    "tmpfs": lambda place: mounted(place, "mount", "-t", "tmpfs", "-o", "size=160m", "fileferry-test"),
    "overlay": overlay,
    "bindfs": bindfs,
}


@pytest.mark.soak
@pytest.mark.service("xfs")
@pytest.mark.service("btrfs")
@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_filesystem_serves(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "bindfs" and shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed")
    with FILESYSTEMS[name](tmp_path) as folder:
        kept = conformance(folder / "store")
        answers = full_disk(folder)
    with capsys.disabled():
        print(f"\n| {name} | {kept} of {len(CHECKS)} | {', '.join(map(str, sorted(answers)))} |")
    assert kept == len(CHECKS)
    assert answers <= {201, 503, 507}


def conformance(root: Path) -> int:
    """Return how many checks of a store's contract hold in a folder, which is removed."""

    async def keep() -> int:
        held = 0
        for check in CHECKS:
            store = LocalStore(root)
            with contextlib.suppress(Violation):
                await check(store)
                held += 1
            await store.close()
        return held

    held = asyncio.run(keep())
    shutil.rmtree(root)
    return held


def full_disk(folder: Path) -> set[int]:
    """Fill a disk by uploads, restart on it, delete, upload again; return every status that an upload had."""
    places = {"store": f"file://{folder}", "database_url": f"sqlite:///{folder}/fileferry.db"}
    server = LiveServer(folder.parent, {"log_level": "error", **places} | {"sweep_interval": "1s"})
    with contextlib.closing(server), server.client() as client:
        server.start()
        answers = [put(client, number) for number in range(_MOST_UPLOADS)]
        server.restart()
        files = [answer.json() for answer in answers if answer.status_code == 201]
        for file in files:
            assert client.get(file["url"]).status_code == 200
        for file in files:
            assert client.delete(f"/api/files/{file['id']}?permanent=true").status_code == 204
        return {answer.status_code for answer in answers}


def put(client: httpx.Client, number: int) -> httpx.Response:
    """Upload a large file or a small one."""
    return client.put(f"/api/upload/{number}.bin", content=os.urandom(20_000 if number % 2 else 2 * MIB))
