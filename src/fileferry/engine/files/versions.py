"""The state machine of versions: every move is made here, in one transaction that also appends its event to the outbox.

What ends a whole file is in ``lives``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import events, files, jobs, usage, workspaces
from fileferry.engine.access.quotas import enforce
from fileferry.engine.files import announcements, lives, paths
from fileferry.engine.files.placement import Content, Placement, Preconditions, Received
from fileferry.model import Extent, File, Scan, State, StoredFile, Version, new_id

Fetch = tuple[StoredFile, datetime, dict[str, str] | None]
"""A version that was fetched whole, when, and by whom."""


def add(conn: Connection, place: Placement, content: Content, now: datetime) -> Received:
    """Make content a version of a new file, or of the file that it was promised to or that owns its path.

    It is ready at once, or is to be judged first where the place has rules: then the version before it stays the current one,
    and a first version is seen but not served. Raises PreconditionFailed, Conflict and QuotaExceeded.
    """
    target = paths.target_of(conn, place, now)
    current = files.find(conn, target.id) if target is not None else None
    if place.preconditions != Preconditions():
        place.preconditions.verify(None if current is None else files.find_newest(conn, current.file.id))
    sequence = workspaces.next_numbers(conn, place.workspace_id, now, living=1 if current is None else 0)
    file = target or paths.new_file(conn, place, now)
    version = Version(
        id=place.version_id or content.blob_key or new_id(now),
        file_id=file.id,
        number=place.number or sequence,
        state=State.READY if place.rules is None else State.PROCESSING,
        reason=None,
        size=content.size,
        content_type=content.content_type,
        detected_type=content.detected_type,
        digests=content.digests,
        blob_key=content.blob_key,
        extents=content.extents,
        created_at=now,
        sequence=sequence,
        created_by=place.user_id,
        expires_at=place.expires_at,
        key_id=place.key_id,
        fetches_left=place.fetches,
    )
    if target is None:
        file = msgspec.structs.replace(file, **_of_current(version, place.metadata, now))
        files.insert_file(conn, file, version.id)
    # Nobody has scanned it: that is due as soon as there is a scanner.
    files.insert_version(conn, version, file.workspace_id, rescan_at=now if place.rules is None else None)
    if content.inline is not None:
        files.insert_inline(conn, version.id, content.inline)
    if target is not None and (current is None or place.rules is None):
        file = _make_current(conn, file, version, place.metadata, now)
    elif current is not None:
        file = lives.outlast(conn, current)
    if current is not None and place.rules is None:
        _supersede(conn, current, now)
    if place.rules is None:
        announcements.announce(conn, "file.ready", file, now, version)
    else:
        jobs.enqueue(conn, version.id, place.rules, now, place.metadata)
    usage.add(conn, file, version)
    enforce(conn, place.quotas)
    return Received(StoredFile(file, version), is_new_file=current is None)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What judging a version came to. A ``reason`` rejects it; ``rescan_at`` is when it is to be scanned again."""

    reason: str | None
    content_type: str
    detected_type: str | None
    scan: Scan | None
    rescan_at: datetime | None = None


def conclude(
    conn: Connection,
    stored: StoredFile,
    judged: Judgement,
    metadata: dict[str, Any] | None,
    now: datetime,
    told_until: datetime,
) -> None:
    """Move a version that was judged to ready or rejected; a ready one becomes the current one unless a later one is.

    A file of which nothing else is there says until ``told_until`` why it was rejected.
    """
    version = msgspec.structs.replace(
        stored.version, content_type=judged.content_type, detected_type=judged.detected_type, scan=judged.scan
    )
    files.update_version(
        conn,
        version.id,
        content_type=version.content_type,
        detected_type=version.detected_type,
        scan=None if judged.scan is None else msgspec.to_builtins(judged.scan),
    )
    if judged.reason is not None:
        # Of the upload that is rejected, and not of what the file was before.
        file = stored.file if metadata is None else msgspec.structs.replace(stored.file, metadata=metadata)
        reject(conn, StoredFile(file, version), judged.reason, now)
        lives.settle_end(conn, stored.file.id, now, told_until)
        return
    version = msgspec.structs.replace(version, state=State.READY)
    files.update_version(conn, version.id, state=State.READY.value, rescan_at=judged.rescan_at)
    _admit(conn, StoredFile(stored.file, version), metadata or {}, now)


