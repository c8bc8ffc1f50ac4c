"""The queue of what is to be judged, once received or once more: who takes up what, and what becomes of it when that fails.

The work is rows in the database, each claimed for a while by one process: one that dies leaves its rows to the others. What a
version comes to is recorded in one transaction with the end of its row, and so exactly once. Judging itself is in ``judge``.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from functools import partial

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, jobs
from fileferry.db.database import Database
from fileferry.db.jobs import Job
from fileferry.engine.files import versions
from fileferry.engine.files.catalogue import Files
from fileferry.engine.files.versions import Judgement
from fileferry.engine.processing.judge import Corrupted, Judge
from fileferry.errors import Gone, InsufficientStorage, InternalError, Unavailable
from fileferry.logs import get_logger
from fileferry.model import Clock, Rules, Scan, ScanOutcome, State, StoredFile
from fileferry.scanners.probe import hides_limits
from fileferry.scanners.scanner import Scanner, ScannerAway, ScannerTroubled
from fileferry.settings import Settings
from fileferry.telemetry import PROCESSED

MOST_ATTEMPTS = 5
_POLL = 0.1  # seconds
_SELDOM = 0.3  # seconds, where nothing came for a while
_ATTENTION = 50  # times
_PATIENCE = 1.0  # seconds between looking whether the scanner is back
_AHEAD = 4  # claimed for each at work, so that a claim's commit serves several
_LONGEST_DELAY = timedelta(minutes=10)
_TROUBLE = timedelta(seconds=10)
_SHORTEST_STORE_DELAY, _LONGEST_STORE_DELAY = timedelta(seconds=1), timedelta(minutes=1)
_STORE_PATIENCE = timedelta(days=1)
_BEHIND = timedelta(minutes=1)
_log = get_logger(__name__)


class Processing:
    """Judges the versions of all organizations; several processes may do so at once."""

    def __init__(
        self, database: Database, opened: Files, scanner: Scanner | None, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._judge = Judge(opened, scanner, settings, clock)
        self._scanner = scanner
        self._settings = settings
        self._clock = clock
        self._holder = str(uuid.uuid4())
        self._held: set[str] = set()
        self._has_claimed = False
        self._told = database.bell()
        self._left = asyncio.Lock()
        self._found_away: str | None = None
        self._check_again_at = 0.0
        self._is_scanner_away = False

    async def run(self) -> None:
        """Judge what is due until cancelled; what is under way then is left to others once its claim lapses."""
        concurrency = self._settings.processing_concurrency
        waiting: asyncio.Queue[Job] = asyncio.Queue(concurrency)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(waiting))
            group.create_task(self._keep_claims())
            # Beside the work: a scanner that hangs over this one must not keep files from being judged.
            group.create_task(self._try_scanner())
            idle = 0
            while True:
                claimed = await self._claim_some()
                for job in claimed:
                    await waiting.put(job)
                idle = 0 if claimed else idle + 1
                if not claimed:
                    await self._told.wait(self._pause(idle))

    def _pause(self, idle: int) -> float:
        """Return how long to wait before looking again, after looking in vain ``idle`` times."""
        if self._is_scanner_away:
            return _PATIENCE
        return _POLL if idle < _ATTENTION else _SELDOM

    async def settle(self) -> None:
        """Judge everything that is due now, and return."""
        while claimed := await self._claim_some():
            await asyncio.gather(*(self._take_up(job) for job in claimed))

    async def check(self) -> None:
        """Return if files can be scanned now, or need not be; raises ScannerAway.

        Anybody may ask, and as often as they like: the scanner is asked once in a while, and not waited for long.
        """
        now = asyncio.get_running_loop().time()
        if self._scanner is not None and now >= self._check_again_at:
            self._check_again_at = now + _PATIENCE
            self._found_away = await _why_away(self._scanner)
        if self._found_away is not None:
            raise ScannerAway(self._found_away)

    async def is_behind(self) -> bool:
        """Whether files wait that nobody takes up, as where no worker runs."""
        since = await self._database.lookup(jobs.waits_since)
        return since is not None and self._clock() - since > _BEHIND

    async def close(self) -> None:
        """Let go of the scanner, and of claims that are not settled."""
        if self._has_claimed:
            try:
                await self._database.write(jobs.release, self._holder, self._clock())
            except Exception:
                _log.exception("releasing_failed")
        if self._scanner is not None:
            await self._scanner.close()

    async def _work(self, waiting: asyncio.Queue[Job]) -> None:
        while True:
            await self._take_up(await waiting.get())

    async def _claim_some(self) -> list[Job]:
        try:
            if self._is_scanner_away and not await self._is_scanner_back():
                return []
            now = self._clock()
            if not await self._database.lookup(jobs.is_due, now, self._scanner is not None):
                return []
            most = self._settings.processing_concurrency * _AHEAD
            until = now + self._settings.processing_lease
            can_scan = self._scanner is not None
            claimed = await self._database.write(jobs.claim, self._holder, now, until, most, can_scan)
        except Exception:
            _log.exception("claiming_failed")
            return []
        self._has_claimed = True
        self._held.update(job.version_id for job in claimed)
        return claimed

    async def _try_scanner(self) -> None:
        """Warn of a scanner that keeps to itself what it did not look into, or that opens less than others do."""
        if self._scanner is None or self._judge.probe is None:
            return
        try:
            if await hides_limits(self._scanner):
                _log.warning("scanner_hides_limits", remedy="set AlertExceedsMax yes in clamd.conf")
            if not await self._judge.probe.finds_test_string():
                _log.warning("scanner_untried", remedy="let clamd load signatures that know the EICAR test string")
            if unopened := await self._judge.probe.unopened():
                _log.info("scanner_does_not_open", kinds=unopened)
        except Exception as error:
            _log.warning("scanner_not_tried", error=str(error))

    async def _is_scanner_back(self) -> bool:
        try:
            if self._scanner is not None:
                await self._scanner.identify()
        except ScannerAway:
            return False
        self._is_scanner_away = False
        if self._judge.probe is not None:
            self._judge.probe.forget()
        _log.info("scanner_back")
        return True

    async def _keep_claims(self) -> None:
        """Prolong what this process holds, so that nobody else begins it while it lives."""
        while True:
            await asyncio.sleep(self._settings.processing_lease.total_seconds() / 4)
            try:
                await self._database.write(self._prolong, sorted(self._held))
            except Exception:
                _log.exception("prolonging_failed")

    def _prolong(self, conn: Connection, version_ids: list[str]) -> None:
        until = self._clock() + self._settings.processing_lease
        for version_id in version_ids:
            jobs.prolong(conn, version_id, self._holder, until)

    async def _take_up(self, job: Job) -> None:
        try:
            if job.is_left:
                await self._take_up_left(job)
            else:
                await self._judge_or_put_off(job)
        except Exception:
            # The row stays claimed, and is taken up again when that lapses.
            _log.exception("processing_failed", version=job.version_id)
        finally:
            self._held.discard(job.version_id)

    async def _take_up_left(self, job: Job) -> None:
        """Judge what a dead process has left, one at a time: if one ends this process too, the others are not to answer for it."""
        async with self._left:
            attempts = await self._database.write(jobs.begin, job.version_id, self._holder)
            if attempts is not None:
                await self._judge_or_put_off(msgspec.structs.replace(job, attempts=attempts))

    async def _judge_or_put_off(self, job: Job) -> None:
        stored = await self._database.read(files.find_by_version, job.version_id)
        expected = State.READY if job.rules is None else State.PROCESSING
        if stored is None or stored.version.state is not expected:
            await self._database.write(jobs.finish, job.version_id, self._holder)
            return
        if job.attempts > MOST_ATTEMPTS:  # whoever took it up died of it, each time
            await self._give_up(job, stored, "scan_failed", "The process ended each time that it was tried.")
            return
        try:
            judged = await self._judge.judge(stored, job.rules or Rules(serve_unscanned=True))
        except ScannerAway as error:
            await self._wait_for_scanner(job, error)
        except (InternalError, InsufficientStorage, Unavailable) as error:
            await self._wait_for_store(job, stored, error)
        except Gone:
            await self._database.write(jobs.finish, job.version_id, self._holder)
        except Corrupted as error:
            await self._give_up(job, stored, "digest_mismatch", str(error))
        except Exception as error:
            await self._try_again(job, stored, error)
        else:
            await self._database.write(self._conclude, job, judged)
            PROCESSED.labels(judged.reason or State.READY).inc()
            if judged.reason is not None:
                _told(stored, judged)

    async def _wait_for_scanner(self, job: Job, error: ScannerAway) -> None:
        """Leave a file until the scanner is back: that it is away is not the file's fault. Nothing more is claimed until then."""
        if not self._is_scanner_away:
            _log.warning("scanner_away", error=str(error))
        self._is_scanner_away = True
        put_off = partial(jobs.put_off, attempted=False)
        until = self._clock() + (_TROUBLE if isinstance(error, ScannerTroubled) else timedelta())
        await self._database.write(put_off, job.version_id, self._holder, until, str(error))

    async def _wait_for_store(self, job: Job, stored: StoredFile, error: Exception) -> None:
        """Leave a file whose bytes cannot be read for a day: a disk may come back, and what is rejected does not."""
        now = self._clock()
        if now - job.created_at > _STORE_PATIENCE:
            await self._give_up(job, stored, "bytes_missing", str(error))
            return
        _log.error("bytes_unreadable", version=job.version_id, error=repr(error))
        put_off = partial(jobs.put_off, attempted=False)
        # Once more as long as it has waited: most stores are away for seconds, and a file is to be there soon after.
        delay = min(max(now - job.created_at, _SHORTEST_STORE_DELAY), _LONGEST_STORE_DELAY)
        await self._database.write(put_off, job.version_id, self._holder, now + delay, repr(error))

    async def _try_again(self, job: Job, stored: StoredFile, error: Exception) -> None:
        _log.warning("processing_setback", version=job.version_id, attempt=job.attempts, error=repr(error))
        if job.attempts >= MOST_ATTEMPTS:
            await self._give_up(job, stored, "scan_failed", str(error))
            return
        delay = min(timedelta(seconds=2 * 4**job.attempts), _LONGEST_DELAY)
        await self._database.write(jobs.put_off, job.version_id, self._holder, self._clock() + delay, repr(error))

    async def _give_up(self, job: Job, stored: StoredFile, reason: str, detail: str) -> None:
        now = self._clock()
        judged = Judgement(
            reason=reason,
            content_type=stored.version.content_type,
            detected_type=stored.version.detected_type,
            scan=Scan(outcome=ScanOutcome.ERROR, detail=detail[:255], started_at=now, ended_at=now),
        )
        await self._database.write(self._conclude, job, judged)
        PROCESSED.labels(reason).inc()
        _told(stored, judged)

    def _conclude(self, conn: Connection, job: Job, judged: Judgement) -> None:
        metadata = jobs.find_metadata(conn, job.version_id)
        # Where the claim has lapsed, it is for the one who has it now to say what the version comes to.
        if not jobs.finish(conn, job.version_id, self._holder):
            return
        stored = files.find_by_version(conn, job.version_id)
        now = self._clock()
        if stored is None or (stored.file.deleted_at is not None and stored.file.restorable_until is None):
            return
        told_until = now + self._settings.rejected_retention
        if job.rules is None and stored.version.state is State.READY:
            self._conclude_rescan(conn, stored, judged, now, told_until)
        elif job.rules is not None and stored.version.state is State.PROCESSING:
            versions.conclude(conn, stored, judged, metadata, now, told_until)

    def _conclude_rescan(
        self, conn: Connection, stored: StoredFile, judged: Judgement, now: datetime, told_until: datetime
    ) -> None:
        if judged.reason == "infected" and judged.scan is not None:
            versions.recall(conn, stored, judged.scan, now, told_until)
            return
        # A later scan that failed says nothing against a file that has passed one: it is tried again in its time.
        # The same goes for one that there was no scanner for any more.
        is_failed = judged.scan is None or judged.scan.outcome in (ScanOutcome.ERROR, ScanOutcome.SKIPPED_DISABLED)
        versions.rescanned(conn, stored.version.id, None if is_failed else judged.scan, self._judge.next_scan(now))


def _told(stored: StoredFile, judged: Judgement) -> None:
    """Log what was rejected, recalled, or found spoiled where it is served."""
    _log.warning(
        "file_refused",
        file=stored.file.id,
        version=stored.version.id,
        reason=judged.reason,
        was=stored.version.state.value,
        detail=None if judged.scan is None else judged.scan.detail,
    )


async def _why_away(scanner: Scanner) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await scanner.identify()
    except TimeoutError:
        return "The scanner does not answer."
    except ScannerAway as error:
        return str(error)
    return None
