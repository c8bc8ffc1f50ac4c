"""Judging what has arrived: versions wait for it, each ends in one state whatever fails on the way, and links follow.

The scanner is scripted where it must fail on cue; tests/services has the same with clamd.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fileferry.db import events, files, jobs
from fileferry.engine.engine import Engine
from fileferry.engine.processing.queue import MOST_ATTEMPTS, Processing
from fileferry.model import ScanOutcome
from fileferry.scanners import samples
from fileferry.scanners.scanner import Identity, ScanFailed, ScannerAway, ScannerTroubled, Verdict
from unit.service import Service

_IDENTITY = Identity("Scripted 1.0", "7", datetime(2029, 12, 31, tzinfo=UTC))
_MARK = b"this is malware"


class Scripted:
    """A scanner that knows one mark, and fails as told: ``away`` before it begins, ``faults`` one scan each."""

    max_size = 1000

    def __init__(self) -> None:
        self.away = False
        self.faults: list[Exception] = []
        self.scanned = 0
        self.asked = 0
        self.mark = _MARK

    async def identify(self) -> Identity:
        self.asked += 1
        if self.away:
            raise ScannerAway("nobody listens")
        return _IDENTITY

    async def scan(self, blocks: AsyncIterable[bytes]) -> Verdict:
        await self.identify()
        content = b"".join([block async for block in blocks])
        self.scanned += 1
        if self.faults:
            raise self.faults.pop(0)
        found = self.mark in content
        outcome = ScanOutcome.INFECTED if found else ScanOutcome.CLEAN
        return Verdict(outcome, _IDENTITY, "Scripted.Mark" if found else None)

    async def close(self) -> None:
        pass


class Judged:
    """A service whose new versions are judged when told, by a scripted scanner."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.service = Service(folder, clamd="tcp://127.0.0.1:9", **settings)
        self.scanner = Scripted()

    def process(self) -> None:
        """Judge what is due."""
        self.run(lambda engine: self.processing(engine).settle())

    def processing(self, engine: Engine) -> Processing:
        """Return what judges, as a process of its own."""
        return Processing(engine.database, engine.files, self.scanner, self.service.settings, self.service.clock)

    def run(self, action: Callable[[Engine], Any]) -> Any:
        """Do something with the service's engine."""
        return self.service._run(action(self.service._engine))

    def file(self, file: dict[str, Any], version_id: str | None = None) -> dict[str, Any]:
        """Ask for a file as it is now."""
        query = "" if version_id is None else f"?version_id={version_id}"
        answer: dict[str, Any] = self.service.request("GET", f"/api/files/{file['id']}{query}").json()
        return answer

    def told(self, file: dict[str, Any]) -> list[str]:
        """Return the types of a file's events, in order, but for fetches: when those are told of depends on how busy it is here."""
        found = self.run(lambda engine: engine.database.read(events.list_following, 0, 1000))
        return [event.type for event in found if event.file_id == file["id"] and event.type != "file.fetched"]

    def waiting(self) -> int:
        """Return how many jobs there are."""
        return int(self.run(lambda engine: engine.database.read(jobs.count)))


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judged]:
    made = Judged(tmp_path)
    yield made
    made.service.close()


def test_a_file_is_served_once_it_was_scanned_and_not_before(judged: Judged) -> None:
    file = judged.service.upload(b"harmless")
    assert file["status"] == "processing"
    assert judged.service.fetch(file["url"]).status_code == 409
    assert judged.told(file) == []
    judged.process()
    assert judged.file(file)["status"] == "ready"
    assert judged.service.fetch(file["url"]).content == b"harmless"
    assert judged.told(file) == ["file.ready"]
    assert judged.waiting() == 0


def test_malware_is_never_served_and_its_bytes_are_freed(judged: Judged) -> None:
    file = judged.service.upload(b"x" + _MARK)
    judged.process()
    now = judged.file(file)
    assert (now["status"], now["reason"]) == ("rejected", "infected")
    assert judged.service.fetch(file["url"]).status_code == 410
    assert judged.told(file) == ["file.rejected"]
    judged.service.sweep()
    assert judged.service.fetch(file["url"]).status_code == 410