def _admit(conn: Connection, ready: StoredFile, metadata: dict[str, Any], now: datetime) -> None:
    file, version = ready.file, ready.version
    current = files.find(conn, file.id)
    if current is not None and current.version.id != version.id:
        if current.version.sequence < version.sequence:
            file = lives.outlast(conn, StoredFile(_make_current(conn, file, version, metadata, now), version))
            _supersede(conn, current, now)
        elif not _supersede(conn, ready, now):
            return  # later versions are all that is kept
    if file.deleted_at is None:  # nobody may fetch it, and its deletion was told of already
        announcements.announce(conn, "file.ready", file, now, version)


def rescanned(conn: Connection, version_id: str, scan: Scan | None, rescan_at: datetime | None) -> None:
    """Record what another scan of a ready version came to, where it came to anything."""
    found = {} if scan is None else {"scan": msgspec.to_builtins(scan)}
    files.update_version(conn, version_id, **found, rescan_at=rescan_at)


def recall(conn: Connection, stored: StoredFile, scan: Scan, now: datetime, told_until: datetime) -> None:
    """Take back a version that was ready, in which malware was found late; its links end at once."""
    version = msgspec.structs.replace(stored.version, scan=scan)
    files.update_version(conn, version.id, scan=msgspec.to_builtins(scan))
    files.reject_version(conn, version.id, "infected")
    announcements.announce(conn, "file.recalled", stored.file, now, _rejected(version, "infected"))
    lives.settle_end(conn, stored.file.id, now, told_until)


def reject(conn: Connection, stored: StoredFile, reason: str, now: datetime) -> None:
    """Move one version to rejected, saying why."""
    files.reject_version(conn, stored.version.id, reason)
    announcements.announce(conn, "file.rejected", stored.file, now, _rejected(stored.version, reason))


def _rejected(version: Version, reason: str) -> Version:
    return msgspec.structs.replace(version, state=State.REJECTED, reason=reason)


def fetched(conn: Connection, stored: StoredFile, now: datetime) -> None:
    """Record that a version was fetched whole; after the last time that it may be, it ends, and with it a file it is current of."""
    file, version = stored.file, stored.version
    announcements.announce(conn, "file.fetched", file, now, version)
    left = files.count_fetch(conn, version.id)
    if left is None or left > 0:
        return
    current = files.find(conn, file.id)
    is_current = current is not None and current.version.id == version.id
    if current is not None and is_current and not files.list_waiting(conn, current):
        if current.file.deleted_at is None:
            lives.expire(conn, current.file, now)
        elif current.file.restorable_until is not None:
            lives.purge(conn, current.file)
    else:
        files.end_some_versions(conn, [version.id], State.EXPIRED)


def fetched_without_limit(conn: Connection, fetches: Sequence[Fetch]) -> None:
    """Record when versions that may be fetched any number of times were fetched whole."""
    events.append_all(
        conn, [announcements.event("file.fetched", stored.file, at, stored.version, by) for stored, at, by in fetches]
    )


def trim(conn: Connection, file_id: str, keep: int) -> list[str]:
    """End a file's versions beyond the newest ``keep``, and return their ids."""
    surplus = files.list_surplus(conn, file_id, keep)
    files.end_some_versions(conn, surplus, State.DELETED, "retention")
    return surplus


def extents_within(extents: tuple[Extent, ...] | None, size: int, start: int, length: int) -> Iterator[Extent]:
    """Yield where in the blob the bytes from ``start`` on are, ``length`` of them, of a version with these extents and size."""
    position = 0
    for extent in extents or (Extent(0, size),):
        first = max(start, position)
        last = min(start + length, position + extent.length)
        if first < last:
            yield Extent(extent.offset + first - position, last - first, extent.blob_key)
        position += extent.length


def _of_current(version: Version, metadata: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What of a file its current version says."""
    return {
        "metadata": metadata,
        "modified_at": now,
        "modified_by": version.created_by,
        "expires_at": version.expires_at,
    }


def _make_current(conn: Connection, file: File, version: Version, metadata: dict[str, Any], now: datetime) -> File:
    changed = _of_current(version, metadata, now)
    files.update_file(conn, file.id, current_version_id=version.id, **changed)
    return msgspec.structs.replace(file, **changed)


def _supersede(conn: Connection, replaced: StoredFile, now: datetime) -> bool:
    """Mark the version that is not the current one, end those that are not kept, and return whether it is kept itself."""
    files.update_version(conn, replaced.version.id, superseded_at=now)
    keep = workspaces.find_by_id(conn, replaced.file.workspace_id).keep_versions
    return keep is None or replaced.version.id not in trim(conn, replaced.file.id, keep)
