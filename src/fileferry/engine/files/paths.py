"""Who owns a path: finding it, giving it to new files, and moving files to others and back. Folders are in ``folders``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, folders, references, uploads, workspaces
from fileferry.engine.files import announcements, lives
from fileferry.engine.files.placement import Placement
from fileferry.errors import Conflict
from fileferry.model import MAX_NAME_BYTES, MAX_PATH_BYTES, File, Upload, new_id


def find_owner(conn: Connection, workspace_id: str, path: str, now: datetime) -> File | None:
    """Return the living file that owns a path; one whose time is over is ended first, swept or not, and gives it free.

    So does one that its end user has deleted, and that is only kept for what it is attached to.
    """
    owner = files.find_owner(conn, workspace_id, path)
    if owner is None or not gives_way(conn, owner, now):
        return owner
    if lives.has_expired(owner, now):
        lives.expire(conn, owner, now)
    else:
        files.update_file(conn, owner.id, owns_path=False)
    return None


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


def beside(path: str, is_free: Callable[[str], bool]) -> str:
    """Return a path, or where that is not free the first of ``name (2).ext``, ``name (3).ext`` and so on that is."""
    folder, slash, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    tried, number = path, 1
    while not is_free(tried):
        number += 1
        addition = f" ({number}){dot}{extension}"
        # A name has at most 255 bytes, a path 1,024: the stem gives way.
        room = min(MAX_NAME_BYTES, MAX_PATH_BYTES - len(f"{folder}{slash}".encode())) - len(addition.encode())
        kept = stem.encode()[: max(1, room)].decode(errors="ignore")
        tried = f"{folder}{slash}{kept}{addition}"
    return tried


def gives_way(conn: Connection, owner: File, now: datetime) -> bool:
    """Whether the file that owns a path makes room for another one: its time is over, or its end user has deleted it."""
    return lives.has_expired(owner, now) or (
        owner.end_user is not None and references.is_marked_deleted(conn, owner.id)
    )


def refuse_foreign(owner: File, end_user: str | None) -> None:
    """Raise Conflict for an end user at a path that is not the user's; whose it is is not told."""
    if end_user is not None and owner.end_user != end_user:
        raise Conflict("This path is taken.")


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
    file = new_file(conn, place, now)
    files.insert_file(conn, file, None)
    return file


def target_of(conn: Connection, place: Placement, now: datetime) -> File | None:
    """Return the file that gets the version: the one it was promised to while that lives, or else the owner of its path."""
    if not place.at_path:
        return None
    promised = files.find_file(conn, place.file_id) if place.file_id else None
    if promised is not None and promised.deleted_at is None and not lives.has_expired(promised, now):
        return promised
    owner = find_owner(conn, place.workspace_id, place.path, now)
    if owner is not None:
        refuse_foreign(owner, place.end_user)
    return owner


def new_file(conn: Connection, place: Placement, now: datetime) -> File:
    """Return the file that new content makes at its place, with a folder where its path needs one; it is not inserted yet."""
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


def move(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Give a file another path, which must be free; its id and versions stay."""
    moved = _moved(conn, file, path, now)
    files.update_file(conn, file.id, name=moved.name, path=moved.path, folder_id=moved.folder_id)
    if file.owns_path:  # who may use its tickets is judged by where it is
        uploads.move_for_file(conn, file.id, moved.path)
    return moved


def restore(conn: Connection, file: File, path: str, now: datetime) -> File:
    """Bring a deleted file back, at ``path``, which must be free."""
    restored = _moved(conn, file, path, now)
    changed = {"deleted_at": None, "deleted_by": None, "restorable_until": None}
    restored = msgspec.structs.replace(restored, **changed)
    files.update_file(conn, file.id, name=restored.name, path=restored.path, folder_id=restored.folder_id, **changed)
    workspaces.count_files(conn, file.workspace_id, living=1, deleted=-1)
    announcements.announce(conn, "file.restored", restored, now)
    return restored


def _moved(conn: Connection, file: File, path: str, now: datetime) -> File:
    parent, _, name = path.rpartition("/")
    # A hand-off without a folder stays without one: it is found by its id, whatever slashes its name has.
    in_folder = file.owns_path or file.folder_id is not None
    folder_id = folders.ensure(conn, file.workspace_id, parent, now) if in_folder else None
    return msgspec.structs.replace(file, path=path, name=name, folder_id=folder_id)
