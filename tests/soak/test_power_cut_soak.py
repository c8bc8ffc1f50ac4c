"""The long form of `faults/test_power_cuts.py`: a hundred cuts on each filesystem, or as many as SOAK_CUTS says."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.disks import LoopDisk
from faults.killing import EVERY_WAY, KillTrial
from support.live_server import LiveServer

_CUTS = int(os.environ.get("SOAK_CUTS", "100"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder on xfs, where an image is copied in an instant: the moment of a power cut, for what has no other."""
    with (tmp_path / "below.img").open("wb") as image:
        image.truncate(4 << 30)
    subprocess.run(["mkfs.xfs", "-q", str(tmp_path / "below.img")], check=True)
    folder = tmp_path / "below"
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(tmp_path / "below.img"), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2], ids=["one-process", "two-workers"])
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_many_power_cuts_lose_nothing_acknowledged(
    place: Path, capsys: pytest.CaptureFixture[str], kind: str, workers: int
) -> None:
    disk = LoopDisk(place, kind, size=1 << 30)
    server = LiveServer(place, {"log_level": "warning", "sweep_interval": "1s"}, workers=workers)
    trial = KillTrial(server, _SEED, flows=EVERY_WAY, after_kill=disk.come_back)
    rounds = max(1, _CUTS // 2)
    try:
        with contextlib.closing(server):
            server.start()
            for _ in range(rounds):
                trial.round()
            trial.judge()
    finally:
        disk.close()
    with capsys.disabled():
        print(
            f"\n{kind}, {rounds} power cuts, {workers} process(es), seed {_SEED}: {len(trial.acknowledged)} acknowledged"
            f" and whole, {trial.unanswered} unanswered, of which {trial.recorded_unanswered} had been recorded, whole"
        )
    assert trial.acknowledged
