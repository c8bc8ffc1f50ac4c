"""Queries of usage: how much of what is kept counts against a limit. Only who has such a limit has a row.

Every version that is kept counts its size and one file, that of a deleted file too while it can be restored. Rows are made by
counting, and from then on follow each version that comes or ends, in the same transaction.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from fileferry.db.schema import files, usage, versions
from fileferry.db.statements import Kept
from fileferry.model import File, State, Version

_ENDED = [state.value for state in (State.EXPIRED, State.DELETED, State.REJECTED)]
KEPT = versions.c.state.not_in(_ENDED)
"""That a version counts."""

_ROW = Kept(select(usage.c.bytes, usage.c.files).where(usage.c.subject == bindparam("of")))
_ANY = Kept(select(usage.c.subject).limit(1))
_COUNT = Kept(
    update(usage)
    .where(usage.c.subject.in_([bindparam(f"subject{number}") for number in range(4)]))
    .values(bytes=usage.c.bytes + bindparam("more_bytes"), files=usage.c.files + bindparam("more_files"))
)
_OWNERS = (files.c.organization_id, files.c.workspace_id, versions.c.key_id, files.c.end_user)
_SUMS = (func.coalesce(func.sum(versions.c.size), 0), func.count())


class Usage(msgspec.Struct, frozen=True):
    """What somebody keeps: bytes, and versions of files, each counting as one file."""

    bytes: int
    files: int


def total(conn: Connection) -> Usage:
    """Return what all organizations keep together. Looks at every version."""
    size, count = conn.execute(select(*_SUMS).where(KEPT)).one()
    return Usage(int(size), count)


def of_organization(organization_id: str) -> str:
    """Return the name of an organization in this table."""
    return f"organization:{organization_id}"


def of_workspace(workspace_id: str) -> str:
    """Return the name of a workspace in this table."""
    return f"workspace:{workspace_id}"


def of_key(key_id: str) -> str:
    """Return the name of a key in this table."""
    return f"key:{key_id}"


def of_end_user(organization_id: str, end_user: str) -> str:
    """Return the name of an end user in this table."""
    return f"end_user:{organization_id}:{end_user}"


def add(conn: Connection, file: File, version: Version) -> None:
    """Count a version that is kept from now on."""
    _count(conn, (file.organization_id, file.workspace_id, version.key_id, file.end_user), version.size, 1)


def end(conn: Connection, ending: Any) -> None:
    """Count off the versions that ``ending``, a condition on their table, is true of, before their state is changed."""
    if _ANY.first(conn) is None:
        return
    query = select(*_OWNERS, *_SUMS).join_from(versions, files, files.c.id == versions.c.file_id)
    for *owners, size, count in conn.execute(query.where(KEPT, ending).group_by(*_OWNERS)).all():
        _count(conn, tuple(owners), -size, -count)


def find(conn: Connection, subject: str) -> Usage | None:
    """Return somebody's row, where there is one."""
    row = _ROW.first(conn, {"of": subject})
    return None if row is None else Usage(*row)


def count(conn: Connection, subject: str) -> Usage:
    """Count what somebody keeps, file by file."""
    query = select(*_SUMS).select_from(files).join(versions, versions.c.file_id == files.c.id)
    size, number = conn.execute(query.where(KEPT, _owned(subject))).one()
    return Usage(int(size), number)  # PostgreSQL's sum is a Decimal


def recount(conn: Connection, subject: str) -> Usage:
    """Make somebody's row anew, by counting."""
    forget(conn, subject)
    counted = count(conn, subject)
    conn.execute(insert(usage), {"subject": subject, "bytes": counted.bytes, "files": counted.files})
    return counted


def forget(conn: Connection, subject: str) -> None:
    """Remove somebody's row."""
    conn.execute(delete(usage).where(usage.c.subject == subject))


def forget_end_users(conn: Connection, organization_id: str) -> None:
    """Remove the rows of all end users of an organization."""
    first = of_end_user(organization_id, "")
    # ";" is the character after ":".
    conn.execute(delete(usage).where(usage.c.subject >= first, usage.c.subject < first[:-1] + ";"))


def list_all(conn: Connection) -> dict[str, Usage]:
    """Return every row by its subject."""
    return {row[0]: Usage(row[1], row[2]) for row in conn.execute(select(*usage.c))}


def _count(conn: Connection, owners: tuple[str, str, str | None, str | None], size: int, number: int) -> None:
    organization_id, workspace_id, key_id, end_user = owners
    subjects = {
        "subject0": of_organization(organization_id),
        "subject1": of_workspace(workspace_id),
        "subject2": "" if key_id is None else of_key(key_id),
        "subject3": "" if end_user is None else of_end_user(organization_id, end_user),
    }
    _COUNT.run(conn, {**subjects, "more_bytes": size, "more_files": number})


def _owned(subject: str) -> Any:
    kind, _, id = subject.partition(":")
    if kind == "organization":
        return files.c.organization_id == id
    if kind == "workspace":
        return files.c.workspace_id == id
    if kind == "key":
        return versions.c.key_id == id
    organization_id, _, end_user = id.partition(":")
    return and_(files.c.organization_id == organization_id, files.c.end_user == end_user)
