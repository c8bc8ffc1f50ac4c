"""The long form of `unit/test_words.py`: a hundred thousand requests that are almost right, or as many as SOAK_WORDS says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from unit.mutations import mutations
from unit.service import Service
from unit.words import Stage

_REQUESTS = int(os.environ.get("SOAK_WORDS", "100000"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))


@pytest.mark.soak
def test_no_request_that_is_almost_right_costs_much_or_fails_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(tmp_path / "data", log_level="error")
    try:
        stage = Stage(service)
        failed = stage.failures(mutations(stage, _SEED, _REQUESTS))
    finally:
        service.close()
    with capsys.disabled():
        print(f"\n{_REQUESTS} mutated requests, seed {_SEED}: {len(failed)} failed or took too long; the slowest:")
        print("\n".join(told for _, told in stage.slowest))
    assert not failed, "\n".join(failed[:50])
