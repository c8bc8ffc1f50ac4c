"""The long form of `faults/test_kills.py`: a thousand kills, or as many as SOAK_KILLS says."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from faults.killing import KillTrial

_KILLS = int(os.environ.get("SOAK_KILLS", "1000"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
_JUDGED_EVERY = 50


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "share"), [(1, 0.5), (2, 0.5)], ids=["one-process", "two-workers"])
def test_many_kills_lose_nothing_acknowledged(
    make_server: Any, capsys: pytest.CaptureFixture[str], processes: int, share: float
) -> None:
    trial = KillTrial(make_server(workers=processes, log_level="warning", sweep_interval="1s"), _SEED)
    rounds = round(_KILLS * share)
    for number in range(1, rounds + 1):
        trial.round()
        if number % _JUDGED_EVERY == 0 or number == rounds:
            trial.judge()
            with capsys.disabled():
                print(
                    f"\n{number} kills, {processes} process(es), seed {_SEED}: {len(trial.acknowledged)} acknowledged and"
                    f" whole, {trial.unanswered} unanswered, of which {trial.recorded_unanswered} had been recorded, whole"
                )
    assert trial.acknowledged
