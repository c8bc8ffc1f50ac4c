"""The state machine of versions: every move is made here, in one transaction that also appends its event to the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import events, files, folders, jobs, references, uploads, usage, workspaces
from fileferry.engine.quotas import Quota, enforce
from fileferry.errors import Conflict, PreconditionFailed
from fileferry.model import Digests, Extent, File, Rules, Scan, State, StoredFile, Upload, Version, new_id


class Preconditions(msgspec.Struct, frozen=True):
    """RFC 9110 section 13 conditions on the file at a path: entity tags of If-Match (``*`` is any), or If-None-Match: *."""

    if_match: tuple[str, ...] = ()
    must_be_new: bool = False

    def verify(self, current: StoredFile | None) -> None:
        """Raise PreconditionFailed unless the file now at the path fits."""
        if self.must_be_new and current is not None:
            raise PreconditionFailed("There is a file at this path already.")
        if self.if_match and current is None:
            raise PreconditionFailed("There is no file at this path.")
        if self.if_match and current and "*" not in self.if_match and current.version.etag not in self.if_match:
            raise PreconditionFailed("The file at this path has changed.")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are durable and verified in the store, or ``inline`` to go into the database; and what was learned of them."""

    blob_key: str | None
    extents: tuple[Extent, ...] | None = None
    inline: bytes | None = None
    size: int
    content_type: str
    detected_type: str | None
    digests: Digests


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where new content goes and what it is called. ``at_path`` files own their path; the others are found by id only.

    A version that was promised brings the ``file_id`` and ``number`` that it was promised with. With ``rules`` it must be judged
    before it is ready. ``fetches`` is how often it may be fetched whole. It counts against ``quotas``.
    """

    organization_id: str
    workspace_id: str
    path: str
    at_path: bool
    metadata: dict[str, Any]
    expires_at: datetime | None
    user_id: str | None = None
    folder_id: str | None = None
    file_id: str | None = None
    version_id: str | None = None
    number: int | None = None
    key_id: str | None = None
    end_user: str | None = None
    fetches: int | None = None
    rules: Rules | None = None
    quotas: tuple[Quota, ...] = ()
    preconditions: Preconditions = Preconditions()


class Received(msgspec.Struct, frozen=True):
    """The outcome of an upload. ``is_new_file`` tells a first version from a further one."""

    stored: StoredFile
    is_new_file: bool


def add(conn: Connection, place: Placement, content: Content, now: datetime) -> Received:
    """Make content a version of a new file, or of the file that it was promised to or that owns its path.

    It is ready at once, or is to be judged first where the place has rules: then the version before it stays the current one,
    and a first version is seen but not served. Raises PreconditionFailed, Conflict and QuotaExceeded.
    """
    target = _target(conn, place, now)
    current = files.find(conn, target.id) if target is not None else None
    if place.preconditions != Preconditions():
        place.preconditions.verify(None if current is None else files.find_newest(conn, current.file.id))
    sequence = workspaces.next_numbers(conn, place.workspace_id, now)
    file = target or _new_file(conn, place, now)
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
        file = outlast(conn, current)
    if current is None:
        workspaces.count_files(conn, file.workspace_id, living=1)
    elif place.rules is None:
        _supersede(conn, current, now)
    if place.rules is None:
        _announce(conn, "file.ready", file, now, version)
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
        reject(conn, StoredFile(stored.file, version), judged.reason, now)
        settle_end(conn, stored.file.id, now, told_until)
        return
    version = msgspec.structs.replace(version, state=State.READY)
    files.update_version(conn, version.id, state=State.READY.value, rescan_at=judged.rescan_at)
    _admit(conn, StoredFile(stored.file, version), metadata or {}, now)


def _admit(conn: Connection, ready: StoredFile, metadata: dict[str, Any], now: datetime) -> None:
    file, version = ready.file, ready.version
    current = files.find(conn, file.id)
    if current is not None and current.version.id != version.id:
        if current.version.sequence < version.sequence:
            file = outlast(conn, StoredFile(_make_current(conn, file, version, metadata, now), version))
            _supersede(conn, current, now)
        elif not _supersede(conn, ready, now):
            return  # later versions are all that is kept
    if file.deleted_at is None:  # nobody may fetch it, and its deletion was told of already
        _announce(conn, "file.ready", file, now, version)


def rescanned(conn: Connection, version_id: str, scan: Scan | None, rescan_at: datetime | None) -> None:
    """Record what another scan of a ready version came to, where it came to anything."""
    found = {} if scan is None else {"scan": msgspec.to_builtins(scan)}
    files.update_version(conn, version_id, **found, rescan_at=rescan_at)


def recall(conn: Connection, stored: StoredFile, scan: Scan, now: datetime, told_until: datetime) -> None:
    """Take back a version that was ready, in which malware was found late; its links end at once."""
    version = msgspec.structs.replace(stored.version, scan=scan)
    files.update_version(conn, version.id, scan=msgspec.to_builtins(scan))
    files.reject_version(conn, version.id, "infected")
    _announce(conn, "file.recalled", stored.file, now, _rejected(version, "infected"))
    settle_end(conn, stored.file.id, now, told_until)


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


def reserve(conn: Connection, upload: Upload, now: datetime) -> File:
    """Return the file that owns an upload's path; where there is none, one that keeps the path for a first version to come."""
    owner = find_owner(conn, upload.workspace_id, upload.path, now)
    if owner is not None:
        refuse_foreign(owner, upload.end_user)
        return owner
    place = Placement(
        organization_id=upload.organization_id,
        workspace_id=upload.workspace_id,
        path=upload.path,
        at_path=True,
        metadata={},
        expires_at=None,
        user_id=upload.user_id,
        end_user=upload.end_user,
    )
    file = _new_file(conn, place, now)
    files.insert_file(conn, file, None)
    return file