def test_a_rejected_file_says_why_for_a_week_and_is_gone_then(judged: Judged) -> None:
    file = judged.service.upload(_MARK)
    judged.process()
    judged.service.pass_time(days=6, hours=23)
    judged.service.sweep()
    assert judged.file(file)["reason"] == "infected"
    judged.service.pass_time(hours=2)
    judged.service.sweep()
    assert judged.service.request("GET", f"/api/files/{file['id']}").status_code == 410
    assert judged.told(file) == ["file.rejected", "file.expired"]


def test_the_version_before_is_served_until_the_next_one_has_passed(judged: Judged) -> None:
    first = judged.service.upload(b"one", metadata='{"n": 1}')
    judged.process()
    second = judged.service.upload(b"two", metadata='{"n": 2}')
    assert second["status"] == "processing"
    assert judged.file(first)["metadata"] == {"n": 1}
    assert judged.file(first, second["version_id"])["status"] == "processing"
    assert judged.service.request("GET", f"/api/files/{first['id']}/content").content == b"one"
    judged.process()
    assert judged.file(first)["version_id"] == second["version_id"]
    assert judged.file(first)["metadata"] == {"n": 2}
    assert judged.service.request("GET", f"/api/files/{first['id']}/content").content == b"two"


def test_a_rejected_version_leaves_the_one_before_it_in_place(judged: Judged) -> None:
    first = judged.service.upload(b"one")
    judged.process()
    second = judged.service.upload(_MARK)
    judged.process()
    assert judged.file(first)["version_id"] == first["version_id"]
    assert judged.file(first)["status"] == "ready"
    assert judged.file(first, second["version_id"])["reason"] == "infected"
    assert judged.service.fetch(first["url"]).content == b"one"
    assert judged.told(first) == ["file.ready", "file.rejected"]


def test_a_version_that_passes_after_a_later_one_does_not_take_its_place(judged: Judged) -> None:
    first = judged.service.upload(b"one")
    judged.scanner.faults = [ScanFailed("not now")]
    judged.process()
    second = judged.service.upload(b"two")
    judged.process()
    assert judged.file(first)["version_id"] == second["version_id"]
    judged.service.pass_time(minutes=1)
    judged.process()
    assert judged.file(first)["version_id"] == second["version_id"]
    assert judged.service.fetch(first["url"]).content == b"one"


def test_a_version_that_passes_when_only_later_ones_are_kept_is_not_told_as_ready(judged: Judged) -> None:
    changed = judged.service.request("PATCH", "/api/workspaces/default", json={"keep_versions": 1})
    assert changed.is_success
    late = judged.service.upload(b"one")
    judged.process()
    late = judged.service.upload(b"two")
    judged.scanner.faults = [ScanFailed("not now")]
    judged.process()
    judged.service.upload(b"three")
    judged.process()
    judged.service.pass_time(minutes=1)
    judged.process()
    assert judged.service.fetch(late["url"]).status_code == 410
    assert judged.told(late) == ["file.ready", "file.ready"], "of the first and the last"


def test_a_condition_is_held_against_the_version_that_is_still_judged(judged: Judged) -> None:
    first = judged.service.upload(b"one")
    judged.process()
    judged.service.upload(b"two")
    late = judged.service.request("PUT", "/api/upload/a", content=b"three", headers={"If-Match": first["etag"]})
    assert late.status_code == 412


def test_a_rejected_file_does_not_keep_a_new_one_from_its_path(judged: Judged) -> None:
    judged.service.upload(_MARK)
    judged.process()
    again = judged.service.request("PUT", "/api/upload/a", content=b"good", headers={"If-None-Match": "*"})
    assert again.is_success
    judged.process()
    assert judged.file(again.json())["status"] == "ready"


def test_files_wait_for_a_scanner_that_is_away_however_long(judged: Judged) -> None:
    file = judged.service.upload(b"patient")
    judged.scanner.away = True
    for _ in range(3 * MOST_ATTEMPTS):
        judged.process()
        judged.service.pass_time(minutes=1)
    assert judged.file(file)["status"] == "processing"
    judged.scanner.away = False
    judged.process()
    assert judged.file(file)["status"] == "ready"


def test_a_scan_that_fails_is_tried_again_later(judged: Judged) -> None:
    file = judged.service.upload(b"again")
    judged.scanner.faults = [ScannerAway("killed"), ScanFailed("odd")]
    judged.process()
    assert judged.file(file)["status"] == "processing"
    assert judged.scanner.scanned == 1
    judged.process()
    assert judged.scanner.scanned == 1, "not before its time"
    for _ in range(2):
        judged.service.pass_time(minutes=1)
        judged.process()
    assert judged.file(file)["status"] == "ready"
    assert judged.told(file) == ["file.ready"]


