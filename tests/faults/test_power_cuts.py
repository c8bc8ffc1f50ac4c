"""Power cuts under concurrent uploads: what the disk had not been told to keep is gone, and nothing that was acknowledged is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.disks import LoopDisk
from faults.killing import EVERY_WAY, KillTrial
from support.live_server import LiveServer

pytestmark = pytest.mark.sqlite

_CUTS = 3


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoopDisk]:
    made = LoopDisk(tmp_path, request.param)
    yield made
    made.close()


@pytest.mark.service("xfs")
@pytest.mark.parametrize(
    ("disk", "workers"), [("ext4", 1), ("xfs", 2)], indirect=["disk"], ids=["ext4", "xfs-two-workers"]
)
def test_a_power_cut_loses_nothing_acknowledged(disk: LoopDisk, workers: int) -> None:
    server = LiveServer(disk.folder.parent, {"log_level": "warning"}, workers=workers)
    trial = KillTrial(server, seed=workers, flows=EVERY_WAY, after_kill=disk.come_back)
    with contextlib.closing(server):
        server.start()
        for _ in range(_CUTS):
            trial.round()
        trial.judge()
    assert trial.acknowledged
    assert trial.unanswered
