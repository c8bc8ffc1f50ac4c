"""Queries of shares and of the files that they list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from fileferry.db.file_rows import CURRENT, living, read_all
from fileferry.db.schema import files, share_files, shares
from fileferry.model import Share, StoredFile

_NAMES = Share.__struct_fields__
_SHARE = select(*(getattr(shares.c, name) for name in _NAMES))


def insert_share(conn: Connection, share: Share, file_ids: Sequence[str]) -> None:
    """Add a share with its list of files, which is empty for that of a folder."""
    conn.execute(insert(shares), {name: getattr(share, name) for name in _NAMES})
    put_files(conn, share.id, file_ids)


def put_files(conn: Connection, share_id: str, file_ids: Sequence[str]) -> None:
    """Let a share have this list of files, and no other."""
    conn.execute(delete(share_files).where(share_files.c.share_id == share_id))
    rows = [{"share_id": share_id, "position": place, "file_id": id} for place, id in enumerate(file_ids)]
    if rows:
        conn.execute(insert(share_files), rows)


def find(conn: Connection, share_id: str) -> Share | None:
    """Return a share by its id."""
    return _first(conn, shares.c.id == share_id)


def find_by_token(conn: Connection, token: str) -> Share | None:
    """Return a share by what its link carries."""
    return _first(conn, shares.c.token == token)


def list_shares(
    conn: Connection, organization_id: str, key_id: str | None, end_user: str | None, before: str | None, limit: int
) -> list[Share]:
    """Return an organization's shares, newest first, those older than ``before``: all, or those of a key and an end user."""
    query = _SHARE.where(shares.c.organization_id == organization_id)
    if key_id is not None:
        query = query.where(shares.c.key_id == key_id, shares.c.end_user.is_not_distinct_from(end_user))
    if before is not None:
        query = query.where(shares.c.id < before)
    return [_share(row) for row in conn.execute(query.order_by(shares.c.id.desc()).limit(limit))]


def list_file_ids(conn: Connection, share_id: str) -> list[str]:
    """Return the files that a share lists, in its order, whatever became of them."""
    query = select(share_files.c.file_id).where(share_files.c.share_id == share_id)
    return list(conn.execute(query.order_by(share_files.c.position)).scalars())


def list_files(conn: Connection, share_id: str, now: datetime) -> list[StoredFile]:
    """Return the living files that a share lists, in its order."""
    query = CURRENT.join(share_files, share_files.c.file_id == files.c.id)
    query = query.where(share_files.c.share_id == share_id, *living(now))
    return read_all(conn, query.order_by(share_files.c.position))


def lists(conn: Connection, share_id: str, file_id: str) -> bool:
    """Whether a file is in the list of a share."""
    query = select(share_files.c.position).where(share_files.c.share_id == share_id, share_files.c.file_id == file_id)
    return conn.execute(query).first() is not None


def update_share(conn: Connection, share_id: str, **values: Any) -> None:
    """Change columns of one share."""
    conn.execute(update(shares).where(shares.c.id == share_id).values(**values))


def count_download(conn: Connection, share_id: str, now: datetime) -> bool:
    """Count a download; False where there may be no more, or the share is gone."""
    left = or_(shares.c.max_downloads.is_(None), shares.c.downloads < shares.c.max_downloads)
    counted = update(shares).where(shares.c.id == share_id, left)
    return conn.execute(counted.values(downloads=shares.c.downloads + 1, last_downloaded_at=now)).rowcount == 1


def delete_shares(conn: Connection, share_ids: Sequence[str]) -> None:
    """Remove shares with their lists."""
    conn.execute(delete(share_files).where(share_files.c.share_id.in_(share_ids)))
    conn.execute(delete(shares).where(shares.c.id.in_(share_ids)))


def delete_expired(conn: Connection, before: datetime, limit: int) -> int:
    """Forget shares that ended before ``before``; return how many."""
    ended = select(shares.c.id).where(shares.c.expires_at < before).limit(limit)
    ids = list(conn.execute(ended).scalars())
    if ids:
        delete_shares(conn, ids)
    return len(ids)


def count(conn: Connection, organization_id: str) -> int:
    """Return how many shares an organization has."""
    query = select(func.count()).where(shares.c.organization_id == organization_id)
    return int(conn.execute(query).scalar_one())


def _first(conn: Connection, condition: Any) -> Share | None:
    row = conn.execute(_SHARE.where(condition)).first()
    return None if row is None else _share(row)


def _share(row: Sequence[Any]) -> Share:
    return Share(**dict(zip(_NAMES, row, strict=True)))
