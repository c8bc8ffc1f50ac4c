"""Every file can be read and compared with its digests, from where the last run was ended, and no faster than is asked."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fileferry.engine.files import verification
from fileferry.engine.files.verification import Verified
from support.live_server import MakeServer
from unit.service import Service

CONTENT = os.urandom(300_000)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.close()


def verified(service: Service, after: str = "", rate: int | None = None) -> list[Verified]:
    async def run() -> list[Verified]:
        return [found async for found in service._engine.verifier.run(after, rate)]

    found: list[Verified] = service._run(run())
    return found


def blob_of(service: Service, size: int) -> Path:
    (found,) = [path for path in service.blobs() if path.stat().st_size == size]
    return found


def test_what_was_changed_and_what_is_missing_are_told_from_what_is_whole(service: Service) -> None:
    for name, size in (("whole", 100_000), ("changed", 100_001), ("missing", 100_002), ("inline", 10)):
        service.upload(CONTENT[:size], name)
    with blob_of(service, 100_001).open("r+b") as blob:
        blob.seek(50_000)
        blob.write(b"changed")
    blob_of(service, 100_002).unlink()
    found = verified(service)
    assert [(version.size, version.fault) for version in found] == [
        (100_000, None),
        (100_001, "changed"),
        (100_002, "missing"),
        (10, None),
    ]
    assert verified(service, found[1].version_id) == found[2:]


def test_a_file_of_pieces_is_read_as_one(service: Service) -> None:
    ticket = service.request(
        "POST", "/api/uploads", json={"name": "a", "size": len(CONTENT), "part_size": 65536}
    ).json()
    for number in range(1, ticket["part_count"] + 1):
        part = CONTENT[(number - 1) * 65536 : number * 65536]
        url = f"{ticket['part_url']}&partNumber={number}".replace("http://service", "")
        assert service.request("PUT", url, content=part).is_success
    assert service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).is_success
    assert [(version.size, version.fault) for version in verified(service)] == [(len(CONTENT), None)]


def test_it_reads_no_faster_than_it_may(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.upload(CONTENT)
    paused: list[float] = []
    now = [100.0]

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        now[0] += seconds

    class Asyncio:
        to_thread = staticmethod(asyncio.to_thread)

        def __init__(self) -> None:
            self.sleep = sleep

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(verification, "asyncio", Asyncio())
    monkeypatch.setattr(verification, "time", Time())
    assert verified(service, rate=100_000)[0].fault is None
    assert sum(paused) == pytest.approx(3.0)


def test_the_command_reads_beside_a_server_and_goes_on_where_it_was_ended(make_server: MakeServer) -> None:
    server = make_server()
    with server.client() as http:
        for name, size in (("first", 300_000), ("second", 200_000)):
            http.put(f"/api/upload/{name}", content=CONTENT[:size]).raise_for_status()
    (blob,) = [path for path in (server.data / "blobs").rglob("*") if path.is_file() and path.stat().st_size == 200_000]
    blob.write_bytes(bytes(200_000))
    told = server.run("verify", "--json")
    assert told.returncode == 1, told.stderr
    report: dict[str, Any] = json.loads(told.stdout)
    ((version_id, fault),) = report["faults"].items()
    assert (report["files"], report["bytes"], fault) == (2, 500_000, "changed")
    assert version_id.encode() in told.stderr
    # What was read already is not read again: it is whole now, and is told of as it was found.
    blob.write_bytes(CONTENT[:200_000])
    (server.data / "verified.json").write_text(json.dumps(report))
    assert json.loads(server.run("verify", "--json", "--rate", "1GiB").stdout) == report
    assert json.loads(server.run("verify", "--json").stdout)["faults"] == {}
