"""What clients promise to upload, and the uploads that are recorded for it, in which nothing has arrived yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, uploads, workspaces
from fileferry.engine.access import limits, policy
from fileferry.engine.access.quotas import refuse_full
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files import lives, paths
from fileferry.engine.files.catalogue import refuse_other_workspace
from fileferry.engine.files.folders import find_folder
from fileferry.engine.files.placement import Preconditions
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.parts import choose_part_size
from fileferry.errors import Conflict, NotFound
from fileferry.model import File, Principal, Upload, UploadState, Workspace, new_id
from fileferry.settings import Settings


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says that it will upload. ``size`` is exact; without it anything up to ``max_size`` may come (bytes).

    A ``file_id`` asks for a new version of that file, wherever it is. ``digests`` must match in the end. ``part_size`` asks for
    parts; 0 leaves their size to us. ``auto_complete`` makes it a version once all bytes are there. ``fetches`` is how often the
    file may be fetched whole, ``url_lifetime`` how long the first URL is good, ``request_id`` the request that it answers.
    """

    path: str = ""
    at_path: bool = False
    file_id: str | None = None
    folder_id: str | None = None
    workspace: str | None = None
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: timedelta | None = None
    expires_at: datetime | None = None
    size: int | None = None
    max_size: int | None = None
    digests: Mapping[Algorithm, bytes] = {}
    part_size: int | None = None
    auto_complete: bool = False
    url_lifetime: timedelta | None = None
    fetches: int | None = None
    request_id: str | None = None
    preconditions: Preconditions = Preconditions()


class _Place(msgspec.Struct, frozen=True):
    """Where a promised file goes: the file that gets a new version, or what its path begins with, slash included."""

    workspace: Workspace
    prefix: str = ""
    file: File | None = None


def _find_place(conn: Connection, principal: Principal, promise: Promise, now: datetime) -> _Place:
    if promise.file_id is not None:
        file = files.find_file(conn, promise.file_id)
        if file is None or file.deleted_at is not None or lives.has_expired(file, now):
            raise NotFound("There is no file with this id, or this key may not see it.")
        if not policy.sees(principal, file):
            raise NotFound("There is no file with this id, or this key may not see it.")
        if promise.workspace is not None:
            refuse_other_workspace(conn, principal, file.workspace_id, promise.workspace)
        if not file.owns_path:
            raise Conflict("This file was handed off by itself and takes no further versions.")
        return _Place(workspaces.find_by_id(conn, file.workspace_id), file=file)
    if promise.folder_id is None:
        return _Place(find_workspace(conn, principal.organization.id, promise.workspace))
    folder = find_folder(conn, principal, promise.folder_id)
    return _Place(workspaces.find_by_id(conn, folder.workspace_id), folder.path + "/")


def _draw_numbers(conn: Connection, places: Sequence[_Place], now: datetime) -> list[int]:
    """Return a version number for each place, growing within every workspace."""
    wanted = Counter(place.workspace.id for place in places)
    following = {id: workspaces.next_numbers(conn, id, now, count) for id, count in wanted.items()}
    numbers = []
    for place in places:
        numbers.append(following[place.workspace.id])
        following[place.workspace.id] += 1
    return numbers


def insert_promised(
    conn: Connection, principal: Principal, promises: Sequence[Promise], settings: Settings, now: datetime
) -> list[Upload]:
    """Record an upload for each promise, and return them; raises what ``Tickets.open`` does."""
    found: dict[tuple[str | None, str | None, str | None], _Place] = {}
    places = []
    sizes: dict[Workspace, list[int]] = {}
    for promise in promises:
        asked = (promise.workspace, promise.folder_id, promise.file_id)
        if asked not in found:
            found[asked] = _find_place(conn, principal, promise, now)
        places.append(found[asked])
        sizes.setdefault(found[asked].workspace, []).append(promise.size or 0)
    for workspace, of_workspace in sizes.items():
        refuse_full(conn, principal, workspace, sum(of_workspace), len(of_workspace))
    numbers = _draw_numbers(conn, places, now)
    opened = []
    for promise, place, number in zip(promises, places, numbers, strict=True):
        upload = _new_upload(principal, promise, place, number, settings, now)
        if upload.at_path and place.file is None:
            owner = paths.reserve(conn, upload, now)
            upload = msgspec.structs.replace(upload, file_id=owner.id)
        opened.append(upload)
    uploads.insert_uploads(conn, opened)
    return opened


def _new_upload(
    principal: Principal, promise: Promise, place: _Place, number: int, settings: Settings, now: datetime
) -> Upload:
    allowed = limits.in_force(settings, principal, place.workspace)
    limits.refuse_size(allowed, max(promise.size or 0, promise.max_size or 0))
    limits.expiry(allowed, now, promise.expires_in, promise.expires_at)
    at_path = promise.at_path or place.file is not None
    path = place.file.path if place.file else place.prefix + promise.path
    policy.authorize_path(principal, path if at_path or promise.folder_id else None)
    limits.refuse_type(allowed, path, promise.content_type)
    multipart = promise.part_size is not None
    return Upload(
        id=new_id(now),
        organization_id=principal.organization.id,
        workspace_id=place.workspace.id,
        folder_id=promise.folder_id,
        key_id=principal.key.id,
        user_id=principal.user_id,
        file_id=place.file.id if place.file else new_id(now),
        version_id=new_id(now),
        number=number,
        auto_complete=promise.auto_complete,
        state=UploadState.OPEN,
        path=path,
        at_path=at_path,
        if_match=list(promise.preconditions.if_match),
        must_be_new=promise.preconditions.must_be_new,
        content_type=promise.content_type,
        metadata=promise.metadata,
        lifetime=None if promise.expires_in is None else int(promise.expires_in.total_seconds()),
        expires_at=promise.expires_at,
        promised_size=promise.size,
        max_size=promise.size if promise.size is not None else promise.max_size or limits.largest(allowed),
        digests={algorithm.value: digest.hex() for algorithm, digest in promise.digests.items()},
        part_size=choose_part_size(promise.part_size or 0, promise.size or 0) if multipart else None,
        multipart_id=new_id(now) if multipart else None,
        # Parts of a fixed size have places of their own; whatever else comes goes behind them.
        tail=(promise.size or 0) if multipart else 0,
        url_expires_at=now + (promise.url_lifetime or settings.upload_url_lifetime),
        touched_at=now,
        created_at=now,
        blob_key=new_id(now) if multipart else None,
        content=None,
        end_user=principal.end_user,
        fetches=promise.fetches,
        request_id=promise.request_id,
    )


def partial_upload(upload: Upload, size: int | None, now: datetime) -> Upload:
    """Return an upload whose bytes, ``size`` of them where that is known, are to be joined with others to those of ``upload``."""
    return msgspec.structs.replace(
        upload,
        id=new_id(now),
        file_id=new_id(now),
        version_id=new_id(now),
        number=0,
        auto_complete=False,
        state=UploadState.OPEN,
        at_path=False,
        promised_size=None,
        length=size,
        parent_id=upload.id,
        digests={},
        part_size=None,
        multipart_id=None,
        tail=0,
        touched_at=now,
        blob_key=None,
        content=None,
        stream=None,
        wire={},
    )
