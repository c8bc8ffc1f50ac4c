"""Queries of versions that wait to be judged or scanned again, and of who is at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Boolean, Connection, and_, bindparam, delete, func, insert, or_, select, text, update

from fileferry.db.notices import tell
from fileferry.db.schema import Instant, jobs, versions
from fileferry.db.statements import Kept
from fileferry.model import Rules

_INSERT = Kept(insert(jobs))
_NOW = bindparam("now", type_=Instant)
# What must be scanned is due only for those who can.
_SUITABLE = or_(jobs.c.needs_scanner.is_(False), bindparam("can_scan", type_=Boolean).is_(True))
_DUE = select(jobs.c.version_id, jobs.c.holder).where(jobs.c.run_at <= _NOW, _SUITABLE).order_by(jobs.c.run_at)
_DUE = _DUE.limit(bindparam("most"))
_FIRST_DUE = Kept(_DUE.where(jobs.c.rules.is_not(None)))
_AGAIN_DUE = Kept(_DUE.where(jobs.c.rules.is_(None)))
_ANY_DUE = Kept(_DUE)
_TAKE_UP = Kept(
    update(jobs)
    .where(jobs.c.version_id == bindparam("version"))
    .values(
        run_at=bindparam("until", type_=Instant),
        holder=bindparam("holder_id"),
        attempts=jobs.c.attempts + bindparam("more"),
    )
    .returning(jobs.c.version_id, jobs.c.rules, jobs.c.created_at, jobs.c.attempts)
)
_HELD = (jobs.c.version_id == bindparam("version"), jobs.c.holder == bindparam("holder_id"))
_BEGIN = Kept(update(jobs).where(*_HELD).values(attempts=jobs.c.attempts + 1).returning(jobs.c.attempts))
_DROP = Kept(delete(jobs).where(*_HELD).returning(jobs.c.version_id))
_PROLONG = Kept(
    update(jobs).where(*_HELD).values(run_at=bindparam("until", type_=Instant)).returning(jobs.c.version_id)
)


class Job(msgspec.Struct, frozen=True):
    """A version to be judged by ``rules``, or to be scanned again where there are none; ``attempts`` counts this one.

    One that ``is_left`` was claimed by a process that died, of this or of something else: this attempt counts from ``begin`` on.
    """

    version_id: str
    rules: Rules | None
    created_at: datetime
    attempts: int
    is_left: bool = False


def enqueue(
    conn: Connection, version_id: str, rules: Rules | None, now: datetime, metadata: dict[str, Any] | None = None
) -> None:
    """Let a version be judged, or scanned again."""
    tell(conn)
    _INSERT.run(
        conn,
        {
            "version_id": version_id,
            "rules": None if rules is None else msgspec.to_builtins(rules),
            "needs_scanner": rules is None or rules.scan,
            "metadata": metadata,
            "run_at": now,
            "attempts": 0,
            "created_at": now,
        },
    )


def is_due(conn: Connection, now: datetime, can_scan: bool) -> bool:
    """Whether there is a job to take up, for somebody who has a scanner or has none."""
    return _ANY_DUE.first(conn, {"now": now, "most": 1, "can_scan": can_scan}) is not None


def waits_since(conn: Connection) -> datetime | None:
    """Return since when the job that is longest due has waited to be taken up, or to be taken up again."""
    since: datetime | None = conn.execute(select(func.min(jobs.c.run_at))).scalar_one()
    return since


def claim(
    conn: Connection, holder: str, now: datetime, until: datetime, limit: int, can_scan: bool = True
) -> list[Job]:
    """Take up the jobs that are longest due, until ``until``; a holder that is gone by then leaves them to others.

    What was never judged goes before what is scanned again: somebody waits for it. What must be scanned is left to those
    who can.
    """
    asked = {"now": now, "can_scan": can_scan}
    due = _FIRST_DUE.all(conn, {**asked, "most": limit})
    due += _AGAIN_DUE.all(conn, {**asked, "most": limit - len(due)})
    taken = []
    for version_id, left_by in due:
        is_left = left_by is not None
        given = {"version": version_id, "until": until, "holder_id": holder, "more": 0 if is_left else 1}
        row = _TAKE_UP.first(conn, given)
        assert row is not None, "it was due just now"
        rules = None if row[1] is None else msgspec.convert(row[1], Rules)
        taken.append(Job(row[0], rules, row[2], row[3], is_left))
    return taken


def begin(conn: Connection, version_id: str, holder: str) -> int | None:
    """Count an attempt at a job that another has left, and return which it is; None where somebody else has it by now."""
    attempts: int | None = _BEGIN.scalar(conn, {"version": version_id, "holder_id": holder})
    return attempts


def release(conn: Connection, holder: str, now: datetime) -> None:
    """Leave what a holder has not ended to others at once, as if it had not been taken up."""
    values = {"run_at": now, "holder": None, "attempts": jobs.c.attempts - 1}
    conn.execute(update(jobs).where(jobs.c.holder == holder).values(**values))


def prolong(conn: Connection, version_id: str, holder: str, until: datetime) -> bool:
    """Keep a job for longer; False where another has it by now."""
    given = {"version": version_id, "holder_id": holder, "until": until}
    return _PROLONG.first(conn, given) is not None


def finish(conn: Connection, version_id: str, holder: str) -> bool:
    """Drop a job that is done; False where it is another's by now, whose outcome is to count."""
    return _DROP.first(conn, {"version": version_id, "holder_id": holder}) is not None


def put_off(
    conn: Connection, version_id: str, holder: str, until: datetime, error: str, *, attempted: bool = True
) -> None:
    """Leave a job for later, saying why; one that was not ``attempted`` is not counted as if it were."""
    again = jobs.c.attempts if attempted else jobs.c.attempts - 1
    values = {"run_at": until, "holder": None, "last_error": error[:255], "attempts": again}
    conn.execute(update(jobs).where(jobs.c.version_id == version_id, jobs.c.holder == holder).values(**values))


def change_metadata(conn: Connection, file_id: str, metadata: dict[str, Any]) -> None:
    """Let a file's metadata be this whichever of its waiting versions takes the place of another."""
    of_file = select(versions.c.id).where(versions.c.file_id == file_id)
    waiting = and_(jobs.c.rules.is_not(None), jobs.c.version_id.in_(of_file))
    conn.execute(update(jobs).where(waiting).values(metadata=metadata))


def find_metadata(conn: Connection, version_id: str) -> dict[str, Any] | None:
    """Return what the file's metadata is to be, as the job says now."""
    found: dict[str, Any] | None = conn.execute(
        select(jobs.c.metadata).where(jobs.c.version_id == version_id)
    ).scalar_one_or_none()
    return found


def cancel(conn: Connection, version_ids: Sequence[str]) -> None:
    """Drop the jobs of versions that have ended."""
    conn.execute(delete(jobs).where(jobs.c.version_id.in_(version_ids)))


def count(conn: Connection) -> int:
    """Return how many jobs there are."""
    return int(conn.execute(select(func.count()).select_from(jobs)).scalar_one())


def list_to_rescan(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return ids of ready versions whose next scan is due."""
    # In the words of the index, or SQLite does not use it.
    due = text("state = 'ready' AND rescan_at IS NOT NULL")
    query = select(versions.c.id).where(due, versions.c.rescan_at <= now)
    return list(conn.execute(query.order_by(versions.c.rescan_at).limit(limit)).scalars())
