"""Queries of uploads with a ticket, and of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, text, update

from fileferry.db.keys import key_of
from fileferry.db.reach import EVERYTHING, Reach, of_uploads
from fileferry.db.schema import Instant, keys, organizations, parts, shared_blobs, uploads, workspaces
from fileferry.db.statements import Kept, change
from fileferry.db.writer import brief
from fileferry.model import Key, Limits, Part, Stream, Upload, UploadState

_INSERT = Kept(insert(uploads))
_RENAMED = {"promised_size": "size"}
_ANY_NUMBER = 2**31 - 1
_FEW = 4
"""How many statements that are kept cost less than one that is composed for just these values."""
_COLUMNS = [uploads.c[_RENAMED.get(name, name)].label(name) for name in Upload.__struct_fields__]
_UPLOAD = select(*_COLUMNS)
_BY_FILE = Kept(
    _UPLOAD.where(
        uploads.c.organization_id == bindparam("organization"), uploads.c.file_id == bindparam("file")
    ).order_by(uploads.c.id)
)
_BY_MULTIPART = Kept(_UPLOAD.where(uploads.c.multipart_id == bindparam("multipart")))
_BY_VERSION = Kept(_UPLOAD.where(uploads.c.file_id == bindparam("file"), uploads.c.number == bindparam("version")))
_BY_ID = Kept(_UPLOAD.where(uploads.c.id == bindparam("upload")))
_WRITER = Kept(select(uploads.c.writer, uploads.c.writer_asked).where(uploads.c.id == bindparam("upload")))
_NOW = bindparam("now", type_=Instant)
_LIMITS = (organizations.c.limits, organizations.c.end_user_limits, workspaces.c.limits)
_USABLE = Kept(
    select(*_COLUMNS, *_LIMITS, *keys.c)
    .join_from(uploads, keys, keys.c.id == uploads.c.key_id)
    .join(organizations, organizations.c.id == uploads.c.organization_id)
    .join(workspaces, workspaces.c.id == uploads.c.workspace_id)
    .where(
        uploads.c.id == bindparam("upload"),
        keys.c.revoked_at.is_(None),
        or_(keys.c.expires_at.is_(None), keys.c.expires_at > _NOW),
    )
)
LAST_PART = 1_000_000  # numbers above it are those of blocks, which have none of their own
_LIVING = (UploadState.OPEN.value, UploadState.RECEIVED.value)
_ENDED = (UploadState.COMPLETED.value, UploadState.ABORTED.value, UploadState.EXPIRED.value)
# In the words of the index, or SQLite does not use it.
_TO_FREE = text("blob_key IS NOT NULL AND state IN ('completed', 'aborted', 'expired')")
_PART_COLUMNS = [getattr(parts.c, name) for name in Part.__struct_fields__]
_PARTS = Kept(
    select(*_PART_COLUMNS)
    .where(parts.c.upload_id == bindparam("upload"), parts.c.received_at.is_not(None), parts.c.block_id.is_(None))
    .order_by(parts.c.number)
    .limit(bindparam("most"))
)
_BLOCKS = Kept(
    select(*_PART_COLUMNS)
    .where(parts.c.upload_id == bindparam("upload"), parts.c.received_at.is_not(None), parts.c.block_id.is_not(None))
    .order_by(parts.c.block_id)
)
_PART = Kept(
    select(*_PART_COLUMNS).where(
        parts.c.upload_id == bindparam("upload"), parts.c.received_at.is_not(None), parts.c.number == bindparam("part")
    )
)
_BEGIN_AGAIN = Kept(
    update(parts)
    .where(parts.c.upload_id == bindparam("upload"), parts.c.number == bindparam("part"))
    .values(attempts=parts.c.attempts + 1)
    .returning(parts.c.number)
)
_INSERT_PART = Kept(insert(parts))
_PUT_PART = Kept(update(parts).where(parts.c.upload_id == bindparam("upload"), parts.c.number == bindparam("part")))
_PIECES = Kept(select(func.count()).where(parts.c.upload_id == bindparam("upload"), parts.c.received_at.is_not(None)))
_BLOCK_LIST = Kept(select(uploads.c.block_list).where(uploads.c.id == bindparam("upload")))
_ANY_BLOCK = Kept(
    select(parts.c.block_id).where(parts.c.upload_id == bindparam("upload"), parts.c.block_id.is_not(None)).limit(1)
)
_NUMBER_OF_BLOCK = Kept(
    select(parts.c.number).where(parts.c.upload_id == bindparam("upload"), parts.c.block_id == bindparam("block"))
)
_LAST_NUMBER = Kept(select(func.max(parts.c.number)).where(parts.c.upload_id == bindparam("upload")))
_GROW = Kept(
    update(uploads)
    .where(uploads.c.id == bindparam("upload"))
    .values(tail=uploads.c.tail + bindparam("grown"))
    .returning(uploads.c.tail)
)


_COUNT = Kept(
    update(uploads)
    .where(uploads.c.id == bindparam("upload"))
    .values(pieces_size=uploads.c.pieces_size + bindparam("added"))
    .returning(uploads.c.pieces_size)
)


def insert_uploads(conn: Connection, new: list[Upload]) -> None:
    """Add uploads, all in one statement."""
    _INSERT.run_many(conn, [_row(upload) for upload in new])


def find(conn: Connection, upload_id: str) -> Upload | None:
    """Return an upload by its id."""
    return _first(_BY_ID.first(conn, {"upload": upload_id}))


class Usable(msgspec.Struct, frozen=True):
    """An upload, the living key that its ticket was made with, and the limits that hold now beside that key's own."""

    upload: Upload
    key: Key
    limits: tuple[Limits, ...]
    end_user_limits: Limits


