"""A full disk: uploads are refused with 507 and leave nothing, all else goes on, and uploads go on when there is space again."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.disks import SmallDisk
from faults.remains import blobs, doctor, rows, sweep_has_begun
from faults.waiting import eventually

pytestmark = pytest.mark.sqlite

MIB = 1024 * 1024
_DISK = 16 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path, _DISK)
    yield disk
    disk.unmount()


def upload_by_every_flow(client: httpx.Client, content: bytes) -> list[httpx.Response]:
    encoded = {"filename": "json.bin", "base64": base64.b64encode(content).decode()}
    return [
        client.post("/api/upload/raw.bin", content=content),
        client.put("/api/upload/at/path.bin", content=content),
        client.post("/v1/files", files={"file": ("form.bin", content)}),
        client.post("/v1/files", json=encoded),
    ]


def assert_says_that_the_disk_is_full(response: httpx.Response) -> None:
    assert response.status_code == 507, response.text
    body = response.json()
    if response.url.path.startswith("/v1"):
        body = body["error"]
    else:
        assert response.headers["content-type"].startswith("application/problem+json")
        assert body["status"] == 507
    assert body["code"] == "insufficient_storage"
    assert body["retry"] == "after"
    assert body["request_id"] == response.headers["x-request-id"]
    assert "space" in body.get("detail", body.get("message"))


def listed(client: httpx.Client) -> list[str]:
    return [file["path"] for file in client.get("/api/files?limit=1000").json()["files"]]


@pytest.mark.parametrize("size", [100_000, 2 * MIB], ids=["small", "large"])
def test_a_full_store_refuses_uploads_of_every_flow_and_serves_on(
    small_disk: SmallDisk, make_server: Any, size: int
) -> None:
    server = make_server(min_free_space="0", store=f"file://{small_disk.folder}", log_level="warning")
    content = os.urandom(size)
    with server.client() as client:
        kept = client.put("/api/upload/kept.bin", content=content).json()
        small_disk.fill()
        for refused in upload_by_every_flow(client, content):
            assert_says_that_the_disk_is_full(refused)
        assert client.get("/readyz").json() == {"status": "degraded", "reason": "insufficient_storage"}
        assert client.get("/healthz").status_code == 200
        assert client.get(kept["url"]).content == content
        assert listed(client) == ["kept.bin"]
        small_disk.relieve()
        assert blobs(small_disk.folder) == rows(server.data / "fileferry.db"), "a refused upload left bytes"
        for accepted in upload_by_every_flow(client, content):
            assert accepted.status_code == 201, accepted.text
            assert client.get(accepted.json()["url"]).content == content
        assert client.get("/readyz").json() == {"status": "ok"}


def test_an_upload_that_outgrows_the_disk_gives_its_space_back(small_disk: SmallDisk, make_server: Any) -> None:
    server = make_server(min_free_space="0", store=f"file://{small_disk.folder}")
    free = small_disk.free()
    with server.client() as client:
        assert_says_that_the_disk_is_full(client.put("/api/upload/large.bin", content=bytes(_DISK + MIB)))
        eventually(lambda: small_disk.free() > free - MIB, "the space of the refused upload is free")
        assert client.put("/api/upload/fits.bin", content=bytes(_DISK // 2)).status_code == 201


def test_deleting_a_file_makes_room_on_a_full_store(small_disk: SmallDisk, make_server: Any) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(min_free_space="0", store=f"file://{small_disk.folder}", sweep_interval="1s")
    content = os.urandom(4 * MIB)
    with server.client() as client:
        kept = client.put("/api/upload/kept.bin", content=content).json()
        spare = client.put("/api/upload/spare.bin", content=content).json()
        small_disk.fill()
        assert_says_that_the_disk_is_full(client.put("/api/upload/more.bin", content=content))
        assert client.delete(f"/api/files/{spare['id']}?permanent=true").status_code == 204
        eventually(lambda: small_disk.free() >= len(content), "the sweeper has freed the deleted file's bytes")
        assert client.put("/api/upload/more.bin", content=content).status_code == 201
        assert client.get(kept["url"]).content == content


@pytest.mark.parametrize("size", [10, 300_000], ids=["tiny", "small"])
def test_a_full_database_refuses_uploads_of_every_flow_and_serves_on(
    small_disk: SmallDisk, make_server: Any, size: int
) -> None:
    database = small_disk.folder / "fileferry.db"
    # A sweep may use the spare room, and what is left of that would take an upload. So none is under way: the one of the
    # first start has the lease for long after it was killed.
    places = {"database_url": f"sqlite:///{database}", "sweep_interval": "1000h"}
    server = make_server(min_free_space="0", log_level="warning", **places)
    eventually(lambda: sweep_has_begun(database), "the server has the lease")
    server.kill()
    server.start()
    content = os.urandom(size)
    with server.client() as client:
        kept = client.put("/api/upload/kept.bin", content=content).json()
        small_disk.fill()
        for refused in upload_by_every_flow(client, content):
            assert_says_that_the_disk_is_full(refused)
        assert client.get(kept["url"]).content == content
        assert listed(client) == ["kept.bin"]
        small_disk.relieve()
        assert blobs(server.data) == rows(database), "a refused upload left bytes"
        for accepted in upload_by_every_flow(client, content):
            assert accepted.status_code == 201, accepted.text
            assert client.get(accepted.json()["url"]).content == content


def test_a_disk_that_fills_up_under_many_clients_keeps_every_acknowledged_file(
    small_disk: SmallDisk, make_server: Any
) -> None:
    database = small_disk.folder / "fileferry.db"
    places = {"store": f"file://{small_disk.folder}", "database_url": f"sqlite:///{database}"}
    server = make_server(min_free_space="0", log_level="warning", **places)
    sizes = [10_000, 100_000, 700_000]
    small_disk.fill(leaving=_DISK - 2 * MIB)
    with server.client() as client, ThreadPoolExecutor(8) as clients:

        def upload(number: int) -> tuple[bytes, httpx.Response]:
            content = os.urandom(sizes[number % len(sizes)])
            return content, client.put(f"/api/upload/{number}.bin", content=content)

        outcomes = list(clients.map(upload, range(150)))
        accepted = [(content, response.json()) for content, response in outcomes if response.status_code == 201]
        assert 0 < len(accepted) < len(outcomes)
        for _, response in outcomes:
            if response.status_code != 201:
                assert_says_that_the_disk_is_full(response)
        for content, file in accepted:
            assert client.get(file["url"]).content == content
        assert listed(client) == sorted(file["path"] for _, file in accepted)
        small_disk.relieve()
        assert client.put("/api/upload/next.bin", content=b"next").status_code == 201
    doctor(server, "--fix", **places)
    assert blobs(small_disk.folder) == rows(database)


def test_a_reserve_keeps_room_to_delete_and_recover(small_disk: SmallDisk, make_server: Any) -> None:
    places = {"store": f"file://{small_disk.folder}", "database_url": f"sqlite:///{small_disk.folder}/fileferry.db"}
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(min_free_space="4MiB", sweep_interval="1s", log_level="warning", **places)
    content = os.urandom(4 * MIB)
    with server.client() as client:
        spare = client.put("/api/upload/spare.bin", content=content).json()
        small_disk.fill(leaving=4 * MIB - 100_000)
        for refused in upload_by_every_flow(client, b"a few bytes"):
            assert_says_that_the_disk_is_full(refused)
        assert client.get("/readyz").json()["status"] == "degraded"
        assert client.delete(f"/api/files/{spare['id']}?permanent=true").status_code == 204
        eventually(lambda: small_disk.free() >= 7 * MIB, "the sweeper has freed the deleted file's bytes")
        assert client.put("/api/upload/more.bin", content=b"a few bytes").status_code == 201


def test_a_start_works_on_a_full_disk(small_disk: SmallDisk, make_server: Any) -> None:
    places = {"store": f"file://{small_disk.folder}", "database_url": f"sqlite:///{small_disk.folder}/fileferry.db"}
    server = make_server(log_level="warning", **places)
    small_disk.fill()
    server.restart()
    with server.client() as client:
        assert client.get("/readyz").json()["status"] == "degraded"


def test_a_disk_that_is_full_to_the_last_byte_can_be_emptied_file_by_file(
    small_disk: SmallDisk, make_server: Any
) -> None:
    """Deleting, revoking and expiring work where no other write does, also without a reserve for uploads."""
    places = {"store": f"file://{small_disk.folder}", "database_url": f"sqlite:///{small_disk.folder}/fileferry.db"}
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(min_free_space="0", sweep_interval="1s", log_level="warning", **places)
    content = os.urandom(100_000)
    with server.client() as client:
        spares = [client.put(f"/api/upload/{number}.bin", content=content).json() for number in range(60)]
        keys = [client.post("/api/keys", json={"name": "k", "scopes": ["read"]}).json() for _ in range(20)]
        ending = client.put("/api/upload/ending.bin?expires_in=2s", content=content).json()
        small_disk.fill()
        growing = {"name": "a", "metadata": {"a": "a" * 15_000}}
        for _ in range(1000):  # until even the log has no room of its own left
            if client.post("/api/uploads", json=growing).status_code == 507:
                break
        else:
            pytest.fail("the log has room without end")
        for key in keys:
            assert client.delete(f"/api/keys/{key['id']}").status_code == 204
        for spare in spares:
            assert client.delete(f"/api/files/{spare['id']}?permanent=true").status_code == 204
        eventually(lambda: client.get(f"/api/files/{ending['id']}").status_code == 410, "the file has expired")
        eventually(lambda: small_disk.free() > 40 * len(content), "the sweeper has freed what was deleted")
        assert client.put("/api/upload/next.bin", content=content).status_code == 201