@pytest.mark.parametrize("fault", [ScanFailed("cannot parse"), ScannerAway("died of it")])
def test_a_file_that_no_scan_survives_ends_as_an_error(judged: Judged, fault: Exception) -> None:
    file = judged.service.upload(b"poison")
    judged.scanner.faults = [fault] * 100
    for _ in range(MOST_ATTEMPTS + 2):
        judged.process()
        judged.service.pass_time(hours=1)
    now = judged.file(file)
    assert (now["status"], now["reason"]) == ("rejected", "scan_failed")
    assert judged.scanner.scanned == MOST_ATTEMPTS
    assert judged.told(file) == ["file.rejected"]
    assert judged.waiting() == 0


def test_a_file_that_ends_every_process_is_given_up(judged: Judged) -> None:
    file = judged.service.upload(b"deadly")
    for number in range(MOST_ATTEMPTS):
        judged.run(partial(_claim_and_begin, judged, f"process {number}"))
        judged.service.pass_time(minutes=2)
    judged.process()
    assert judged.file(file)["reason"] == "scan_failed"
    assert judged.scanner.scanned == 0


def test_a_file_that_only_waited_its_turn_when_processes_died_is_judged(judged: Judged) -> None:
    waiting = [judged.service.upload(b"harmless", f"file {number}") for number in range(4)]
    for _ in range(2 * MOST_ATTEMPTS):
        judged.run(lambda engine: judged.processing(engine)._claim_some())
        judged.service.pass_time(minutes=2)
    judged.process()
    assert [judged.file(file)["status"] for file in waiting] == ["ready"] * 4


def test_a_process_that_ends_in_order_leaves_its_work_to_others_at_once(judged: Judged) -> None:
    file = judged.service.upload(b"harmless")

    async def claim_and_end(engine: Engine) -> None:
        ending = judged.processing(engine)
        await ending._claim_some()
        await ending.close()

    for _ in range(2 * MOST_ATTEMPTS):
        judged.run(claim_and_end)
    judged.process()
    assert judged.file(file)["status"] == "ready"


def test_new_files_are_judged_before_those_that_are_scanned_again(judged: Judged) -> None:
    for number in range(3):
        judged.service.upload(b"old", f"old {number}")
    judged.process()
    judged.service.pass_time(days=8)
    judged.service.sweep()
    judged.service.pass_time(minutes=1)
    new = judged.service.upload(b"new", "new")
    first, *others = judged.run(lambda engine: _claim(judged, engine, "somebody"))
    assert str(first.version_id) == judged.run(lambda engine: _version_id(engine, new))
    assert [job.rules for job in others] == [None] * 3


def test_the_scanner_is_not_asked_for_every_look_at_readiness(judged: Judged) -> None:
    async def look(engine: Engine) -> None:
        processing = judged.processing(engine)
        judged.scanner.away = True
        for _ in range(3):
            with pytest.raises(ScannerAway):
                await processing.check()
        assert judged.scanner.asked == 1

    judged.run(look)


def test_judging_begins_though_the_scanner_cannot_be_tried(judged: Judged) -> None:
    file = judged.service.upload(b"harmless")

    async def work(engine: Engine) -> None:
        judged.scanner.faults = [ValueError("more bytes than it takes")]
        async with asyncio.timeout(30):
            running = asyncio.create_task(judged.processing(engine).run())
            while await engine.database.read(jobs.count):
                assert not running.done()
                await asyncio.sleep(0.01)
            running.cancel()

    judged.run(work)
    assert judged.file(file)["status"] == "ready"


def test_judging_begins_while_the_scanner_hangs_over_being_tried(judged: Judged) -> None:
    file = judged.service.upload(b"harmless")

    async def work(engine: Engine) -> None:
        scan, hanging = judged.scanner.scan, asyncio.Event()

        async def hang_once(blocks: AsyncIterable[bytes]) -> Verdict:
            if not hanging.is_set():
                hanging.set()
                await asyncio.Event().wait()
            return await scan(blocks)

        judged.scanner.scan = hang_once  # type: ignore[method-assign]
        running = asyncio.create_task(judged.processing(engine).run())
        try:
            async with asyncio.timeout(60):
                await hanging.wait()
                while await engine.database.read(jobs.count):
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    judged.run(work)
    assert judged.file(file)["status"] == "ready"


