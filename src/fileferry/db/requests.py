"""Queries of requests for files, and of what is sent for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from fileferry.db.schema import file_requests, files, sent_files, uploads, versions
from fileferry.model import FileRequest, SentFile, State, UploadState

_NAMES = FileRequest.__struct_fields__
_REQUEST = select(*(getattr(file_requests.c, name) for name in _NAMES))
_SENT = select(*(getattr(sent_files.c, name) for name in SentFile.__struct_fields__))
_UNDER_WAY = uploads.c.state.in_((UploadState.OPEN.value, UploadState.RECEIVED.value))


def insert_request(conn: Connection, request: FileRequest) -> None:
    """Add a request."""
    conn.execute(insert(file_requests), {name: getattr(request, name) for name in _NAMES})


def find(conn: Connection, request_id: str) -> FileRequest | None:
    """Return a request by its id."""
    return _first(conn, file_requests.c.id == request_id)


def find_by_token(conn: Connection, token: str) -> FileRequest | None:
    """Return a request by what its link carries."""
    return _first(conn, file_requests.c.token == token)


def list_requests(
    conn: Connection, organization_id: str, key_id: str | None, end_user: str | None, before: str | None, limit: int
) -> list[FileRequest]:
    """Return an organization's requests, newest first, those older than ``before``: all, or those of a key and an end user."""
    query = _REQUEST.where(file_requests.c.organization_id == organization_id)
    if key_id is not None:
        query = query.where(file_requests.c.key_id == key_id, file_requests.c.end_user.is_not_distinct_from(end_user))
    if before is not None:
        query = query.where(file_requests.c.id < before)
    return [_request(row) for row in conn.execute(query.order_by(file_requests.c.id.desc()).limit(limit))]


def update_request(conn: Connection, request_id: str, **values: Any) -> None:
    """Change columns of one request."""
    conn.execute(update(file_requests).where(file_requests.c.id == request_id).values(**values))


def delete_requests(conn: Connection, request_ids: Sequence[str]) -> None:
    """Remove requests with what is known of their senders, and end what is under way for them; what has arrived stays."""
    ended = {"state": UploadState.ABORTED.value, "content": None}
    conn.execute(update(uploads).where(uploads.c.request_id.in_(request_ids), _UNDER_WAY).values(**ended))
    conn.execute(delete(sent_files).where(sent_files.c.request_id.in_(request_ids)))
    conn.execute(delete(file_requests).where(file_requests.c.id.in_(request_ids)))


def delete_of_workspace(conn: Connection, workspace_id: str) -> None:
    """Remove every request for files of a workspace."""
    ids = list(conn.execute(select(file_requests.c.id).where(file_requests.c.workspace_id == workspace_id)).scalars())
    delete_requests(conn, ids)


def delete_expired(conn: Connection, before: datetime, limit: int) -> int:
    """Forget requests that ended before ``before``; return how many."""
    ended = select(file_requests.c.id).where(file_requests.c.expires_at < before).limit(limit)
    ids = list(conn.execute(ended).scalars())
    if ids:
        delete_requests(conn, ids)
    return len(ids)


def count(conn: Connection, organization_id: str) -> int:
    """Return how many requests an organization has."""
    query = select(func.count()).where(file_requests.c.organization_id == organization_id)
    return int(conn.execute(query).scalar_one())


def count_under_way(conn: Connection, request_id: str) -> int:
    """Return how many files are being sent for a request, and hold all others up who want to begin one at the same time."""
    conn.execute(select(file_requests.c.id).where(file_requests.c.id == request_id).with_for_update()).all()
    living = select(func.count()).select_from(uploads).where(uploads.c.request_id == request_id, _UNDER_WAY)
    return int(conn.execute(living.where(uploads.c.parent_id.is_(None))).scalar_one())


def insert_sent(conn: Connection, sent: SentFile) -> None:
    """Note that somebody begins to send a file."""
    conn.execute(insert(sent_files), {name: getattr(sent, name) for name in SentFile.__struct_fields__})


def arrive(conn: Connection, request_id: str, upload_id: str, size: int, now: datetime) -> None:
    """Note that a file is there whole, of ``size`` bytes."""
    place = and_(sent_files.c.request_id == request_id, sent_files.c.upload_id == upload_id)
    conn.execute(update(sent_files).where(place).values(arrived_at=now))
    total = {
        "received": file_requests.c.received + 1,
        "received_bytes": file_requests.c.received_bytes + size,
        "last_received_at": now,
    }
    conn.execute(update(file_requests).where(file_requests.c.id == request_id).values(**total))


def list_arrived(
    conn: Connection, request_id: str, visitor: str | None, after: str, limit: int
) -> list[tuple[SentFile, State | None, str | None, int | None]]:
    """Return what has arrived for a request, in order of its uploads, past the upload ``after``: of one visitor, or of all (None).

    Each comes with the state of its file's current version, why that was rejected, and its size; with None where it is no more.
    """
    query = (
        _SENT.add_columns(versions.c.state, versions.c.reason, versions.c.size)
        .outerjoin(files, and_(files.c.id == sent_files.c.file_id, files.c.deleted_at.is_(None)))
        .outerjoin(versions, versions.c.id == files.c.current_version_id)
        .where(sent_files.c.request_id == request_id, sent_files.c.arrived_at.is_not(None))
        .where(sent_files.c.upload_id > after)
    )
    if visitor is not None:
        query = query.where(sent_files.c.visitor == visitor)
    rows = conn.execute(query.order_by(sent_files.c.upload_id).limit(limit)).all()
    return [(SentFile(*row[:-3]), None if row[-3] is None else State(row[-3]), row[-2], row[-1]) for row in rows]


def close(conn: Connection, request_id: str, visitor: str, now: datetime) -> int:
    """Note that what has arrived of a visitor was all; return how many files that are which were not noted before."""
    arrived = and_(sent_files.c.arrived_at.is_not(None), sent_files.c.closed_at.is_(None))
    of_visitor = and_(sent_files.c.request_id == request_id, sent_files.c.visitor == visitor)
    return conn.execute(update(sent_files).where(of_visitor, arrived).values(closed_at=now)).rowcount


def _first(conn: Connection, condition: Any) -> FileRequest | None:
    row = conn.execute(_REQUEST.where(condition)).first()
    return None if row is None else _request(row)


def _request(row: Sequence[Any]) -> FileRequest:
    values = dict(zip(_NAMES, row, strict=True))
    types = values["types"]
    return FileRequest(**{**values, "types": None if types is None else tuple(types)})