def _target(conn: Connection, place: Placement, now: datetime) -> File | None:
    """Return the file that gets the version: the one it was promised to while that lives, or else the owner of its path."""
    if not place.at_path:
        return None
    promised = files.find_file(conn, place.file_id) if place.file_id else None
    if promised is not None and promised.deleted_at is None and not has_expired(promised, now):
        return promised
    owner = find_owner(conn, place.workspace_id, place.path, now)
    if owner is not None:
        refuse_foreign(owner, place.end_user)
    return owner


def refuse_foreign(owner: File, end_user: str | None) -> None:
    """Raise Conflict for an end user at a path that is not the user's; whose it is is not told."""
    if end_user is not None and owner.end_user != end_user:
        raise Conflict("This path is taken.")


def _new_file(conn: Connection, place: Placement, now: datetime) -> File:
    parent, _, name = place.path.rpartition("/")
    # The id that was promised may be that of a file whose time is over; it names that one for good.
    is_free = place.file_id is not None and files.find_file(conn, place.file_id) is None
    return File(
        id=place.file_id if is_free and place.file_id else new_id(now),
        organization_id=place.organization_id,
        workspace_id=place.workspace_id,
        folder_id=folders.ensure(conn, place.workspace_id, parent, now) if place.at_path else place.folder_id,
        name=name,
        path=place.path,
        owns_path=place.at_path,
        metadata=place.metadata,
        created_at=now,
        modified_at=now,
        expires_at=place.expires_at,
        deleted_at=None,
        created_by=place.user_id,
        modified_by=place.user_id,
        end_user=place.end_user,
    )


def _supersede(conn: Connection, replaced: StoredFile, now: datetime) -> bool:
    """Mark the version that is not the current one, end those that are not kept, and return whether it is kept itself."""
    files.update_version(conn, replaced.version.id, superseded_at=now)
    keep = workspaces.find_by_id(conn, replaced.file.workspace_id).keep_versions
    return keep is None or replaced.version.id not in trim(conn, replaced.file.id, keep)


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