def test_a_sweep_beside_another_lets_each_file_be_scanned_again_once(judged: Judged) -> None:
    judged.service.upload(b"old")
    judged.process()
    judged.service.pass_time(days=8)

    async def sweep_twice(engine: Engine) -> None:
        await asyncio.gather(engine.sweeper._enqueue_rescans(), engine.sweeper._enqueue_rescans())

    judged.run(sweep_twice)
    assert judged.waiting() == 1


def test_a_late_find_ends_the_version_it_is_in_and_not_the_good_ones_before(judged: Judged) -> None:
    good = judged.service.upload(b"good")
    judged.process()
    judged.service.upload(b"not yet known")
    judged.process()
    judged.scanner.mark = b"not yet known"
    judged.service.pass_time(days=8)
    judged.service.sweep()
    judged.process()
    assert judged.file(good)["reason"] == "infected"
    judged.service.pass_time(days=8)
    judged.service.sweep()
    assert judged.service.fetch(good["url"]).content == b"good"


def test_a_version_that_waits_does_not_end_with_a_rejected_one_before_it(judged: Judged) -> None:
    file = judged.service.upload(_MARK)
    judged.process()
    judged.service.pass_time(days=6)
    assert judged.service.upload(b"good")["expires_at"] is None
    _pass_without_scanner(judged, days=2)
    assert judged.file(file)["status"] == "ready"


def test_a_version_that_waits_does_not_end_with_the_life_of_the_one_before_it(judged: Judged) -> None:
    first = judged.service.upload(b"one", expires_in="1h")
    judged.process()
    second = judged.service.upload(b"two", expires_in="1d")
    _pass_without_scanner(judged, hours=2)
    assert judged.service.fetch(first["url"]).status_code == 410
    assert judged.file(first)["version_id"] == second["version_id"]
    assert judged.file(first)["expires_at"] == second["expires_at"]
    assert judged.told(first) == ["file.ready", "file.ready"]


def test_a_file_ends_in_its_time_where_the_version_that_waited_is_rejected(judged: Judged) -> None:
    first = judged.service.upload(b"one", expires_in="1h")
    judged.process()
    judged.service.upload(_MARK, expires_in="1d")
    _pass_without_scanner(judged, hours=2)
    judged.service.sweep()
    assert judged.service.request("GET", f"/api/files/{first['id']}").status_code == 410
    assert judged.told(first) == ["file.ready", "file.rejected", "file.expired"]


@pytest.mark.parametrize(("next_one", "told"), [(b"two", "file.ready"), (_MARK, "file.expired")])
def test_a_version_that_waits_does_not_end_with_the_last_fetch_of_the_one_before_it(
    judged: Judged, next_one: bytes, told: str
) -> None:
    first = judged.service.upload(b"one", expires_after_fetches="1")
    judged.process()
    judged.service.upload(next_one)
    assert judged.service.fetch(first["url"]).content == b"one"
    assert judged.service.fetch(first["url"]).status_code == 410
    judged.process()
    assert judged.told(first)[-1] == told
    answer = judged.service.request("GET", f"/api/files/{first['id']}/content")
    assert answer.status_code == (200 if told == "file.ready" else 410)


def test_a_version_that_is_to_be_kept_does_not_end_with_one_that_passes_before_it(judged: Judged) -> None:
    file = judged.service.upload(b"one")
    judged.process()
    judged.service.upload(b"two", expires_in="1h")
    judged.service.pass_time(seconds=1)
    kept = judged.service.upload(b"three")
    judged.run(partial(_process_first, judged))
    _pass_without_scanner(judged, hours=2)
    assert judged.told(file) == ["file.ready"] * 3
    assert judged.service.fetch(kept["url"]).content == b"three"
    now = judged.file(file)
    assert (now["version_id"], now["expires_at"]) == (kept["version_id"], None)


def test_a_version_that_waits_keeps_its_own_time_where_that_of_the_file_is_changed(judged: Judged) -> None:
    judged.service.request("PATCH", "/api/organizations/default", json={"limits": {"max_retention": "1d"}})
    file = judged.service.upload(b"one")
    judged.process()
    judged.service.pass_time(hours=20)
    waiting = judged.service.upload(b"two")
    changed = judged.service.request("PATCH", f"/api/files/{file['id']}", json={"expires_at": None})
    assert changed.status_code == 200
    judged.service.pass_time(hours=10)
    judged.service.sweep()
    judged.process()
    now = judged.file(file)
    assert (now["version_id"], now["expires_at"]) == (waiting["version_id"], waiting["expires_at"])


