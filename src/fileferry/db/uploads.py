"""Queries of uploads with a ticket, and of their parts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, or_, select, update

from fileferry.db.schema import Instant, keys, parts, uploads
from fileferry.model import Part, Upload, UploadState

_INSERT = insert(uploads)
_COLUMNS = [getattr(uploads.c, name) for name in Upload.__struct_fields__]
_UPLOAD = select(*_COLUMNS)
_BY_ID = _UPLOAD.where(uploads.c.id == bindparam("upload"))
_NOW = bindparam("now", type_=Instant)
_USABLE = _BY_ID.join(keys, keys.c.id == uploads.c.key_id).where(
    keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > _NOW)
)
_LIVING = (UploadState.OPEN.value, UploadState.RECEIVED.value)
_PARTS = (
    select(parts.c.number, parts.c.offset, parts.c.size, parts.c.md5, parts.c.crc32c, parts.c.received_at)
    .where(parts.c.upload_id == bindparam("upload"), parts.c.received_at.is_not(None))
    .order_by(parts.c.number)
)
_PART = _PARTS.where(parts.c.number == bindparam("part"))
_BEGIN_AGAIN = (
    update(parts)
    .where(parts.c.upload_id == bindparam("upload"), parts.c.number == bindparam("part"))
    .values(attempts=parts.c.attempts + 1)
)
_INSERT_PART = insert(parts)
_GROW = (
    update(uploads)
    .where(uploads.c.id == bindparam("upload"))
    .values(tail=uploads.c.tail + bindparam("length"))
    .returning(uploads.c.tail)
)


def insert_uploads(conn: Connection, new: list[Upload]) -> None:
    """Add uploads, all in one statement."""
    conn.execute(_INSERT, [{name: getattr(upload, name) for name in Upload.__struct_fields__} for upload in new])


def find(conn: Connection, upload_id: str) -> Upload | None:
    """Return an upload by its id."""
    return _first(conn.execute(_BY_ID, {"upload": upload_id}).first())


def find_usable(conn: Connection, upload_id: str, now: datetime) -> Upload | None:
    """Return an upload by its id if the key that its ticket was made with is still good."""
    return _first(conn.execute(_USABLE, {"upload": upload_id, "now": now}).first())


def find_by_multipart(conn: Connection, multipart_id: str) -> Upload | None:
    """Return the upload with this multipart id."""
    return _first(conn.execute(_UPLOAD.where(uploads.c.multipart_id == multipart_id)).first())


def find_by_files(conn: Connection, organization_id: str, file_ids: list[str]) -> dict[str, Upload]:
    """Return the organization's uploads that are to make these files, by file id."""
    query = _UPLOAD.where(uploads.c.organization_id == organization_id, uploads.c.file_id.in_(file_ids))
    found = [_upload(row) for row in conn.execute(query)]
    return {upload.file_id: upload for upload in found}


def update_upload(conn: Connection, upload_id: str, **values: Any) -> None:
    """Change columns of one upload."""
    conn.execute(update(uploads).where(uploads.c.id == upload_id).values(**values))


def begin_part(conn: Connection, upload_id: str, number: int) -> bool:
    """Note that a part is being sent; True for the first time, when nothing else can be writing in its place."""
    if conn.execute(_BEGIN_AGAIN, {"upload": upload_id, "part": number}).rowcount:
        return False
    conn.execute(_INSERT_PART, {"upload_id": upload_id, "number": number, "attempts": 1})
    return True


def reserve(conn: Connection, upload_id: str, length: int) -> int:
    """Set ``length`` bytes aside at the end of the blob; return their offset."""
    end: int = conn.execute(_GROW, {"upload": upload_id, "length": length}).scalar_one()
    return end - length


def put_part(conn: Connection, upload_id: str, part: Part) -> None:
    """Record that a part has arrived, in place of an earlier one with its number."""
    conn.execute(
        update(parts)
        .where(parts.c.upload_id == upload_id, parts.c.number == part.number)
        .values(offset=part.offset, size=part.size, md5=part.md5, crc32c=part.crc32c, received_at=part.received_at)
    )


def size_of_others(conn: Connection, upload_id: str, number: int) -> int:
    """Return how many bytes have arrived in the upload's parts other than ``number``."""
    query = select(func.coalesce(func.sum(parts.c.size), 0)).where(
        parts.c.upload_id == upload_id, parts.c.number != number
    )
    total: int = conn.execute(query).scalar_one()
    return total


def find_part(conn: Connection, upload_id: str, number: int) -> Part | None:
    """Return a part that has arrived."""
    row = conn.execute(_PART, {"upload": upload_id, "part": number}).first()
    return None if row is None else Part(*row)


def list_parts(conn: Connection, upload_id: str) -> list[Part]:
    """Return the parts that have arrived, by number."""
    return [Part(*row) for row in conn.execute(_PARTS, {"upload": upload_id})]


def list_idle(conn: Connection, before: datetime, limit: int) -> list[Upload]:
    """Return living uploads that got no bytes since ``before``."""
    query = _UPLOAD.where(uploads.c.state.in_(_LIVING), uploads.c.touched_at < before)
    return [_upload(row) for row in conn.execute(query.order_by(uploads.c.touched_at).limit(limit))]


def list_freeable(conn: Connection, limit: int) -> list[str]:
    """Return blob keys of ended uploads whose bytes may still be in the store."""
    ended = and_(uploads.c.state.not_in(_LIVING), uploads.c.blob_key.is_not(None))
    return list(conn.execute(select(uploads.c.blob_key).where(ended).limit(limit)).scalars())


def mark_freed(conn: Connection, blob_keys: list[str]) -> None:
    """Record that these blobs of uploads are gone."""
    conn.execute(update(uploads).where(uploads.c.blob_key.in_(blob_keys)).values(blob_key=None))


def delete_ended(conn: Connection, before: datetime, limit: int) -> int:
    """Forget ended uploads without bytes that were last touched before ``before``; return how many."""
    ended = and_(uploads.c.state.not_in(_LIVING), uploads.c.blob_key.is_(None), uploads.c.touched_at < before)
    ids = list(conn.execute(select(uploads.c.id).where(ended).limit(limit)).scalars())
    if ids:
        conn.execute(delete(parts).where(parts.c.upload_id.in_(ids)))
        conn.execute(delete(uploads).where(uploads.c.id.in_(ids)))
    return len(ids)


def count_living(conn: Connection) -> dict[str, int]:
    """Return how many uploads are in each state that is not an end."""
    query = select(uploads.c.state, func.count()).where(uploads.c.state.in_(_LIVING)).group_by(uploads.c.state)
    counted = {row[0]: row[1] for row in conn.execute(query)}
    return {state: counted.get(state, 0) for state in _LIVING}


def _first(row: Row[Any] | None) -> Upload | None:
    return None if row is None else _upload(row)


def _upload(row: Row[Any]) -> Upload:
    values = dict(row._mapping)
    return Upload(**{**values, "state": UploadState(values["state"])})