def free_path(conn: Connection, workspace_id: str, path: str, now: datetime, end_user: str | None) -> bool:
    """Whether no file is at a path; one whose first version is still to come gives way, and that becomes a version of the next.

    For an end user only one that is the user's own does.
    """
    owner = find_owner(conn, workspace_id, path, now)
    is_foreign = owner is not None and end_user is not None and owner.end_user != end_user
    if owner is not None and not is_foreign and files.find(conn, owner.id) is None:
        files.delete_file(conn, owner.id)
        return True
    return owner is None


def find_owner(conn: Connection, workspace_id: str, path: str, now: datetime) -> File | None:
    """Return the living file that owns a path; one whose time is over is ended first, swept or not, and gives it free.

    So does one that its end user has deleted, and that is only kept for what it is attached to.
    """
    owner = files.find_owner(conn, workspace_id, path)
    if owner is None or not gives_way(conn, owner, now):
        return owner
    if has_expired(owner, now):
        expire(conn, owner, now)
    else:
        files.update_file(conn, owner.id, owns_path=False)
    return None


def gives_way(conn: Connection, owner: File, now: datetime) -> bool:
    """Whether the file that owns a path makes room for another one: its time is over, or its end user has deleted it."""
    return has_expired(owner, now) or (owner.end_user is not None and references.is_marked_deleted(conn, owner.id))


def has_expired(file: File, now: datetime) -> bool:
    """Whether a file's time is over, swept or not."""
    return file.expires_at is not None and file.expires_at <= now


def version_has_expired(version: Version, now: datetime) -> bool:
    """Whether a version's own time is over, swept or not."""
    return version.expires_at is not None and version.expires_at <= now


def expire(conn: Connection, file: File, now: datetime) -> None:
    """Move a file whose time is over, and every version of it, to expired."""
    files.update_file(conn, file.id, deleted_at=now)
    files.end_versions(conn, file.id, State.EXPIRED)
    workspaces.count_files(conn, file.workspace_id, living=-1)
    _announce(conn, "file.expired", file, now)


def delete(
    conn: Connection, file: File, user_id: str | None, now: datetime, restorable_until: datetime | None = None
) -> None:
    """Take a file away from everyone, with what is still on its way to it.

    Its versions stay as they are while it can be restored, and are moved to deleted where it cannot.
    """
    restorable_until = min(restorable_until, file.expires_at or restorable_until) if restorable_until else None
    files.update_file(conn, file.id, deleted_at=now, deleted_by=user_id, restorable_until=restorable_until)
    uploads.end_for_file(conn, file.id)
    if restorable_until is None:
        files.end_versions(conn, file.id, State.DELETED)
    workspaces.count_files(conn, file.workspace_id, living=-1, deleted=0 if restorable_until is None else 1)
    _announce(conn, "file.deleted", file, now)


def purge(conn: Connection, file: File) -> None:
    """Give up a deleted file that could be restored so far: its versions are moved to deleted."""
    files.update_file(conn, file.id, restorable_until=None)
    files.end_versions(conn, file.id, State.DELETED)
    workspaces.count_files(conn, file.workspace_id, deleted=-1)


