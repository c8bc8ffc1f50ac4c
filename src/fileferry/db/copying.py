"""Copying a SQLite database to an empty PostgreSQL: page by page, to be gone on with after any end, and compared row by row.

Until all is compared the copy has no number of a schema, so that no server takes it for a database.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, MetaData, Select, String, Table, func, insert, inspect, select, text, tuple_
from sqlalchemy import update as sql_update

from fileferry.db import sessions
from fileferry.db.connections import path_of, writer_engine
from fileferry.db.database import holders_of
from fileferry.db.failures import translated
from fileferry.db.migration import NEWEST, make_tables, record_newest, revision
from fileferry.db.postgresql_schema import have_the_same_rows_in_indexes
from fileferry.db.schema import commits, events, metadata, names, names_progress, processes, rates, stores
from fileferry.errors import Unavailable
from fileferry.settings import Settings, SettingsError

_PAGE = 500
# How far the copy is: for each table the key of the last row that is there, as JSON, from the store of this id.
_progress = Table(
    "fileferry_copy",
    MetaData(),
    Column("source", String, nullable=False),
    Column("name", String, primary_key=True),
    Column("last", String),
)
# The index of names is made anew from the files; rates were counted, commits made, and processes seen elsewhere.
_TABLES = [table for table in metadata.sorted_tables if table not in (commits, names, names_progress, processes, rates)]


class Copied(msgspec.Struct, frozen=True):
    """What was copied: the rows of each table, and the SHA-256 of all of them in order, equal on both sides."""

    rows: dict[str, int]
    digests: dict[str, str]


def copy(source: str, target: str, settings: Settings, told: Callable[[str, int], None]) -> Copied:
    """Copy all rows of the SQLite database at ``source`` to PostgreSQL, compare them, and put the old file out of the way.

    ``told`` is called with each table and how many of its rows there are. Raises SettingsError for a source that cannot be
    copied, or a target that has something else in it; Unavailable where a server has the source open, or the rows differ.
    """
    if not source.startswith("sqlite:///") or not target.startswith("postgresql://"):
        raise SettingsError("Databases are copied from sqlite:///PATH to postgresql://USER@HOST/NAME.")
    path = path_of(source)
    if not os.path.exists(path):
        raise SettingsError(f"There is no database at {path}.")
    if holders_of(source) is not None:
        raise Unavailable(f"A server has {path} open: stop it first.")
    from_engine, to_engine = writer_engine(source), sessions.writer_engine(target, settings)
    session = sessions.Session(to_engine)
    try:
        with translated(), from_engine.connect() as read, read.begin():  # so long nobody else writes there
            _refuse_other_schema(read, path)
            deadline = time.monotonic() + settings.database_patience.total_seconds()
            with session.run(lambda connection: connection, deadline) as write:
                store_id = read.execute(select(stores.c.id)).scalar_one()
                with write.begin():
                    _begin(write, store_id)
                for table in _TABLES:
                    told(table.name, _copy_table(read, write, table))
                copied = _compare(read, write)
                with write.begin():
                    _finish(write)
    finally:
        session.close()
        from_engine.dispose()
        to_engine.dispose()
    # A server that went on with it would take for orphans what comes from now on.
    os.rename(path, f"{path}-copied")
    for beside in ("-wal", "-shm", "-turn", "-spare"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + beside)
    return copied


def _refuse_other_schema(conn: Connection, path: str) -> None:
    found = revision(conn)
    if found != NEWEST:
        raise SettingsError(
            f"{path} has schema {found}; this version copies schema {NEWEST}. Start and stop 'fileferry serve' on it once."
        )


def _begin(conn: Connection, store_id: str) -> None:
    """Make the tables of an empty database, or see that it is a copy from this store which was begun before."""
    found = inspect(conn).get_table_names()
    if not found:
        have_the_same_rows_in_indexes()
        make_tables(conn)
        _progress.create(conn)
        conn.execute(insert(_progress), [{"source": store_id, "name": table.name} for table in _TABLES])
        return
    if _progress.name not in found:
        raise SettingsError("The database to copy to has tables already: name one that is empty.")
    (source,) = conn.execute(select(_progress.c.source).distinct()).scalars()
    if source != store_id:
        raise SettingsError("The database to copy to has a part of another copy: name one that is empty.")


def _copy_table(read: Connection, write: Connection, table: Table) -> int:
    count: int = read.execute(select(func.count()).select_from(table)).scalar_one()
    of_table = _progress.c.name == table.name
    with write.begin():
        told: str | None = write.execute(select(_progress.c.last).where(of_table)).scalar_one()
    for page in _pages(read, table, None if told is None else msgspec.json.decode(told)):
        with write.begin():
            write.execute(insert(table), [dict(zip(table.c.keys(), row, strict=True)) for row in page])
            last = msgspec.json.encode(_key(table, page[-1])).decode()
            write.execute(sql_update(_progress).where(of_table).values(last=last))
    return count


def _pages(conn: Connection, table: Table, last: list[Any] | None = None) -> Iterator[list[tuple[Any, ...]]]:
    """Yield a table's rows in order of their key, those past ``last``."""
    key = list(table.primary_key.columns)
    while True:
        query: Select[Any] = select(*table.c).order_by(*key).limit(_PAGE)
        if last is not None:
            query = query.where(tuple_(*key) > tuple_(*last))
        page = [tuple(row) for row in conn.execute(query)]
        if page:
            yield page
            last = _key(table, page[-1])
        if len(page) < _PAGE:
            return


def _key(table: Table, row: tuple[Any, ...]) -> list[Any]:
    return [row[list(table.c).index(column)] for column in table.primary_key.columns]


def _compare(read: Connection, write: Connection) -> Copied:
    """Read every row on both sides again; raises Unavailable where they are not the same."""
    rows, digests = {}, {}
    for table in _TABLES:
        wanted = _digest(read, table)
        with write.begin():
            found = _digest(write, table)
        if found != wanted:
            raise Unavailable(
                f"The copies of {table.name} differ ({wanted[0]} rows and {found[0]}): the source was used since the copy was"
                " begun. Empty the database that was copied to, and copy again."
            )
        rows[table.name], digests[table.name] = wanted
    return Copied(rows, digests)


def _digest(conn: Connection, table: Table) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    for page in _pages(conn, table):
        count += len(page)
        for row in page:
            digest.update(msgspec.json.encode(row, order="sorted") + b"\n")
    return count, digest.hexdigest()


def _finish(conn: Connection) -> None:
    """Let numbers go on where they were, have the names of files taken up, and make it a database."""
    for table in _TABLES:
        (first, *_others) = table.primary_key.columns
        sequence = conn.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": first.name}
        ).scalar()
        if sequence is not None:
            highest = select(func.max(first)).scalar_subquery()
            conn.execute(select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None))))
    last = select(func.coalesce(func.max(events.c.id), 0)).scalar_subquery()
    conn.execute(sql_update(names_progress).values(event_id=last, file_id=""))
    _progress.drop(conn)
    record_newest(conn)
