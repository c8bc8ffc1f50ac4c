"""The long form of `model/test_any_history.py`: five hundred histories, or as many as SOAK_HISTORIES says, others each time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model.test_any_history import compare
from model.trial import Trial

_HISTORIES = int(os.environ.get("SOAK_HISTORIES", "500"))


@pytest.mark.soak
def test_a_workspace_is_what_was_made_of_it_in_many_histories(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "data", database_url=f"sqlite:///{tmp_path}/trial.db")
    try:
        compare(trial, _HISTORIES, always_the_same=False)
    finally:
        trial.close()