def find_usable(conn: Connection, upload_id: str, now: datetime) -> Usable | None:
    """Return an upload by its id if the key that its ticket was made with is still good."""
    row = _USABLE.first(conn, {"upload": upload_id, "now": now})
    if row is None:
        return None
    split = len(_COLUMNS)
    of_organization, of_end_users, of_workspace = (msgspec.convert(found, Limits) for found in row[split : split + 3])
    return Usable(_upload(row), key_of(row[split + 3 :]), (of_organization, of_workspace), of_end_users)


def find_by_multipart(conn: Connection, multipart_id: str) -> Upload | None:
    """Return the upload with this multipart id."""
    return _first(_BY_MULTIPART.first(conn, {"multipart": multipart_id}))


def find_by_files(
    conn: Connection, organization_id: str, file_ids: list[str], reach: Reach = EVERYTHING
) -> dict[str, Upload]:
    """Return the organization's uploads within reach that are to make these files, by file id."""
    if len(file_ids) <= _FEW and reach == EVERYTHING:
        asked = [_BY_FILE.all(conn, {"organization": organization_id, "file": file_id}) for file_id in file_ids]
        return {upload.file_id: upload for rows in asked for upload in map(_upload, rows)}
    of_organization = uploads.c.organization_id == organization_id
    query = _UPLOAD.where(of_organization, uploads.c.file_id.in_(file_ids), *of_uploads(reach))
    found = [_upload(row) for row in conn.execute(query.order_by(uploads.c.id))]
    return {upload.file_id: upload for upload in found}


def find_by_ids(conn: Connection, upload_ids: list[str]) -> dict[str, Upload]:
    """Return uploads by their ids."""
    found = [_upload(row) for row in conn.execute(_UPLOAD.where(uploads.c.id.in_(upload_ids)))]
    return {upload.id: upload for upload in found}


def find_by_version(conn: Connection, file_id: str, number: int) -> Upload | None:
    """Return the upload that is to make, or has made, the version of this number."""
    return _first(_BY_VERSION.first(conn, {"file": file_id, "version": number}))


def size_of_partials(conn: Connection, upload_id: str) -> tuple[int, int]:
    """Return how many bytes the living partial uploads of an upload may have together, and how many there are."""
    each = func.coalesce(uploads.c.size, uploads.c.length, uploads.c.max_size)
    living = and_(uploads.c.parent_id == upload_id, uploads.c.state.in_(_LIVING))
    row = conn.execute(select(func.coalesce(func.sum(each), 0), func.count()).where(living)).one()
    return row[0], row[1]


def end_for_file(conn: Connection, file_id: str) -> None:
    """Abort every living upload that is to make a version of this file."""
    living = and_(uploads.c.file_id == file_id, uploads.c.state.in_(_LIVING))
    conn.execute(update(uploads).where(living).values(state=UploadState.ABORTED.value, content=None))


def move_for_file(conn: Connection, file_id: str, path: str) -> None:
    """Let the uploads that a file is promised to go where it is now."""
    conn.execute(update(uploads).where(uploads.c.file_id == file_id).values(path=path))


def update_upload(conn: Connection, upload_id: str, **values: Any) -> None:
    """Change columns of one upload."""
    change(conn, uploads, upload_id, values)


