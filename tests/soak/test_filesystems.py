"""One table of filesystems: does the store keep its contract there, and what is answered on a disk that fails in each way?

Root and loop devices. `make soak ARGS=tests/soak/test_filesystems.py` prints the table in the end, as docs/operating.md has it.
FUSE where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from faults.disks import MIB, LoopDisk, quota, run
from faults.waiting import eventually
from fileferry.blobs.conformance import CHECKS, Violation
from fileferry.blobs.local import LocalStore
from support.live_server import LiveServer

COLUMNS = ("conformance", "full", "no inodes", "read-only", "gone", "came back")
_REFUSALS = 20
_MOST_INODES = 20_000
"""Where there are more, it is room for bytes that ends first."""


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[dict[str, dict[str, str]]]:
    """What was seen of each filesystem, column by column; it is printed in the end."""
    seen: dict[str, dict[str, str]] = {}
    yield seen
    lines = [("filesystem", *COLUMNS), ("---",) * (len(COLUMNS) + 1)]
    lines += [(name, *(cells.get(column, "–") for column in COLUMNS)) for name, cells in seen.items()]
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines))


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
        with bound(place / "limited", quota(disk, 32 * MIB)) as folder:
            yield folder
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
def bound(place: Path, source: Path) -> Iterator[Path]:
    place.mkdir()
    with mounted(place, "mount", "--bind", str(source)) as folder:
        yield folder


@contextlib.contextmanager
def bind(place: Path) -> Iterator[Path]:
    with loop(place, "ext4") as disk, bound(place / "bound", disk) as folder:
        yield folder


@contextlib.contextmanager
def fuse(place: Path, program: str) -> Iterator[Path]:
    """A filesystem of FUSE over ext4."""
    with loop(place, "ext4") as disk:
        (place / "fuse").mkdir()
        with mounted(place / "fuse", program, str(disk)) as folder:
            yield folder


@contextlib.contextmanager
def mergerfs(place: Path) -> Iterator[Path]:
    """Two disks as one; what is made there goes to where its folder is."""
    disks = [place / "one", place / "two"]
    with contextlib.ExitStack() as stack:
        for disk in disks:
            disk.mkdir()
            stack.enter_context(loop(disk, "ext4"))
        (place / "fuse").mkdir()
        sources = ":".join(str(disk / "data") for disk in disks)
        yield stack.enter_context(
            mounted(place / "fuse", "mergerfs", "-o", "category.create=mfs,minfreespace=1M", sources)
        )


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


FILESYSTEMS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Path]]] = {
    "ext4": lambda place: loop(place, "ext4"),
    "xfs": lambda place: loop(place, "xfs"),
    "btrfs": lambda place: loop(place, "btrfs"),
    "btrfs under a quota": btrfs_quota,
    "tmpfs": lambda place: mounted(place, "mount", "-t", "tmpfs", "-o", "size=160m,nr_inodes=2000", "fileferry-test"),
    "overlay": overlay,
    "bind mount": bind,
    "bindfs": lambda place: fuse(place, "bindfs"),
    "mergerfs": mergerfs,
}


@pytest.mark.soak
@pytest.mark.service("xfs")
@pytest.mark.service("btrfs")
@pytest.mark.parametrize("name", FILESYSTEMS)
def test_a_filesystem_serves(name: str, tmp_path: Path, table: dict[str, dict[str, str]]) -> None:
    if name in ("bindfs", "mergerfs") and shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    cells = table[name] = {}
    with FILESYSTEMS[name](tmp_path) as folder:
        kept = conformance(folder / "store")
        cells["conformance"] = f"{kept} of {len(CHECKS)}"
        cells["read-only"] = str(read_only(folder, tmp_path))
        with serving(folder, tmp_path) as (server, client):
            answers = full(folder, server, client)
            cells["full"] = str(answers)
            free = os.statvfs(folder).f_ffree
            if 0 < free <= _MOST_INODES:
                cells["no inodes"] = str(without_inodes(folder, client))
            cells["gone"], cells["came back"] = gone(folder, tmp_path, client)
    assert kept == len(CHECKS)


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
    shutil.rmtree(root, ignore_errors=True)  # FUSE keeps a name of what is still open
    return held


@contextlib.contextmanager
def serving(folder: Path, place: Path, **settings: str) -> Iterator[tuple[LiveServer, httpx.Client]]:
    """A server with all it has on the disk, unless settings say otherwise."""
    places = {"store": f"file://{folder}", "database_url": f"sqlite:///{folder}/fileferry.db"}
    (place / "server").mkdir(exist_ok=True)
    server = LiveServer(
        place / "server", {"log_level": "error", "sweep_interval": "1s", "min_free_space": "0", **places, **settings}
    )
    with contextlib.closing(server), server.client() as client:
        server.start()
        yield server, client


def answers(client: httpx.Client, kept: httpx.Response) -> str:
    """Upload a small file and a large one, fetch one that is there, and delete it; return the statuses."""
    file = kept.json()
    uploads = [put(client, number).status_code for number in range(2)]
    fetched = client.get(file["url"]).status_code
    deleted = client.delete(f"/api/files/{file['id']}?permanent=true").status_code
    assert set(uploads) <= {201, 200, 503, 507}
    assert fetched in (200, 503)
    assert deleted in (204, 503, 507)
    return f"{', '.join(map(str, sorted(set(uploads))))} / {fetched} / {deleted}"


def full(folder: Path, server: LiveServer, client: httpx.Client) -> str:
    """Fill a disk to its end, restart on it, and empty it by deleting; there is room again in the end."""
    kept = [put(client, number) for number in (8, 9)]  # on some, nothing more is taken however much seems to be free
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as taking, contextlib.suppress(OSError):
        while True:
            taking.write(bytes(MIB))
            if os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize < 16 * MIB:
                break
    refused: list[httpx.Response] = []
    while len(refused) < _REFUSALS:
        answer = put(client, 10 + len(kept) + len(refused))
        (kept if answer.is_success else refused).append(answer)
    server.restart()
    told = {answer.status_code for answer in refused}
    assert told <= {503, 507}
    seen = f"{', '.join(map(str, sorted(told)))} / {' / '.join(answers(client, kept.pop()).split(' / ')[1:])}"
    for file in kept:
        assert client.get(file.json()["url"]).status_code == 200
    ballast.unlink()
    for file in kept:
        eventually(partial(is_deleted, client, file.json()["id"]), "it is deleted")
    eventually(lambda: put(client, 1).is_success, "there is room again")
    return seen


def is_deleted(client: httpx.Client, id: str) -> bool:
    answer = client.delete(f"/api/files/{id}?permanent=true")
    assert answer.status_code in (204, 503, 507)
    return answer.status_code == 204


def without_inodes(folder: Path, client: httpx.Client) -> str:
    """Take every inode."""
    kept = put(client, 2)
    taken = folder / "taken"
    taken.mkdir()
    with contextlib.suppress(OSError):
        for number in range(_MOST_INODES + 1):
            (taken / str(number)).touch()
    seen = answers(client, kept)
    shutil.rmtree(taken)
    eventually(lambda: put(client, 1).is_success, "there is room again")
    return seen


def read_only(folder: Path, place: Path) -> str:
    """Let the disk of the store be read only for a while; no disk can be that has an open database on it."""
    with serving(folder / "store", place, database_url=f"sqlite:///{place}/server.db") as (_, client):
        kept = put(client, 2)
        if subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], capture_output=True, check=False).returncode:
            return "–"
        try:
            seen = answers(client, kept)
        finally:
            run("mount", "-o", "remount,bind,rw", str(folder))
        eventually(lambda: put(client, 1).is_success, "it takes uploads again")
    shutil.rmtree(folder / "store", ignore_errors=True)
    return seen


def gone(folder: Path, place: Path, client: httpx.Client) -> tuple[str, str]:
    """Take the disk away and bring it back."""
    kept = [put(client, 2), put(client, 3)]
    aside = place / "aside"
    aside.mkdir()
    run("mount", "--bind", str(folder), str(aside))
    run("umount", "-l", str(folder))
    try:
        away = answers(client, kept[0])
        run("mount", "--bind", str(aside), str(folder))
    finally:
        run("umount", "-l", str(aside))
    eventually(lambda: put(client, 1).is_success, "it is used again")
    return away, answers(client, kept[1])


def put(client: httpx.Client, number: int) -> httpx.Response:
    """Upload a large file or a small one."""
    return client.put(f"/api/upload/{number}.bin", content=os.urandom(20_000 if number % 2 else 2 * MIB))