def restore(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Bring a deleted file back, at ``path``, which must be free."""
    restored = _moved(conn, file, path, now)
    changed = {"deleted_at": None, "deleted_by": None, "restorable_until": None}
    restored = msgspec.structs.replace(restored, **changed)
    files.update_file(conn, file.id, name=restored.name, path=restored.path, folder_id=restored.folder_id, **changed)
    workspaces.count_files(conn, file.workspace_id, living=1, deleted=-1)
    _announce(conn, "file.restored", restored, now)
    return restored


def move(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Give a file another path, which must be free; its id and versions stay."""
    moved = _moved(conn, file, path, now)
    files.update_file(conn, file.id, name=moved.name, path=moved.path, folder_id=moved.folder_id)
    if file.owns_path:  # who may use its tickets is judged by where it is
        uploads.move_for_file(conn, file.id, moved.path)
    return moved


def _moved(conn: Connection, file: File, path: str, now: datetime) -> File:
    parent, _, name = path.rpartition("/")
    # A hand-off without a folder stays without one: it is found by its id, whatever slashes its name has.
    in_folder = file.owns_path or file.folder_id is not None
    folder_id = folders.ensure(conn, file.workspace_id, parent, now) if in_folder else None
    return msgspec.structs.replace(file, path=path, name=name, folder_id=folder_id)


def reject(conn: Connection, stored: StoredFile, reason: str, now: datetime) -> None:
    """Move one version to rejected, saying why."""
    files.reject_version(conn, stored.version.id, reason)
    _announce(conn, "file.rejected", stored.file, now, _rejected(stored.version, reason))


def _rejected(version: Version, reason: str) -> Version:
    return msgspec.structs.replace(version, state=State.REJECTED, reason=reason)


def outlast(conn: Connection, current: StoredFile) -> File:
    """Let a file live as long as its current version and those that wait to take its place: none of them ends for another."""
    ends = [version.expires_at for version in (current.version, *files.list_waiting(conn, current))]
    expires_at = None if None in ends else max(end for end in ends if end is not None)
    if expires_at != current.file.expires_at:
        files.update_file(conn, current.file.id, expires_at=expires_at)
    return msgspec.structs.replace(current.file, expires_at=expires_at)


def settle_end(conn: Connection, file_id: str, now: datetime, until: datetime) -> None:
    """Let a file that has lost a version end with what is left, or by ``until`` where that is nothing but rejected ones."""
    current = files.find(conn, file_id)
    if current is None:
        return
    if (
        current.version.state is State.EXPIRED
        and current.file.deleted_at is None
        and not files.list_waiting(conn, current)
    ):
        expire(conn, current.file, now)  # it has only waited for the version that it has lost now
        return
    if current.version.state is not State.READY and files.find_newest(conn, file_id) is None:
        until = min(until, current.version.expires_at or until)
        files.update_version(conn, current.version.id, expires_at=until)
        current = files.find(conn, file_id) or current
    outlast(conn, current)


def fetched(conn: Connection, stored: StoredFile, now: datetime) -> None:
    """Record that a version was fetched whole; after the last time that it may be, it ends, and with it a file it is current of."""
    file, version = stored.file, stored.version
    _announce(conn, "file.fetched", file, now, version)
    left = files.count_fetch(conn, version.id)
    if left is None or left > 0:
        return
    current = files.find(conn, file.id)
    is_current = current is not None and current.version.id == version.id
    if current is not None and is_current and not files.list_waiting(conn, current):
        if current.file.deleted_at is None:
            expire(conn, current.file, now)
        elif current.file.restorable_until is not None:
            purge(conn, current.file)
    else:
        files.end_some_versions(conn, [version.id], State.EXPIRED)


def fetched_without_limit(conn: Connection, fetches: Sequence[tuple[StoredFile, datetime]]) -> None:
    """Record when versions that may be fetched any number of times were fetched whole."""
    events.append_all(conn, [_event("file.fetched", stored.file, at, stored.version) for stored, at in fetches])


def _announce(conn: Connection, type: str, file: File, now: datetime, version: Version | None = None) -> None:
    """Append an event; ``version`` is as it is after the move."""
    events.append_all(conn, [_event(type, file, now, version)])


def _event(type: str, file: File, now: datetime, version: Version | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "file_id": file.id,
        "name": file.name,
        "path": file.path,
        "workspace_id": file.workspace_id,
        "end_user": file.end_user,
    }
    if version is not None:
        data |= {
            "version_id": str(version.number),
            "status": version.state.value,
            "reason": version.reason,
            "size": version.size,
            "content_type": version.content_type,
            "sha256": version.digests.sha256,
            "crc32c": version.digests.crc32c,
            "scan": None if version.scan is None else version.scan.outcome.value,
        }
    return {
        "organization_id": file.organization_id,
        "file_id": file.id,
        "version_id": version.id if version else None,
        "type": type,
        "data": data,
        "created_at": now,
    }
