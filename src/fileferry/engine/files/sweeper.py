"""The sweeper: ends files whose time is over, frees bytes that nothing serves, and finds what a crash left behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobMissing, BlobStore
from fileferry.db import (
    batches,
    bookkeeping,
    direct_uploads,
    events,
    files,
    jobs,
    lent_keys,
    processes,
    rates,
    requests,
    shares,
    short_urls,
    upkeep,
    uploads,
    usage,
    web_sessions,
    webhooks,
)
from fileferry.db.database import Database
from fileferry.disks.spare import free_bytes
from fileferry.engine.files import lives, versions
from fileferry.engine.files.name_index import NameIndex
from fileferry.engine.files.processes import FORGOTTEN
from fileferry.errors import InsufficientStorage
from fileferry.logs import get_logger
from fileferry.model import Clock, Extent, State, UploadState, Version
from fileferry.settings import Settings
from fileferry.telemetry import FILES, FREE, JOBS, KEPT, PENDING, UPLOADS

_PAGE = 200
_ASKED_AT_ONCE = 8  # a store may be milliseconds away
_LEASE = "sweeper"
_SHARE = 100  # between two counts of all files that many times as long as the first took
_log = get_logger(__name__)


class Findings(msgspec.Struct):
    """What one look at store and database found: keys of blobs, ids of versions, and how much the next sweep has to do."""

    bytes_without_row: list[str] = []
    rows_without_bytes: list[str] = []
    ended_with_bytes: int = 0
    overdue: int = 0
    idle_uploads: int = 0
    open_uploads: int = 0
    unconfirmed_uploads: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to clean; uploads under way are nobody's fault."""
        return self == Findings(open_uploads=self.open_uploads, unconfirmed_uploads=self.unconfirmed_uploads)

    @property
    def is_sound(self) -> bool:
        """Whether store and database agree; what waits for the next sweep is no fault."""
        return not self.bytes_without_row and not self.rows_without_bytes


