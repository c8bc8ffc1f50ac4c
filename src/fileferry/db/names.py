"""Files by a part of their name, through an index that is filled some time after them: decision 0053.

What it does not have yet is known from the outbox and the queue of what is to be judged, and is looked at file by file. So it only
says which files need not be looked at: whether a name has the part is asked of the file itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, column, func, insert, select, table, true, union_all, update

from fileferry.db.letters import as_pattern, lowered
from fileferry.db.schema import events, files, jobs, names, names_progress, versions
from fileferry.db.statements import Kept

SHORTEST = 3
"""Characters that a part has at least for the index to know it."""
_MOST = 10_000
# After these a file is seen that was not seen before. One that waits to be judged is seen and has no event yet.
_SEEN = ("file.ready", "file.rejected")
_HOW_FAR = Kept(
    select(names_progress.c.file_id, names_progress.c.event_id, select(func.max(events.c.id)).scalar_subquery())
)
_INDEX = table("names_index", column("rowid"), column("names_index"))


def candidates(conn: Connection, part: str) -> Any:
    """Return a query of the ids of files whose name may have this part, which is in small letters; None to look at all of them.

    That is best where the part is short, where the index does not have the old files yet, and where there are very many.
    """
    if len(part) < SHORTEST or "\0" in part:
        return None
    progress = conn.execute(select(names_progress)).first()
    if progress is None or progress.file_id is not None:
        return None
    fresh = events.c.id > progress.event_id, events.c.type.in_(_SEEN)
    found = union_all(
        select(names.c.file_id).where(_has(conn, part)),
        select(events.c.file_id).where(*fresh),
        select(versions.c.file_id).where(versions.c.id.in_(select(jobs.c.version_id))),
    )
    some = select(func.count()).select_from(found.limit(_MOST + 1).subquery())
    return found if conn.execute(some).scalar_one() <= _MOST else None


def take_up(conn: Connection, limit: int) -> bool:
    """Take up some files that the index does not have yet; return whether there may be more."""
    progress = conn.execute(select(names_progress)).first()
    if progress is None:
        return False
    if progress.file_id is not None:
        return _walk(conn, progress.file_id, limit)
    newest = conn.execute(select(func.max(events.c.id))).scalar() or 0
    query = select(events.c.id, events.c.file_id).where(events.c.id > progress.event_id, events.c.type.in_(_SEEN))
    found = conn.execute(query.order_by(events.c.id).limit(limit)).all()
    if found:
        _add(conn, files.c.id.in_({row.file_id for row in found}))
    is_cut = len(found) == limit
    reached = found[-1].id if is_cut else newest
    if reached > progress.event_id:
        _move(conn, event_id=reached)
    return is_cut


def is_behind(conn: Connection, by: int) -> bool:
    """Whether there are more than so many events whose files the index does not have yet, or files from before."""
    row = _HOW_FAR.first(conn)
    return row is not None and (row[0] is not None or (row[2] or 0) > row[1] + by)


def _walk(conn: Connection, after_id: str, limit: int) -> bool:
    """Take up files from before there was an index, in order of id."""
    ids = list(
        conn.execute(select(files.c.id).where(files.c.id > after_id).order_by(files.c.id).limit(limit)).scalars()
    )
    if ids:
        _add(conn, files.c.id.in_(ids))
    _move(conn, file_id=ids[-1] if len(ids) == limit else None)
    return True


def _add(conn: Connection, these: Any) -> None:
    is_there = select(names.c.number).where(names.c.file_id == files.c.id).exists()
    absent = select(files.c.id, lowered(files.c.name)).where(these, ~is_there)
    conn.execute(insert(names).from_select(["file_id", "name"], absent))


def _move(conn: Connection, **values: Any) -> None:
    conn.execute(update(names_progress).where(true()).values(**values))


def _has(conn: Connection, part: str) -> Any:
    if conn.dialect.name == "sqlite":
        phrase = '"{}"'.format(part.replace('"', '""'))
        return names.c.number.in_(select(_INDEX.c.rowid).where(_INDEX.c.names_index.op("MATCH")(phrase)))
    return names.c.name.like(f"%{as_pattern(part)}%")
