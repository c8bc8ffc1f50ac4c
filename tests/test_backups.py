"""Backups: whole while a server is used, read again, put back elsewhere, and refused where that would harm."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.remains import sweep_has_begun
from faults.waiting import eventually
from support.live_server import LiveServer, MakeServer

pytestmark = pytest.mark.sqlite  # copies are of SQLite and a folder

LARGE = os.urandom(200_000)


def put(server: LiveServer, name: str, content: bytes) -> Any:
    with server.client() as client:
        return client.put(f"/api/upload/{name}", content=content).raise_for_status().json()


def fetched(server: LiveServer, file: Any) -> tuple[int, bytes]:
    path = "/" + file["url"].split("/", 3)[3]
    answer = httpx.get(server.url + path, trust_env=False, timeout=30)
    return answer.status_code, answer.content


def run(server: LiveServer, *arguments: str) -> str:
    done = server.run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


class Busy:
    """Somebody who uploads and deletes for good all the time."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.count = 0

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        with self._server.client() as client:
            while not self._is_over.is_set():
                file = (
                    client.post("/api/upload/busy.bin", content=LARGE[: 40_000 + self.count]).raise_for_status().json()
                )
                client.delete(f"/api/files/{file['id']}").raise_for_status()
                self.count += 1


def test_a_backup_of_a_busy_server_is_whole_private_and_restored_elsewhere(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(sweep_interval="1")
    kept = [put(server, f"kept-{number}.bin", LARGE[number:]) for number in range(5)]
    small = put(server, "small.txt", b"words")
    with server.client() as client:
        ticket = client.post("/api/uploads", json={"name": "later.bin", "size": len(LARGE)}).json()
    backup = tmp_path / "backup"
    with Busy(server) as busy:
        said = run(server, "backup", str(backup))
    assert busy.count > 0
    assert said.startswith("Copied and verified: ")
    record = json.loads((backup / "backup.json").read_text())
    assert record["files"] >= 6
    copied = [backup, *backup.rglob("*")]
    assert [path for path in copied if path.stat().st_mode & 0o077] == []
    assert {path.name for path in backup.iterdir()} == {"backup.json", "blobs", "fileferry.db", "incoming", "store-id"}

    other = make_server(root_key=server.root_key)
    other.stop()
    for path in sorted(other.data.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert "Restored and verified" in run(other, "restore-backup", str(backup))
    other.start()
    assert [fetched(other, file) for file in kept] == [(200, LARGE[number:]) for number in range(5)]
    assert fetched(other, small) == (200, b"words")
    path = "/" + ticket["url"].split("/", 3)[3]
    assert httpx.put(other.url + path, content=LARGE, trust_env=False).is_success
    assert run(other, "doctor").endswith("Store and database agree.\n")


def test_a_backup_goes_to_no_folder_that_has_something_in_it(quiet: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    refused = quiet.run("backup", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert (
        refused.stderr.decode()
        == f"fileferry: {tmp_path} is not empty: name a folder that is, or that is not there yet.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_nothing_is_restored_over_something_or_from_what_is_not_whole(quiet: LiveServer, tmp_path: Path) -> None:
    run(quiet, "backup", str(tmp_path / "backup"))
    over = quiet.run("restore-backup", str(tmp_path / "backup"))
    assert (over.returncode, b"is not empty" in over.stderr) == (2, True)
    (tmp_path / "backup" / "backup.json").unlink()
    broken = quiet.run("restore-backup", str(tmp_path / "backup"))
    assert (broken.returncode, b"holds no whole backup" in broken.stderr) == (2, True)


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_store_that_has_lost_bytes_is_no_backup(make_server: MakeServer, tmp_path: Path, harm: str) -> None:
    server = make_server()
    put(server, "a.bin", LARGE)
    (blob,) = [path for path in (server.data / "blobs").rglob("*") if path.is_file()]
    if harm == "gone":
        blob.unlink()
    else:
        blob.write_bytes(LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    refused = server.run("backup", str(tmp_path / "backup"))
    assert (refused.returncode, b"run fileferry doctor" in refused.stderr) == (1, True)
    assert not (tmp_path / "backup" / "backup.json").exists()


def test_what_waits_for_the_sweep_is_no_fault(make_server: MakeServer) -> None:
    server = make_server(sweep_interval="1h")
    file = put(server, "a.bin", LARGE)
    # No sweep is under way: the one of the first start has the lease for long after it was killed.
    eventually(lambda: sweep_has_begun(server.data / "fileferry.db"), "the sweep of the start has begun")
    server.kill()
    server.start()
    with server.client() as client:
        client.delete(f"/api/files/{file['id']}", params={"permanent": "true"}).raise_for_status()
    said = run(server, "doctor")
    assert "1 ended file whose bytes the next sweep frees; no fault" in said
    assert said.endswith("Store and database agree.\n")
