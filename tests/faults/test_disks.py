"""Disks that fail otherwise than by being full: the server lives, says why, serves what can be read, and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from faults.disks import MIB, LoopDisk, quota, run
from faults.proc import children
from faults.remains import blobs, rows
from faults.waiting import eventually
from fileferry.blobs.conformance import CHECKS
from fileferry.blobs.local import LocalStore
from fileferry.db.connections import Connections
from support.live_server import LiveServer

pytestmark = pytest.mark.sqlite

MakeDisk = Callable[[str], LoopDisk]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    made: list[LoopDisk] = []

    def make(kind: str) -> LoopDisk:
        made.append(LoopDisk(tmp_path, kind))
        return made[-1]

    yield make
    for disk in made:
        disk.close()


@pytest.fixture
def memory_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "memory"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=64", "fileferry-test", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def places(folder: Path) -> dict[str, str]:
    """Settings of a server that has everything on one disk."""
    return {"store": f"file://{folder}", "database_url": f"sqlite:///{folder}/fileferry.db", "log_level": "error"}


def put(client: httpx.Client, number: int, size: int) -> httpx.Response:
    return client.put(f"/api/upload/{number}.bin", content=os.urandom(size))


def takes_uploads(client: httpx.Client) -> bool:
    try:
        answer = put(client, 101, 100_000)
        if not answer.is_success:
            print(answer.status_code, answer.text)  # which is shown where they never do
        return answer.is_success
    except httpx.TransportError:  # on a busy machine it has waited so long that the server closed it just now
        return False


def assert_put_off(response: httpx.Response) -> None:
    assert response.status_code in (503, 507), response.text
    assert response.json()["retry"] == "after"


@pytest.mark.service("btrfs")
def test_a_btrfs_quota_refuses_uploads_and_lets_files_be_served_and_deleted(
    make_disk: MakeDisk, make_server: Any
) -> None:
    folder = quota(make_disk("btrfs"), 24 * MIB)
    # In real time: a server in a process of its own has a clock of its own.
    server: LiveServer = make_server(**places(folder), sweep_interval="1s")
    with server.client() as client:
        kept: list[dict[str, Any]] = []
        refused = 0
        for number in range(500):
            answer = put(client, number, 200_000 if number % 2 else 20_000)
            if answer.status_code == 201:
                kept.append(answer.json())
                continue
            assert_put_off(answer)
            refused += 1
            if refused == 200:
                break
        assert refused == 200
        assert client.get("/readyz").json() == {"status": "degraded", "reason": "insufficient_storage"}
        assert {client.get(file["url"]).status_code for file in kept} == {200}
        for file in kept[:30]:
            assert client.delete(f"/api/files/{file['id']}?permanent=true").status_code == 204
        server.restart()
        for file in kept[30:60]:
            assert client.delete(f"/api/files/{file['id']}?permanent=true").status_code == 204
        eventually(lambda: put(client, 1000, 200_000).status_code == 201, "there is room again")
        assert {client.get(file["url"]).status_code for file in kept[60:]} == {200}


@pytest.mark.service("btrfs")
def test_on_btrfs_doctor_says_at_once_that_the_server_has_its_database_alone(
    make_disk: MakeDisk, make_server: Any
) -> None:
    folder = make_disk("btrfs").folder
    server: LiveServer = make_server(**places(folder))
    assert not (folder / "fileferry.db-shm").exists()
    told = server.run("doctor")
    assert (told.returncode, told.stdout) == (1, b"")
    assert told.stderr.startswith(b"fileferry: The server has its database for itself")
    server.stop()
    assert server.run("doctor").returncode == 0


@pytest.mark.service("btrfs")
def test_on_btrfs_several_workers_are_several_processes_and_doctor_works_beside_them(
    make_disk: MakeDisk, make_server: Any
) -> None:
    server: LiveServer = make_server(**places(make_disk("btrfs").folder), workers=2)
    with server.client() as client:
        assert put(client, 1, 100_000).status_code == 201
    told = server.run("doctor")
    assert told.returncode == 0, told.stderr
    assert b"start one worker only" in told.stderr


@pytest.mark.service("xfs")
@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_disk_that_is_cut_off_ends_no_process_and_loses_nothing_acknowledged(
    make_disk: MakeDisk, make_server: Any, kind: str
) -> None:
    disk = make_disk(kind)
    server: LiveServer = make_server(**places(disk.folder))
    sizes = [0, 700, 20_000, 100_000, 2 * MIB]
    with server.client() as client:
        kept = [put(client, number, size).json() for number, size in enumerate(sizes)]
        assert {client.get(file["url"]).status_code for file in kept} == {200}  # small ones are in memory then
        disk.cut_power()
        for size in sizes:
            assert_put_off(put(client, 100, size))
        for file in kept:
            assert client.get(file["url"]).status_code in (200, 503)
        assert_put_off(client.delete(f"/api/files/{kept[0]['id']}"))
        assert client.get("/healthz").status_code == 200
        server.stop()
        told = server.run("serve", "--port", "0")
        assert told.returncode == 1
        assert len(told.stderr.splitlines()) == 2, told.stderr  # where it would have served, and why it does not
        disk.unmount()
        disk.mount()
        server.start()
        for file, size in zip(kept, sizes, strict=True):
            assert len(client.get(file["url"]).content) == size


@pytest.mark.service("xfs")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_disk_that_was_cut_off_is_used_again_once_it_is_back_without_a_restart(
    make_disk: MakeDisk, make_server: Any, kind: str, workers: int
) -> None:
    disk = make_disk(kind)
    server: LiveServer = make_server(**places(disk.folder), workers=workers)
    with contextlib.ExitStack() as opened:
        # Connections of their own, so that all workers are asked.
        clients = [opened.enter_context(server.client()) for _ in range(8)]
        kept = [put(client, number, 100_000).json() for number, client in enumerate(clients)]
        processes = children(server.pid)
        disk.cut_power()
        for client in clients:
            assert_put_off(put(client, 100, 100_000))
        disk.unmount()  # which takes that nobody has a file of it open
        for client in clients:
            assert_put_off(put(client, 100, 100_000))
        assert list(disk.folder.iterdir()) == []
        disk.mount()
        eventually(lambda: all(takes_uploads(client) for client in clients), "every worker takes uploads again")
        for client in clients:
            assert {client.get(file["url"]).status_code for file in kept} == {200}
        assert children(server.pid) == processes, server.log_text()


def test_who_gives_up_a_database_leaves_the_log_of_who_has_opened_it_anew(tmp_path: Path) -> None:
    folder, url = tmp_path / "memory", f"sqlite:///{tmp_path}/memory/test.db"
    folder.mkdir()
    with contextlib.ExitStack() as ending:
        opened: list[Connections] = []
        found: list[dict[str, int]] = []
        for _ in range(2):
            run("mount", "-t", "tmpfs", "-o", "size=16m", "fileferry-test", str(folder))
            opened.append(Connections(url))
            ending.callback(run, "umount", "-l", str(folder))
            ending.callback(opened[-1].close)
            with opened[-1].using() as made, made.writing.begin():
                made.writing.execute(text("CREATE TABLE t (n INTEGER)"))
            found.append({path.name: path.stat().st_ino for path in folder.iterdir()})
        assert found[0]["test.db"] == found[1]["test.db"], "one file by its number, as where a disk is mounted twice"
        opened[0].doubt()
        assert {path.name: path.stat().st_ino for path in folder.iterdir()} == found[1]


def test_a_store_that_is_read_only_serves_and_says_why_it_takes_nothing(memory_disk: Path, make_server: Any) -> None:
    server: LiveServer = make_server(store=f"file://{memory_disk}", min_free_space="0", log_level="error")
    with server.client() as client:
        kept = put(client, 1, 100_000).json()
        run("mount", "-o", "remount,ro", str(memory_disk))
        for size in (100_000, 2 * MIB):
            answer = put(client, 2, size)
            assert_put_off(answer)
            assert "Read-only file system" in answer.json()["detail"]
            assert answer.headers["Retry-After"]
        assert client.get(kept["url"]).status_code == 200
        assert client.get("/readyz").json() == {"status": "degraded", "reason": "unavailable"}
        assert client.delete(f"/api/files/{kept['id']}?permanent=true").status_code == 204
        server.stop()
        told = server.run("serve", "--port", "0")
        assert told.returncode == 1
        assert told.stderr.splitlines()[-1] == f"fileferry: Read-only file system: {memory_disk}".encode()
        run("mount", "-o", "remount,rw", str(memory_disk))
        server.start()
        assert put(client, 2, 100_000).status_code == 201


def test_a_store_without_inodes_answers_507(memory_disk: Path, make_server: Any) -> None:
    server: LiveServer = make_server(**places(memory_disk), min_free_space="0")
    with server.client() as client:
        kept = put(client, 1, 100_000).json()
        taken = [memory_disk / f"taken-{number}" for number in range(os.statvfs(memory_disk).f_ffree)]
        for path in taken:
            path.touch()
        for size in (100_000, 2 * MIB):
            assert put(client, 2, size).status_code == 507
        assert client.get(kept["url"]).status_code == 200
        server.restart()
        assert client.get(kept["url"]).status_code == 200
        for path in taken:
            path.unlink()
        assert put(client, 2, 100_000).status_code == 201


def test_a_store_whose_disk_is_taken_away_takes_nothing_under_its_mount_point(
    memory_disk: Path, make_server: Any
) -> None:
    server: LiveServer = make_server(store=f"file://{memory_disk}", min_free_space="0", log_level="error")
    with server.client() as client:
        kept = put(client, 1, 100_000).json()
        run("mount", "--bind", str(memory_disk), str(server.data))
        run("umount", "-l", str(memory_disk))
        try:
            for size in (100_000, 2 * MIB):
                assert_put_off(put(client, 2, size))
            assert client.get(kept["url"]).status_code == 503
            assert list(memory_disk.iterdir()) == []
            run("mount", "--bind", str(server.data), str(memory_disk))
        finally:
            run("umount", "-l", str(server.data))
        # The mount hid the database too: whoever noticed looks for it again after a moment.
        eventually(lambda: client.get(kept["url"]).status_code == 200, "the file is served again")
        assert put(client, 2, 100_000).status_code == 201


def keep_contract(root: Path) -> None:
    async def keep() -> None:
        for check in CHECKS:
            store = LocalStore(root)
            await check(store)
            await store.close()

    asyncio.run(keep())


@pytest.mark.service("bindfs")
def test_a_store_where_two_names_of_a_file_have_locks_of_their_own_keeps_its_contract(tmp_path: Path) -> None:
    for name in ("below", "store"):
        (tmp_path / name).mkdir()
    run("bindfs", str(tmp_path / "below"), str(tmp_path / "store"))
    try:
        keep_contract(tmp_path / "store")
    finally:
        run("umount", "-l", str(tmp_path / "store"))


@pytest.fixture
def divided_store(tmp_path: Path) -> Iterator[Path]:
    """A store whose blobs are on another mount than what comes in."""
    for name in ("store/incoming", "store/blobs", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    run("mount", "--bind", str(tmp_path / "elsewhere"), str(tmp_path / "store/blobs"))
    yield tmp_path / "store"
    subprocess.run(["umount", "-l", str(tmp_path / "store/blobs")], check=True)


def test_a_store_on_two_disks_keeps_its_contract(divided_store: Path) -> None:
    with pytest.raises(OSError, match="cross-device"):
        (divided_store / "incoming").rename(divided_store / "blobs/incoming")

    keep_contract(divided_store)
    assert not list(divided_store.rglob("*.copy"))


def test_uploads_to_a_store_on_two_disks_are_copied_and_nothing_is_left_of_it(
    divided_store: Path, make_server: Any
) -> None:
    server: LiveServer = make_server(store=f"file://{divided_store}")
    content = os.urandom(3 * MIB)
    with server.client() as client:
        files = [client.put(f"/api/upload/{number}.bin", content=content).json() for number in range(3)]
        asked = {"name": "parts.bin", "size": len(content), "parts": True, "part_size": MIB}
        ticket = client.post("/api/uploads", json=asked).json()
        for number in (1, 2, 3):
            part = content[(number - 1) * MIB : number * MIB]
            assert client.put(f"{ticket['part_url']}&partNumber={number}", content=part).status_code == 200
        files.append(client.post(f"/api/uploads/{ticket['id']}/complete").json())
        for file in files:
            assert client.get(file["url"]).content == content
        left = divided_store / "blobs" / "01234" / "567" / "01234567-0000-7000-8000-000000000000.ab.copy"
        left.parent.mkdir(parents=True)
        left.touch()
        assert server.run("doctor", "--fix").returncode == 0
        assert not left.exists()
        assert sorted(blobs(divided_store)) == sorted(rows(server.data / "fileferry.db"))


def test_a_damaged_database_is_told_in_one_sentence(make_server: Any) -> None:
    server: LiveServer = make_server(log_level="error")
    server.stop()
    (server.data / "fileferry.db").write_bytes(b"no database " * 1000)
    for command in (["serve", "--port", "0"], ["doctor"]):
        told = server.run(*command)
        assert told.returncode == 2
        assert b"fileferry.db is no database of fileferry: name another folder" in told.stderr.splitlines()[-1]
        assert b"Traceback" not in told.stderr