def test_a_file_ends_with_the_last_fetch_though_a_version_before_that_one_still_waits(judged: Judged) -> None:
    first = judged.service.upload(b"one")
    judged.scanner.faults = [ScanFailed("not now")]
    judged.process()
    second = judged.service.upload(b"two", expires_after_fetches="1")
    judged.process()
    assert judged.service.fetch(second["url"]).content == b"two"
    assert judged.service.request("GET", f"/api/files/{first['id']}").status_code == 410
    judged.service.pass_time(minutes=1)
    judged.process()
    assert judged.service.request("GET", f"/api/files/{first['id']}").status_code == 410
    assert judged.service.fetch(first["url"]).status_code == 410
    assert judged.told(first)[-1] == "file.expired"


@pytest.mark.parametrize("life", [{"expires_in": "1h"}, {"expires_after_fetches": "1"}])
def test_a_file_ends_in_its_time_where_the_version_that_waited_is_deleted(judged: Judged, life: dict[str, str]) -> None:
    first = judged.service.upload(b"one", **life)
    judged.process()
    waiting = judged.service.upload(b"two")
    assert judged.service.fetch(first["url"]).content == b"one"
    address = f"/api/files/{first['id']}/versions/{waiting['version_id']}"
    assert judged.service.request("GET", f"/api/files/{first['id']}").is_success, "it waits for its next version"
    assert judged.service.request("DELETE", address).status_code == 204
    judged.service.pass_time(hours=1)
    judged.service.sweep()
    assert judged.service.request("GET", f"/api/files/{first['id']}").status_code == 410
    assert judged.told(first)[-1] == "file.expired"


@pytest.mark.parametrize("is_rejected", [True, False])
def test_a_file_with_older_versions_ends_too_once_nothing_waits_to_take_the_place_of_the_fetched_one(
    judged: Judged, is_rejected: bool
) -> None:
    judged.service.upload(b"one")
    judged.process()
    fetched = judged.service.upload(b"two", expires_after_fetches="1")
    judged.process()
    waiting = judged.service.upload(_MARK if is_rejected else b"three")
    assert judged.service.fetch(fetched["url"]).content == b"two"
    if is_rejected:
        judged.process()
    else:
        address = f"/api/files/{fetched['id']}/versions/{waiting['version_id']}"
        assert judged.service.request("DELETE", address).status_code == 204
    assert judged.service.request("GET", f"/api/files/{fetched['id']}").status_code == 410
    assert judged.told(fetched)[-1] == "file.expired"


def test_what_a_dead_process_was_at_is_taken_up_by_another(judged: Judged) -> None:
    file = judged.service.upload(b"left behind")
    judged.run(lambda engine: _claim(judged, engine, "a process that is no more"))
    judged.process()
    assert judged.file(file)["status"] == "processing", "the claim still holds"
    judged.service.pass_time(minutes=2)
    judged.process()
    assert judged.file(file)["status"] == "ready"
    assert judged.told(file) == ["file.ready"]


def test_the_outcome_of_a_claim_that_has_lapsed_does_not_count(judged: Judged) -> None:
    file = judged.service.upload(b"slow")

    async def twice(engine: Engine) -> None:
        slow, quick = judged.processing(engine), judged.processing(engine)
        claimed = await slow._claim_some()
        judged.service.pass_time(minutes=2)
        await quick.settle()
        for job in claimed:
            await slow._take_up(job)

    judged.run(twice)
    assert judged.file(file)["status"] == "ready"
    assert judged.told(file) == ["file.ready"]


def test_a_file_deleted_meanwhile_stays_deleted(judged: Judged) -> None:
    file = judged.service.request("POST", "/api/upload/b", content=b"unwanted").json()
    judged.service.request("DELETE", f"/api/files/{file['id']}")
    judged.process()
    assert judged.service.request("GET", f"/api/files/{file['id']}").status_code == 404
    assert judged.told(file) == ["file.deleted"]
    assert judged.waiting() == 0