class Sweeper:
    """Sweeps when asked, or at intervals in one process at a time (a database lease)."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        names: NameIndex,
        settings: Settings,
        clock: Clock,
        holder: str,
    ) -> None:
        self._database = database
        self._names = names
        self._store = store
        self._settings = settings
        self._clock = clock
        self._holder = holder
        self._next_count = 0.0

    async def run(self) -> None:
        """Sweep at every interval until cancelled; a failed round is logged and the next one tried.

        Bytes without a row are removed at each scan; a row without bytes is only told: whether its bytes come back is for an
        operator to say, with ``scan(fix=True)``.
        """
        next_scan = self._clock()
        while True:
            try:
                if await self._database.free(self._take_lease):
                    await self.sweep()
                    if self._clock() >= next_scan:
                        await self._trim()
                        await self.remove(await self.scan(fix=False))
                        next_scan = self._clock() + self._settings.orphan_scan_interval
            except Exception:
                _log.exception("sweep_failed")
            await asyncio.sleep(self._settings.sweep_interval.total_seconds())

    async def sweep(self) -> None:
        """Expire what is overdue, free the bytes of what has ended, and forget what was kept long enough."""
        while await self._database.free(self._expire_some):
            pass
        while await self._database.free(self._end_idle_uploads):
            pass
        while await self._end_old_versions():
            pass
        while await self._database.free(self._purge_some):
            pass
        while unborn := await self._database.read(upkeep.list_unborn, _PAGE):
            await self._database.free(upkeep.delete_unborn, unborn)
        while await self._end_direct():
            pass
        while freed := await self._free_some():
            _log.info("bytes_freed", blobs=freed)
        now = self._clock()
        await self._repeat(upkeep.delete_tombstones, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(uploads.delete_ended, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(rates.forget, now, _PAGE)
        await self._repeat(webhooks.forget, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(short_urls.forget, now, _PAGE)
        await self._repeat(batches.forget, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(shares.delete_expired, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(requests.delete_expired, now - self._settings.tombstone_retention, _PAGE)
        await self._repeat(web_sessions.delete_ended, now, _PAGE)
        await self._repeat(lent_keys.delete_ended, now, _PAGE)
        await self._repeat(processes.forget, now - FORGOTTEN, _PAGE)
        await self._enqueue_rescans()
        await self._measure()
        with contextlib.suppress(InsufficientStorage):  # events stay until their files' names are taken up
            await self._names.catch_up()
        await self._forget_events(now)
        await self._database.free(bookkeeping.forget_requests, now - self._settings.idempotency_retention)

    async def _forget_events(self, now: datetime) -> None:
        """End the telling of old events, and delete them once nobody may ask any more who did what."""
        told, kept = self._settings.tombstone_retention, self._settings.audit_retention
        while ids := await self._database.read(events.list_with_old, now - told, _PAGE):
            for id in ids:
                await self._repeat(events.forget_some, id, now - told, _PAGE)
        await self._repeat(events.delete_some, now - max(told, kept), _PAGE)

    async def _measure(self) -> None:
        """Set what is measured of all that is there. Counting all files takes at most a hundredth of the time."""
        JOBS.set(await self._database.read(jobs.count))
        PENDING.set(await self._database.read(webhooks.count_pending))
        for state, count in (await self._database.read(uploads.count_living)).items():
            UPLOADS.labels(state).set(count)
        for disk, free in _free(self._settings).items():
            FREE.labels(disk).set(free)
        began = time.monotonic()
        if began < self._next_count:
            return
        kept = await self._database.read(usage.total)
        FILES.set(kept.files)
        KEPT.set(kept.bytes)
        now = time.monotonic()
        self._next_count = now + _SHARE * (now - began)

    async def scan(self, *, fix: bool) -> Findings:
        """Compare every blob with the database and every ready version with the store; with ``fix``, mend what differs.

        Bytes without a row are removed; a row without bytes is moved to rejected, ``bytes_missing``.
        """
        now = self._clock()
        living = await self._database.read(uploads.count_living)
        idle = await self._database.read(uploads.list_idle, now - self._settings.upload_idle_timeout, 1_000_000)
        findings = Findings(
            bytes_without_row=await self._find_orphans(),
            rows_without_bytes=await self._find_losses(),
            ended_with_bytes=len(await self._database.read(upkeep.list_freeable, 1_000_000)),
            overdue=len(await self._database.read(upkeep.list_expired, now, 1_000_000)),
            idle_uploads=len(idle),
            open_uploads=living[UploadState.OPEN],
            unconfirmed_uploads=living[UploadState.RECEIVED],
        )
        if not findings.is_sound:
            _log.warning("scan", fix=fix, **{name: getattr(findings, name) for name in findings.__struct_fields__})
        if fix:
            await self._trim()
            await self.remove(findings)
            for version_id in findings.rows_without_bytes:
                await self._database.free(self._reject_lost, version_id)
            await self.sweep()
        return findings

    async def remove(self, findings: Findings) -> None:
        """Remove the bytes without a row that a scan has found, if they have none by now."""
        for key in findings.bytes_without_row:
            await self._store.delete_unowned(key, partial(self._is_owned, key))

    def _take_lease(self, conn: Connection) -> bool:
        now = self._clock()
        # Long enough to outlast a slow sweep; a dead holder is replaced after three intervals.
        until = now + max(3 * self._settings.sweep_interval, timedelta(seconds=5))
        return bookkeeping.take_lease(conn, _LEASE, self._holder, now, until)

    def _expire_some(self, conn: Connection) -> int:
        now = self._clock()
        overdue = upkeep.list_expired(conn, now, _PAGE)
        for file_id in overdue:
            file = files.find_file(conn, file_id)
            if file is not None and lives.has_expired(file, now):
                lives.expire(conn, file, now)
        return len(overdue)

    def _end_idle_uploads(self, conn: Connection) -> int:
        idle = uploads.list_idle(conn, self._clock() - self._settings.upload_idle_timeout, _PAGE)
        for upload in idle:
            uploads.update_upload(conn, upload.id, state=UploadState.EXPIRED, content=None)
        return len(idle)

    async def _end_old_versions(self) -> int:
        """End replaced versions whose own time is over, or that their workspace keeps no longer."""
        now = self._clock()
        expired = await self._database.read(upkeep.list_old_expired, now, _PAGE)
        outdated = await self._database.read(upkeep.list_outdated, now, _PAGE)
        if expired:
            await self._database.free(files.end_some_versions, expired, State.EXPIRED)
        if outdated:
            await self._database.free(files.end_some_versions, outdated, State.DELETED, "retention")
        return len(expired) + len(outdated)

    async def _enqueue_rescans(self) -> None:
        """Let ready files be scanned whose time for it has come, some at a time: new ones must not wait for them all."""
        if self._settings.clamd is None or await self._database.read(jobs.count) > _PAGE:
            return
        if await self._database.read(jobs.list_to_rescan, self._clock(), 1):
            await self._database.free(self._enqueue)

    def _enqueue(self, conn: Connection) -> None:
        # Listed in the transaction that takes them off the list: another sweep may be at it, and they may have ended.
        for version_id in jobs.list_to_rescan(conn, self._clock(), _PAGE):
            versions.rescanned(conn, version_id, None, None)
            jobs.enqueue(conn, version_id, None, self._clock())

    async def _trim(self) -> None:
        """End what files have more of versions than their workspace keeps, since it was told to keep fewer."""
        while found := await self._database.read(upkeep.list_with_surplus, _PAGE):
            for file_id, keep in found:
                await self._database.free(versions.trim, file_id, keep)

    def _purge_some(self, conn: Connection) -> int:
        """Give up deleted files that can no longer be restored."""
        over = upkeep.list_purgeable(conn, self._clock(), _PAGE)
        for file_id in over:
            file = files.find_file(conn, file_id)
            if file is not None:
                lives.purge(conn, file)
        return len(over)

    async def _end_direct(self) -> int:
        """Give up in the store what was to come there for uploads that have ended, unless it has been put together."""
        direct = self._store.direct_uploads
        ended = [] if direct is None else await self._database.read(direct_uploads.list_ended, _PAGE)
        if direct is not None and ended:
            for start in range(0, len(ended), _ASKED_AT_ONCE):
                some = ended[start : start + _ASKED_AT_ONCE]
                await asyncio.gather(*(direct.abort(one.blob_key, one.store_name) for one in some))
            await self._database.free(direct_uploads.forget, [one.upload_id for one in ended])
        return len(ended)

    async def _free_some(self) -> int:
        of_versions = await self._database.read(upkeep.list_freeable, _PAGE)
        of_uploads = await self._database.read(uploads.list_freeable, _PAGE)
        own = [key for _id, key in of_versions if key is not None]
        in_use = await self._database.read(files.are_shared, own + of_uploads)
        for blob_key in own + of_uploads:
            if blob_key not in in_use:
                await self._store.delete(blob_key)
        if of_versions:
            await self._free_shared([version_id for version_id, _key in of_versions])
        if of_uploads:
            await self._database.free(uploads.mark_freed, of_uploads)
        return len(of_versions) + len(of_uploads)

    async def _free_shared(self, version_ids: list[str]) -> None:
        """Let ended versions go of their bytes, and remove the shared blobs that nothing else has bytes in."""
        shared = await self._database.read(files.list_shared, version_ids)
        await self._database.free(upkeep.mark_freed, version_ids)
        for key in shared:
            await self._store.delete_unowned(key, partial(self._is_owned, key))

    async def _find_orphans(self) -> list[str]:
        orphans: list[str] = []
        page: list[str] = []
        async for key in self._store.orphans():
            page.append(key)
            if len(page) == _PAGE:
                orphans += await self._without_row(page)
                page = []
        return orphans + await self._without_row(page)

    async def _without_row(self, keys: list[str]) -> list[str]:
        owned = await self._database.read(upkeep.with_bytes, keys)
        return [key for key in keys if key not in owned]

    async def _is_owned(self, key: str) -> bool:
        return bool(await self._database.read(upkeep.with_bytes, [key]))

    async def _find_losses(self) -> list[str]:
        lost: list[str] = []
        after = ""
        while page := await self._database.read(upkeep.list_ready, after, _PAGE):
            after = page[-1].id
            for start in range(0, len(page), _ASKED_AT_ONCE):
                some = page[start : start + _ASKED_AT_ONCE]
                are_lost = await asyncio.gather(*map(self._is_lost, some))
                lost += [version.id for version, is_lost in zip(some, are_lost, strict=True) if is_lost]
        return lost

    async def _is_lost(self, version: Version) -> bool:
        if version.is_inline:  # bytes in the database come and go with their row
            return False
        try:
            return any([(await self._store.stat(key)).size < size for key, size in _least_sizes(version).items()])
        except BlobMissing:
            return True

    def _reject_lost(self, conn: Connection, version_id: str) -> None:
        stored = files.find_by_version(conn, version_id)
        # It may have ended, and been swept, since it was listed.
        if stored is None or stored.version.state is not State.READY:
            return
        versions.reject(conn, stored, "bytes_missing", self._clock())

    async def _repeat(self, fn: Callable[..., int], *args: object) -> None:
        while await self._database.free(fn, *args):
            pass


def _free(settings: Settings) -> dict[str, int]:
    """Return how many bytes are free on the disks of the store and of the database."""
    found = {}
    file = settings.resolved_database_file()
    for name, folder in (("store", settings.resolved_store_folder()), ("database", file and file.parent)):
        if folder is None:
            continue
        with contextlib.suppress(OSError):
            found[name] = free_bytes(folder)
    return found


def _least_sizes(version: Version) -> dict[str, int]:
    """How large each blob must be for the version's bytes to be all there."""
    sizes: dict[str, int] = {}
    for extent in version.extents or (Extent(0, version.size),):
        key = extent.blob_key or version.blob_key or ""
        sizes[key] = max(sizes.get(key, 0), extent.offset + extent.length)
    return sizes
