"""Queries of what clients send to the store themselves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from fileferry.db.schema import direct_uploads, uploads
from fileferry.db.statements import Kept
from fileferry.db.writer import brief
from fileferry.model import UploadState

_BY_UPLOAD = Kept(select(*direct_uploads.c).where(direct_uploads.c.upload_id == bindparam("upload")))
_ENDED = (UploadState.COMPLETED.value, UploadState.ABORTED.value, UploadState.EXPIRED.value)


class DirectUpload(msgspec.Struct, frozen=True):
    """An upload that the store was told of. ``store_name`` is the store's own for the parts of the blob.

    ``pinned`` is the name of the promised digest to which all its URLs hold the store; None for none.
    """

    upload_id: str
    blob_key: str
    store_name: str
    pinned: str | None = None


def insert_all(conn: Connection, found: Sequence[DirectUpload]) -> None:
    """Record uploads that the store was told of."""
    conn.execute(insert(direct_uploads), [msgspec.structs.asdict(one) for one in found])


def find(conn: Connection, upload_id: str) -> DirectUpload | None:
    """Return what the store was told of an upload; None where that was nothing."""
    row = _BY_UPLOAD.first(conn, {"upload": upload_id})
    return None if row is None else DirectUpload(*row)


def list_ended(conn: Connection, limit: int) -> list[DirectUpload]:
    """Return those that have ended, or whose upload is forgotten."""
    joined = direct_uploads.outerjoin(uploads, uploads.c.id == direct_uploads.c.upload_id)
    over = or_(uploads.c.id.is_(None), uploads.c.state.in_(_ENDED))
    query = select(*direct_uploads.c).select_from(joined).where(over).limit(limit)
    return [DirectUpload(*row) for row in conn.execute(query)]


@brief
def forget(conn: Connection, upload_ids: Sequence[str]) -> None:
    """Forget what the store was told of uploads."""
    conn.execute(delete(direct_uploads).where(direct_uploads.c.upload_id.in_(upload_ids)))
