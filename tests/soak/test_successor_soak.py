"""A gibibyte, or SOAK_BYTES, by tus to a bucket through three servers, two of which die in its midst: the last one ends it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from faults import successors
from faults.replicas import Fleet, fleet
from faults.successors import CHECKPOINT, MIB, Noise
from faults.waiting import eventually
from support.object_stores import ObjectStore, SeaweedFS
from support.rgw import Rgw

_SIZE = int(os.environ.get("SOAK_BYTES", str(1024 * MIB))) // MIB * MIB
_BEYOND = (8 * MIB, 56 * MIB)
"""How far behind a checkpoint each server dies (bytes)."""


@pytest.mark.soak
@pytest.mark.service("postgresql")
@pytest.mark.service("pgbouncer")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(SeaweedFS, marks=pytest.mark.service("seaweedfs"), id="seaweedfs"),
        pytest.param(Rgw, marks=pytest.mark.service("rgw"), id="rgw"),
    ],
)
def test_the_last_of_three_servers_ends_an_upload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[ObjectStore]
) -> None:
    noise = Noise(_SIZE)
    (tmp_path / "objects").mkdir()
    with kind(tmp_path / "objects") as store, fleet(tmp_path, store) as running, running.client() as http:
        asked = {"path": "large.bin", "auto_complete": True, "sha256": noise.digest()}
        ticket = http.post("/api/uploads", json=asked).json()
        successors.begin(ticket["url"], _SIZE)
        offset, again = 0, []
        for beyond in _BEYOND:
            before = offset
            recorded = partial(_recorded, running, ticket["id"])
            kill = partial(_kill_who_has_it, running, dict(running.proxy.passed))
            sent = successors.send_until_killed(
                ticket["url"], noise, offset, beyond=beyond, recorded=recorded, kill=kill
            )
            offset = successors.offset_of(ticket["url"])
            assert offset >= before + CHECKPOINT
            again.append(sent - offset)
        assert sum(replica.is_running() for replica in running.replicas) == 1
        successors.send_rest(ticket["url"], noise, offset)
        eventually(lambda: http.get("/api/files/path/large.bin").json()["status"] == "ready", "it is verified")
        assert successors.digest_at(http.get("/api/files/path/large.bin").json()["url"]) == noise.digest()
    with capsys.disabled():
        told = ", ".join(f"{size / MIB:.1f} MiB" for size in again)
        print(f"\n{store.name}: {_SIZE / MIB:.0f} MiB, {len(_BEYOND)} servers died; sent again: {told}")
    assert max(again) < CHECKPOINT


def _recorded(running: Fleet, upload_id: str) -> int:
    """Return how far an upload is by what is recorded of it; asked past the proxy, which counts requests."""
    replica = next(replica for replica in running.replicas if replica.is_running())
    with replica.client() as http:
        return int(http.get(f"/api/uploads/{upload_id}").json()["offset"])


def _kill_who_has_it(running: Fleet, passed: dict[int, int]) -> None:
    """Kill the server that has had a request since so many were passed to each."""
    (replica,) = (each for each in running.replicas if running.proxy.passed[each.port] > passed[each.port])
    replica.kill()
