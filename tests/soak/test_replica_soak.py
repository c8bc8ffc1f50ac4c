"""The long form of `faults/test_replicas.py`: two hundred kills, or as many as SOAK_KILLS says; and with blobs in real stores of
objects, which are killed in their turn too. Of Ceph that is the gateway: its objects are in the memory of the disk behind it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from faults.replicas import Trial, fleet
from support.object_stores import ObjectStore, SeaweedFS
from support.rgw import Rgw

_KILLS = int(os.environ.get("SOAK_KILLS", "200"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))

pytestmark = [pytest.mark.soak, pytest.mark.service("postgresql"), pytest.mark.service("pgbouncer")]


def test_many_kills_of_a_fleet_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _kill_many(tmp_path, None, capsys)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Rgw, marks=pytest.mark.service("rgw"), id="rgw"),
        pytest.param(SeaweedFS, marks=pytest.mark.service("seaweedfs"), id="seaweedfs"),
    ],
)
def test_many_kills_of_a_fleet_and_its_store_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[ObjectStore]
) -> None:
    (tmp_path / "objects").mkdir()
    with kind(tmp_path / "objects") as store:
        _kill_many(tmp_path, store, capsys)


def _kill_many(folder: Path, store: ObjectStore | None, capsys: pytest.CaptureFixture[str]) -> None:
    with fleet(folder, store) as running:
        trial = Trial(running, _SEED, clients=6)
        trial.run(_KILLS)
        trial.judge()
        with capsys.disabled():
            print(
                f"\n{sum(trial.kills.values())} kills {dict(trial.kills)}, seed {_SEED}: {len(trial.acknowledged)} files"
                f" acknowledged, whole and once; {trial.repeated} requests repeated; {len(running.receiver.received)} messages"
                f" of webhooks; requests by server {list(running.proxy.passed.values())}"
            )
