"""The long form of `unit/test_words.py`: a hundred thousand requests that are almost right, or as many as SOAK_WORDS says, and
the fields that the longest words cost most in. And that of `unit/test_description.py`: many more requests for each operation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from unit import words
from unit.description import contradictions
from unit.mutations import mutations
from unit.service import Service
from unit.words import LARGE, LARGE_HEADER, MOST_TOLD, Stage

_REQUESTS = int(os.environ.get("SOAK_WORDS", "100000"))
_SEED = int(os.environ.get("SOAK_SEED", str(time.time_ns())))
_ROUND = 500
_OF_EACH_OPERATION = 100


@pytest.mark.soak
def test_no_request_that_is_almost_right_costs_much_or_fails_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed: list[str] = []
    slowest: list[tuple[float, str]] = []
    for number in range(0, _REQUESTS, _ROUND):
        with _stage(tmp_path / str(number)) as stage:
            found = stage.failures(mutations(stage, _SEED + number, min(_ROUND, _REQUESTS - number)))
            failed += found
            slowest = sorted([*slowest, *stage.slowest], reverse=True)[:MOST_TOLD]
        with capsys.disabled():
            print("".join(f"\n{each}" for each in found), end="", flush=True)
    with capsys.disabled():
        print(f"\n{_REQUESTS} mutated requests, seed {_SEED}: {len(failed)} failed or took too long; the slowest:")
        print("\n".join(told for _, told in slowest))
    assert not failed, "\n".join(failed[:50])


@pytest.mark.soak
def test_no_answer_contradicts_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = Service(tmp_path, log_level="error")
    try:
        document = service.request("GET", "/docs/openapi.json").json()
        sent, found = contradictions(service, document, _OF_EACH_OPERATION)
    finally:
        service.close()
    with capsys.disabled():
        print(f"\n{sent} requests made from the document: {len(found)} answers contradict it")
    assert not found, "\n".join(found[:50])


@pytest.mark.soak
def test_the_fields_that_cost_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs: list[tuple[float, str]] = []
    for rows_of in (words.rows_of_the_schema, words.rows_of_headers, words.rows_of_bodies):
        with _stage(tmp_path / rows_of.__name__) as stage:
            for row in rows_of(stage):
                for letter, text in row.texts():
                    seconds, answer = stage.seconds_of(row.fill(text))
                    costs.append((seconds, f"{seconds * 1000:.0f} ms, {answer.status}: {row.name}, of {letter!r}"))
    costs.sort(reverse=True)
    with capsys.disabled():
        print(f"\n{len(costs)} fields filled with {LARGE} bytes, in a header {LARGE_HEADER}; the slowest answers:")
        print("\n".join(told for _, told in costs[:MOST_TOLD]))
    assert costs[0][0] <= words.MOST_SECONDS


@contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    service = Service(folder, log_level="error")
    try:
        yield Stage(service)
    finally:
        service.close()
