"""The long form of `faults/test_replicas.py`: two hundred kills, or as many as SOAK_KILLS says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from faults.replicas import Trial, fleet

_KILLS = int(os.environ.get("SOAK_KILLS", "200"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))


@pytest.mark.soak
@pytest.mark.service("postgresql")
def test_many_kills_of_a_fleet_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with fleet(tmp_path) as running:
        trial = Trial(running, _SEED, clients=6)
        trial.run(_KILLS)
        trial.judge()
        with capsys.disabled():
            print(
                f"\n{sum(trial.kills.values())} kills {dict(trial.kills)}, seed {_SEED}: {len(trial.acknowledged)} files"
                f" acknowledged, whole and once; {trial.repeated} requests repeated; {len(running.receiver.received)} messages"
                f" of webhooks; requests by server {list(running.proxy.passed.values())}"
            )