@brief
def narrow(conn: Connection, upload_id: str, largest: int) -> None:
    """Let an upload take at most ``largest`` bytes."""
    update_upload(conn, upload_id, max_size=largest)


@brief
def touch(conn: Connection, upload_id: str, now: datetime) -> None:
    """Note that something came, or is coming, for an upload."""
    update_upload(conn, upload_id, touched_at=now)


def begin_part(conn: Connection, upload_id: str, number: int, block_id: str | None = None) -> bool:
    """Note that a part is being sent; True for the first time, when nothing else can be writing in its place."""
    if _BEGIN_AGAIN.first(conn, {"upload": upload_id, "part": number}) is not None:
        return False
    _INSERT_PART.run(conn, {"upload_id": upload_id, "number": number, "attempts": 1, "block_id": block_id})
    return True


def number_of_block(conn: Connection, upload_id: str, block_id: str) -> int:
    """Return the number that a block has among the pieces of its upload, or the next free one for a new block."""
    known = _NUMBER_OF_BLOCK.scalar(conn, {"upload": upload_id, "block": block_id})
    if known is not None:
        return int(known)
    last = _LAST_NUMBER.scalar(conn, {"upload": upload_id})
    return max(last or 0, LAST_PART) + 1


def list_blocks(conn: Connection, upload_id: str) -> list[Part]:
    """Return the blocks that have arrived, by id."""
    return [Part(*row) for row in _BLOCKS.all(conn, {"upload": upload_id})]


def count_pieces(conn: Connection, upload_id: str) -> int:
    """Return how many parts and blocks have arrived."""
    return int(_PIECES.scalar(conn, {"upload": upload_id}))


def find_block_list(conn: Connection, upload_id: str) -> list[int] | None:
    """Return the numbers of the blocks that make the file, in order; None while no list has."""
    found: list[int] | None = _BLOCK_LIST.scalar(conn, {"upload": upload_id})
    return found


def any_block(conn: Connection, upload_id: str) -> str | None:
    """Return the id of some block of the upload, begun or there."""
    found: str | None = _ANY_BLOCK.scalar(conn, {"upload": upload_id})
    return found


def delete_pieces(conn: Connection, upload_id: str, numbers: list[int]) -> None:
    """Forget pieces of an upload."""
    place = and_(parts.c.upload_id == upload_id, parts.c.number == bindparam("piece"))
    if numbers:
        conn.execute(delete(parts).where(place), [{"piece": number} for number in numbers])


def disown_parts(conn: Connection, upload_id: str, numbers: list[int]) -> None:
    """Forget that these parts have arrived, but not that they were begun: another attempt gets a place of its own."""
    place = and_(parts.c.upload_id == upload_id, parts.c.number == bindparam("piece"))
    nothing = {"offset": None, "size": None, "md5": None, "crc32c": None, "received_at": None}
    if numbers:
        size = select(func.sum(parts.c.size)).where(parts.c.upload_id == upload_id, parts.c.number.in_(numbers))
        count_bytes(conn, upload_id, -(conn.execute(size).scalar_one() or 0))
        conn.execute(update(parts).where(place).values(**nothing), [{"piece": number} for number in numbers])


def delete_all_pieces(conn: Connection, upload_id: str) -> None:
    """Forget every part and block of an upload."""
    conn.execute(delete(parts).where(parts.c.upload_id == upload_id))


def reserve(conn: Connection, upload_id: str, length: int) -> int:
    """Set ``length`` bytes aside at the end of the blob; return their offset."""
    end: int = _GROW.scalar(conn, {"upload": upload_id, "grown": length})
    return end - length


def put_part(conn: Connection, upload_id: str, part: Part) -> None:
    """Record that a part has arrived, in place of an earlier one with its number."""
    arrived = {name: getattr(part, name) for name in ("offset", "size", "md5", "crc32c", "received_at")}
    _PUT_PART.run(conn, {**arrived, "upload": upload_id, "part": part.number})


def count_bytes(conn: Connection, upload_id: str, added: int) -> int:
    """Add to how many bytes the parts and blocks of an upload have together, and return that."""
    total: int = _COUNT.scalar(conn, {"upload": upload_id, "added": added})
    return total


def find_part(conn: Connection, upload_id: str, number: int) -> Part | None:
    """Return a part that has arrived."""
    row = _PART.first(conn, {"upload": upload_id, "part": number})
    return None if row is None else Part(*row)