def test_what_is_too_large_to_scan_is_not_called_clean(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    file = judged.service.upload(b"x" * 1001)
    judged.process()
    assert judged.file(file)["reason"] == "not_scanned"
    assert judged.scanner.scanned == 0
    judged.service.close()


def test_what_is_too_large_to_scan_is_served_where_policy_says_so(tmp_path: Path) -> None:
    judged = Judged(tmp_path, serve_unscanned="true")
    file = judged.service.upload(b"x" * 1001)
    judged.process()
    assert judged.file(file)["status"] == "ready"
    assert _scan_of(judged, file).outcome is ScanOutcome.SKIPPED_TOO_LARGE
    judged.service.close()


def test_the_scan_is_kept_with_engine_and_signatures(judged: Judged) -> None:
    file = judged.service.upload(b"harmless")
    judged.process()
    scan = _scan_of(judged, file)
    assert (scan.outcome, scan.engine, scan.signatures) == (ScanOutcome.CLEAN, "Scripted 1.0", "7")
    assert scan.signatures_at == _IDENTITY.signatures_at
    assert scan.started_at == scan.ended_at == judged.service.now


def test_bytes_that_the_store_has_spoiled_are_rejected(judged: Judged) -> None:
    file = judged.service.upload(b"y" * 900)
    large = judged.service.request("PUT", "/api/upload/large", content=b"y" * 40_000).json()
    judged.scanner.max_size = 100_000
    (blob,) = [path for path in judged.service.data.rglob("*") if path.is_file() and path.stat().st_size == 40_000]
    content = bytearray(blob.read_bytes())
    content[20_000] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)
    judged.process()
    assert judged.file(file)["status"] == "ready"
    assert judged.file(large)["reason"] == "digest_mismatch"


def test_a_file_is_scanned_again_and_recalled_when_signatures_have_learned(judged: Judged) -> None:
    file = judged.service.upload(b"not yet known")
    judged.process()
    judged.service.pass_time(days=6)
    judged.service.sweep()
    assert judged.waiting() == 0
    judged.scanner.mark = b"not yet known"
    judged.service.pass_time(days=2)
    judged.service.sweep()
    assert judged.waiting() == 1
    assert judged.service.fetch(file["url"]).status_code == 200, "served while it is scanned again"
    judged.process()
    assert judged.service.fetch(file["url"]).status_code == 410
    assert judged.file(file)["reason"] == "infected"
    assert judged.told(file) == ["file.ready", "file.recalled"]


def test_another_scan_that_fails_takes_nothing_back(judged: Judged) -> None:
    file = judged.service.upload(b"fine")
    judged.process()
    judged.service.pass_time(days=8)
    judged.service.sweep()
    judged.scanner.faults = [ScanFailed("odd")] * 100
    for _ in range(MOST_ATTEMPTS + 2):
        judged.process()
        judged.service.pass_time(hours=1)
    assert judged.file(file)["status"] == "ready"
    assert _scan_of(judged, file).outcome is ScanOutcome.CLEAN
    judged.scanner.faults = []
    judged.service.pass_time(days=8)
    judged.service.sweep()
    assert judged.waiting() == 1, "it is due again"


def test_a_process_without_a_scanner_leaves_what_must_be_scanned_to_others(judged: Judged) -> None:
    scanned = judged.service.upload(b"fine")
    judged.process()
    judged.service.pass_time(days=8)
    judged.service.sweep()
    new = judged.service.upload(_MARK, "new")

    async def settle_without(engine: Engine) -> None:
        given = (engine.database, engine.files, None, judged.service.settings, judged.service.clock)
        await Processing(*given).settle()

    judged.run(settle_without)
    assert judged.waiting() == 2
    assert judged.file(new)["status"] == "processing"
    assert _scan_of(judged, scanned).outcome is ScanOutcome.CLEAN


def test_readiness_says_that_nobody_is_at_the_files_that_wait(judged: Judged) -> None:
    judged.service.upload(b"a")
    judged.service.pass_time(seconds=50)
    assert "processing_behind" not in judged.service.request("GET", "/readyz").text
    judged.service.pass_time(seconds=20)
    assert "processing_behind" in judged.service.request("GET", "/readyz").text


