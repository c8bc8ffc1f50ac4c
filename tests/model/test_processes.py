"""Two processes that complete versions of the same files at once: each is kept, in the order in which they were completed."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fileferry.engine.receiving.promises import Promise
from fileferry.model import utc_now
from model.trial import Trial

PATHS = ("a", "b")
AT_ONCE = 4
ROUNDS = 6


@dataclass(frozen=True)
class Completed:
    """One upload, as the process that made it saw it; times are those of the machine's monotonic clock."""

    path: str
    number: int
    content: bytes
    began_at: float
    ended_at: float


def upload_many(folder: Path, process: int) -> list[list[Completed]]:
    """Run in a process of its own: upload versions, several at a time; return for each uploader what it did, in order."""
    trial = Trial(folder)
    try:
        return trial.run(_upload_together(trial, process))
    finally:
        trial.close()


async def _upload_together(trial: Trial, process: int) -> list[list[Completed]]:
    return await asyncio.gather(*(_upload_in_turn(trial, f"{process} {uploader}") for uploader in range(AT_ONCE)))


async def _upload_in_turn(trial: Trial, uploader: str) -> list[Completed]:
    done = []
    for turn in range(ROUNDS):
        trial.now = utc_now()
        path, content = PATHS[turn % len(PATHS)], f"{uploader} {turn}".encode()
        promise = Promise(path=path, at_path=True, auto_complete=True)
        (upload,) = await trial.engine.tickets.open(trial.principal, [promise])
        began_at = time.monotonic()
        await trial.deliver(upload.id, content)
        done.append(Completed(path, upload.number, content, began_at, time.monotonic()))
    return done


def test_versions_from_two_processes_are_all_kept_in_the_order_they_were_completed(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        found = list(processes.map(upload_many, [tmp_path] * 2, range(2)))
    uploaders = [uploader for process in found for uploader in process]
    for uploader in uploaders:
        numbers = [completed.number for completed in uploader]
        assert numbers == sorted(set(numbers))
    everything = [completed for uploader in uploaders for completed in uploader]
    assert len({completed.number for completed in everything}) == 2 * AT_ONCE * ROUNDS
    for path in PATHS:
        _compare(trial, path, {completed.number: completed for completed in everything if completed.path == path})
    trial.close()


def _compare(trial: Trial, path: str, completed: dict[int, Completed]) -> None:
    stored = trial.run(trial.engine.files.at(trial.principal, None, path))
    versions = trial.run(trial.engine.files.versions(trial.principal, stored.file.id))
    newest_first = [completed[version.number] for version in versions]
    assert len(newest_first) == len(completed)
    for later, earlier in itertools.combinations(newest_first, 2):
        assert earlier.began_at < later.ended_at, "what had ended before another began comes before it"
    assert trial.run(trial.read(stored)) == newest_first[0].content