def list_parts(conn: Connection, upload_id: str, most: int = _ANY_NUMBER) -> list[Part]:
    """Return the parts that have arrived, by number, ``most`` at most."""
    return [Part(*row) for row in _PARTS.all(conn, {"upload": upload_id, "most": most})]


def list_idle(conn: Connection, before: datetime, limit: int) -> list[Upload]:
    """Return living uploads that got no bytes since ``before``."""
    query = _UPLOAD.where(uploads.c.state.in_(_LIVING), uploads.c.touched_at < before)
    return [_upload(row) for row in conn.execute(query.order_by(uploads.c.touched_at).limit(limit))]


def list_living(
    conn: Connection, organization_id: str, before_id: str | None, limit: int, reach: Reach = EVERYTHING
) -> list[tuple[Upload, int]]:
    """Return an organization's living uploads within reach, newest first, and how many bytes of each have come."""
    query = select(*_COLUMNS, uploads.c.pieces_size).where(
        uploads.c.organization_id == organization_id,
        uploads.c.state.in_(_LIVING),
        uploads.c.parent_id.is_(None),
        *of_uploads(reach),
    )
    if before_id is not None:
        query = query.where(uploads.c.id < before_id)
    found = []
    for *row, pieces in conn.execute(query.order_by(uploads.c.id.desc()).limit(limit)):
        upload = _upload(row)
        is_whole = upload.state is UploadState.RECEIVED
        found.append((upload, upload.size or 0 if is_whole else max(upload.offset, pieces)))
    return found


def list_freeable(conn: Connection, limit: int) -> list[str]:
    """Return blob keys of ended uploads whose bytes may still be in the store; versions may share some of them."""
    return list(conn.execute(select(uploads.c.blob_key).where(_TO_FREE).limit(limit)).scalars())


def mark_freed(conn: Connection, blob_keys: list[str]) -> None:
    """Record that these blobs of uploads are gone."""
    conn.execute(update(uploads).where(uploads.c.blob_key.in_(blob_keys)).values(blob_key=None))


def delete_ended(conn: Connection, before: datetime, limit: int, workspace_id: str | None = None) -> int:
    """Forget ended uploads without bytes, of one workspace or of all, last touched before ``before``; return how many."""
    ended = and_(uploads.c.state.in_(_ENDED), uploads.c.blob_key.is_(None), uploads.c.touched_at < before)
    if workspace_id is not None:
        ended = and_(ended, uploads.c.workspace_id == workspace_id)
    rows = conn.execute(select(uploads.c.id, uploads.c.version_id, uploads.c.state).where(ended).limit(limit)).all()
    ids = [row[0] for row in rows]
    never = [row[1] for row in rows if row[2] != UploadState.COMPLETED.value]
    if ids:
        conn.execute(delete(shared_blobs).where(shared_blobs.c.version_id.in_(never)))
        conn.execute(delete(parts).where(parts.c.upload_id.in_(ids)))
        conn.execute(delete(uploads).where(uploads.c.id.in_(ids)))
    return len(ids)


def count_living(conn: Connection) -> dict[str, int]:
    """Return how many uploads are in each state that is not an end."""
    query = select(uploads.c.state, func.count()).where(uploads.c.state.in_(_LIVING)).group_by(uploads.c.state)
    counted = {row[0]: row[1] for row in conn.execute(query)}
    return {state: counted.get(state, 0) for state in _LIVING}


def find_writer(conn: Connection, upload_id: str) -> tuple[str | None, bool]:
    """Return which request is writing the upload's stream, and whether another waits for it to stop."""
    row = _WRITER.first(conn, {"upload": upload_id})
    return (None, False) if row is None else (row[0], row[1])


def ask_writer(conn: Connection, upload_id: str) -> None:
    """Note that another request waits for the one that is writing to stop."""
    update_upload(conn, upload_id, writer_asked=True)


def _first(row: Sequence[Any] | None) -> Upload | None:
    return None if row is None else _upload(row)


def _upload(row: Sequence[Any]) -> Upload:
    values = dict(zip(Upload.__struct_fields__, row, strict=False))
    stream = values["stream"]
    typed = {
        "state": UploadState(values["state"]),
        "stream": None if stream is None else msgspec.convert(stream, Stream),
    }
    return Upload(**{**values, **typed})


def _row(upload: Upload) -> dict[str, Any]:
    row = {_RENAMED.get(name, name): getattr(upload, name) for name in Upload.__struct_fields__}
    return {**row, "stream": None if upload.stream is None else msgspec.to_builtins(upload.stream)}