def test_a_change_made_while_a_version_waits_outlives_it(judged: Judged) -> None:
    file = judged.service.upload(b"one", metadata='{"n": 1}')
    judged.process()
    judged.service.upload(b"two", metadata='{"n": 2}')
    changes = {"metadata": {"mine": 1}, "expires_in": "48h"}
    changed = judged.service.request("PATCH", f"/api/files/{file['id']}", json=changes).json()
    judged.process()
    now = judged.file(file)
    assert now["version_id"] != file["version_id"]
    assert (now["metadata"], now["expires_at"]) == ({"mine": 1}, changed["expires_at"])


def test_a_scanner_that_can_take_nothing_is_no_fault_of_the_files(judged: Judged) -> None:
    file = judged.service.upload(b"patient")
    judged.scanner.faults = [ScannerTroubled("its disk is full")] * 4 * MOST_ATTEMPTS
    for _ in range(4 * MOST_ATTEMPTS + 1):
        judged.process()
        judged.service.pass_time(minutes=1)
    assert judged.file(file)["status"] == "ready"


def test_a_file_is_judged_soon_after_its_store_was_away_for_a_moment(judged: Judged) -> None:
    judged.scanner.max_size = 100_000
    file = judged.service.upload(b"y" * 40_000)
    (blob,) = judged.service.blobs()
    blob.rename(away := blob.with_suffix(".away"))
    judged.process()
    assert judged.file(file)["status"] == "processing"
    away.rename(blob)
    judged.service.pass_time(seconds=2)
    judged.process()
    assert judged.file(file)["status"] == "ready"


def test_files_wait_a_day_for_a_store_that_is_away(judged: Judged) -> None:
    judged.scanner.max_size = 100_000
    file = judged.service.upload(b"y" * 40_000)
    (blob,) = judged.service.blobs()
    blob.rename(blob.with_suffix(".away"))
    for _ in range(23):
        judged.process()
        judged.service.pass_time(hours=1)
    assert judged.file(file)["status"] == "processing"
    blob.with_suffix(".away").rename(blob)
    judged.process()
    assert judged.file(file)["status"] == "ready"


def test_what_stays_lost_for_a_day_is_told_as_lost(judged: Judged) -> None:
    judged.scanner.max_size = 100_000
    file = judged.service.upload(b"y" * 40_000)
    (blob,) = judged.service.blobs()
    blob.unlink()
    for _ in range(26):
        judged.process()
        judged.service.pass_time(hours=1)
    assert judged.file(file)["reason"] == "bytes_missing"


def test_a_link_to_a_deleted_file_ends_when_it_is_recalled(judged: Judged) -> None:
    file = judged.service.upload(b"late one", "docs/a.txt")
    judged.process()
    judged.service.request("DELETE", f"/api/files/{file['id']}")
    url = f"/file/v2/orgs/{file['organization_id']}/workspaces/{file['workspace_id']}/files/{file['id']}?deleted=true"
    link = judged.service.request("GET", url).json()["download"]
    assert judged.service.fetch(link).content == b"late one"
    judged.scanner.mark = b"late one"
    judged.service.pass_time(days=8)
    renewed = judged.service.request("GET", url).json()["download"]
    judged.service.sweep()
    judged.process()
    assert judged.service.fetch(renewed).status_code == 410


def test_a_new_name_must_be_of_an_allowed_type_too(tmp_path: Path) -> None:
    service = Service(tmp_path, allowed_types="text/plain")
    file = service.upload(b"words", "a.txt")
    service.process()
    renamed = service.request("PATCH", f"/api/files/{file['id']}", json={"name": "a.exe"})
    assert (renamed.status_code, renamed.json()["code"]) == (415, "unsupported_type")
    service.close()


def test_what_cannot_be_scanned_for_its_size_is_refused_before_it_comes(tmp_path: Path) -> None:
    service = Service(tmp_path, clamd="tcp://127.0.0.1:9", clamd_max_size="10KiB")
    refused = service.request("PUT", "/api/upload/a", content=bytes(10_241))
    assert (refused.status_code, refused.json()["limit"]) == (413, 10_240)
    service.close()


