"""The long form of `faults/test_power_cuts.py`, with a scanner and a receiver of webhooks beside the uploads.

A hundred cuts on each filesystem, or as many as SOAK_CUTS says. Rounds with one process and with two workers alternate, on the same
data.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.company import Company
from faults.disks import LoopDisk
from faults.killing import EVERY_WAY, KillTrial
from support import live_server
from support.clamd import LiveClamd
from support.live_server import LiveServer
from support.receiver import receiving

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
@pytest.mark.service("clamd")
@pytest.mark.service("xfs")
@pytest.mark.service("btrfs")
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_many_power_cuts_lose_nothing_acknowledged(
    place: Path, clamd: LiveClamd, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(live_server, "START_SECONDS", 300)  # the machine may have much else to do
    disk = LoopDisk(place, kind, size=2 << 30)
    with receiving() as receiver, contextlib.closing(disk):
        company = Company(clamd, receiver)
        server = LiveServer(place, {"log_level": "warning", "sweep_interval": "1s", **company.settings})
        trial = KillTrial(server, _SEED, flows=EVERY_WAY, after_kill=disk.come_back, company=company, latest_kill=2)
        with contextlib.closing(server):
            server.start()
            company.subscribe(server)
            for number in range(_CUTS):
                server.workers = 2 if number % 2 else 1  # from the start after this cut on
                trial.round()
                if (number + 1) % 10 == 0:
                    with capsys.disabled():
                        print(f"\n{kind}: {number + 1} power cuts, {len(trial.acknowledged)} acknowledged", flush=True)
            trial.judge()
    with capsys.disabled():
        print(
            f"\n{kind}, {_CUTS} power cuts, one process and two workers by turns, seed {_SEED}: {len(trial.acknowledged)}"
            f" acknowledged and kept whole, {sum(sent.is_infected for sent in trial.acknowledged)} of them infected and"
            f" never served; {trial.unanswered} unanswered, of which {trial.recorded_unanswered} had been recorded, whole;"
            f" {company.told} webhooks, {company.told_again} of them more than once"
        )
    assert trial.acknowledged
