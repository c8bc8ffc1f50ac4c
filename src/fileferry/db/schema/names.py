"""The tables that files are found in by a part of their name, and the indexes over them, which each database says in its own words.

What is in them is taken from ``files`` some time later (decision 0053); what there is to be asked is for ``db.names``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Table, UniqueConstraint, event, func, insert, select
from sqlalchemy.exc import DBAPIError

from fileferry.db.schema.columns import NUMBER, metadata, words
from fileferry.db.schema.events import events
from fileferry.logs import get_logger

# The names of files in small letters. Files that came lately are not here yet.
names = Table(
    "names",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("file_id", words(36), nullable=False),
    Column("name", words(255), nullable=False),
    UniqueConstraint("file_id"),
)

# How far files were taken up: one row, and none where there is no index.
names_progress = Table(
    "names_progress",
    metadata,
    # The id of the last event whose file is there.
    Column("event_id", BigInteger, nullable=False),
    # Of the files from before: the id of the last one that is there; null once all are.
    Column("file_id", words(36)),
)

_SQLITE = (
    "CREATE VIRTUAL TABLE names_index USING fts5(name, content='names', content_rowid='number', columnsize=0,"
    " tokenize='trigram case_sensitive 1')",
    "CREATE TRIGGER names_added AFTER INSERT ON names BEGIN"
    " INSERT INTO names_index(rowid, name) VALUES (NEW.number, NEW.name); END",
    "CREATE TRIGGER names_removed AFTER DELETE ON names BEGIN"
    " INSERT INTO names_index(names_index, rowid, name) VALUES ('delete', OLD.number, OLD.name); END",
    "CREATE TRIGGER names_changed AFTER UPDATE ON names BEGIN"
    " INSERT INTO names_index(names_index, rowid, name) VALUES ('delete', OLD.number, OLD.name);"
    " INSERT INTO names_index(rowid, name) VALUES (NEW.number, NEW.name); END",
    "CREATE TRIGGER files_renamed AFTER UPDATE OF name ON files BEGIN"
    " UPDATE names SET name = lower(NEW.name) WHERE file_id = NEW.id; END",
    "CREATE TRIGGER files_forgotten AFTER DELETE ON files BEGIN DELETE FROM names WHERE file_id = OLD.id; END",
)
# Taken up are some at a time by one process: what waited in a list to be sorted in later would hold that one up for long.
_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX names_index ON names USING gin (name gin_trgm_ops) WITH (fastupdate = off)",
    "CREATE FUNCTION file_renamed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    ' UPDATE names SET name = lower(NEW.name COLLATE "und-x-icu") WHERE file_id = NEW.id; RETURN NULL; END $$',
    "CREATE TRIGGER files_renamed AFTER UPDATE OF name ON files FOR EACH ROW EXECUTE FUNCTION file_renamed()",
    "CREATE FUNCTION file_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " DELETE FROM names WHERE file_id = OLD.id; RETURN NULL; END $$",
    "CREATE TRIGGER files_forgotten AFTER DELETE ON files FOR EACH ROW EXECUTE FUNCTION file_forgotten()",
)
_log = get_logger(__name__)


def make_missing_index(conn: Connection) -> None:
    """Make the index where it could not be had before; what there is of files is taken up while servers run."""
    if conn.execute(select(names_progress)).first() is None:
        index_what_there_is(conn)


def index_what_there_is(conn: Connection) -> None:
    """Make the index of a database that has files."""
    last: int = conn.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()
    make_index(conn, last, "")


def make_index(conn: Connection, event_id: int, walked: str | None) -> None:
    """Make what each database has for parts of names, and record how far files are taken up; nothing where it cannot be had.

    That is PostgreSQL without its extension pg_trgm, and SQLite without FTS5. Names are then read one by one.
    """
    try:
        with conn.begin_nested():
            for statement in _SQLITE if conn.dialect.name == "sqlite" else _POSTGRESQL:
                conn.exec_driver_sql(statement)
    except DBAPIError as error:
        _log.warning("names_not_indexed", reason=str(error.orig).partition("\n")[0])
        return
    conn.execute(insert(names_progress), {"event_id": event_id, "file_id": walked})


@event.listens_for(metadata, "after_create")
def _made(_metadata: Any, connection: Connection, **_options: Any) -> None:
    make_index(connection, 0, None)