def test_whoever_waits_for_the_url_alone_is_told_of_a_rejection(judged: Judged) -> None:
    service = Service(judged.service.data.parent / "judging", allowed_types="text/plain", processing="server")
    headers = {"Accept": "text/plain", "Prefer": "wait=30"}
    answer = service.request("POST", "/api/upload/a.txt", content=b"MZ" + bytes(100), headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (422, "rejected", "type_not_allowed")
    service.close()


def test_files_from_before_there_was_a_scanner_are_scanned_once_there_is_one(tmp_path: Path) -> None:
    before = Service(tmp_path)
    file = before.upload(_MARK)
    assert file["status"] == "ready"
    before.close()
    judged = Judged(tmp_path)
    judged.service.sweep()
    judged.process()
    assert judged.told(file) == ["file.ready", "file.recalled"]
    judged.service.close()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"words", None),
        ("a.pdf", b"%PDF-1.7 more", "type_not_allowed"),
        ("a.txt", b"MZ\x90\x00\x03", "type_not_allowed"),
    ],
)
def test_only_allowed_types_become_ready(tmp_path: Path, name: str, content: bytes, reason: str | None) -> None:
    service = Service(tmp_path, allowed_types="text/plain")
    answer = service.request("PUT", f"/api/upload/{name}", content=content)
    if answer.status_code == 415:  # told by the name already
        assert reason == "type_not_allowed"
        service.close()
        return
    service.process()
    now = service.request("GET", f"/api/files/{answer.json()['id']}").json()
    assert now["reason"] == reason
    service.close()


def test_empty_files_are_rejected_where_policy_refuses_them(tmp_path: Path) -> None:
    service = Service(tmp_path, refuse_empty="true")
    file = service.upload(b"")
    service.process()
    assert service.request("GET", f"/api/files/{file['id']}").json()["reason"] == "empty"
    service.close()


def test_the_workspaces_flow_shows_a_file_once_it_has_passed(judged: Judged) -> None:
    file = judged.service.upload(b"harmless", "docs/a.txt")
    url = f"/file/v2/orgs/{file['organization_id']}/workspaces/{file['workspace_id']}/files/{file['id']}"
    assert judged.service.request("GET", url).status_code == 404
    judged.process()
    assert judged.service.request("GET", url).json()["name"] == "a.txt"


async def _claim(judged: Judged, engine: Engine, holder: str) -> Any:
    now = judged.service.now
    return await engine.database.write(jobs.claim, holder, now, now.replace(minute=now.minute + 1), 10)


async def _claim_and_begin(judged: Judged, holder: str, engine: Engine) -> None:
    (job,) = await _claim(judged, engine, holder)
    if job.is_left:
        await engine.database.write(jobs.begin, job.version_id, holder)


async def _version_id(engine: Engine, file: dict[str, Any]) -> str:
    stored = await engine.database.read(files.find, file["id"])
    assert stored is not None
    return stored.version.id


async def _process_first(judged: Judged, engine: Engine) -> None:
    """Judge the one that has waited longest, as a process does that ends in order then."""
    processing = judged.processing(engine)
    first, *_others = await processing._claim_some()
    await processing._take_up(first)
    await processing.close()


def _pass_without_scanner(judged: Judged, **time: float) -> None:
    judged.scanner.away = True
    judged.process()
    judged.service.pass_time(**time)
    judged.service.sweep()
    judged.scanner.away = False
    judged.process()


def _scan_of(judged: Judged, file: dict[str, Any]) -> Any:
    return judged.run(lambda engine: engine.database.read(files.find, file["id"])).version.scan


def test_what_the_scanner_does_not_open_is_rejected_with_the_kind(judged: Judged) -> None:
    file = judged.service.upload(samples.rarred_5(b"harmless"), "picture.jpg")
    judged.process()
    now = judged.file(file)
    assert (now["status"], now["reason"]) == ("rejected", "not_scanned")
    assert now["scan"]["outcome"] == "skipped_unsupported"
    assert "application/vnd.rar" in now["scan"]["detail"]


def test_a_scanner_that_came_back_is_tried_anew(judged: Judged) -> None:
    """What came back may be another build, with the name of the one before."""
    file = judged.service.upload(samples.lz4(b"harmless"))

    async def work(engine: Engine) -> None:
        processing = judged.processing(engine)
        probe = processing._judge.probe
        assert probe is not None
        judged.scanner.mark = b"\x04\x22\x4d\x18"  # opens it, so that what is in it is found
        assert await probe.opens("application/x-lz4", _IDENTITY)
        judged.scanner.mark, judged.scanner.away = _MARK, True
        await processing.settle()
        judged.scanner.away = False
        await processing.settle()

    judged.run(work)
    assert judged.file(file)["scan"]["outcome"] == "skipped_unsupported"
