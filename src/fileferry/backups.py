"""Copies of a server's whole folder: made while it serves, verified by reading every byte again, and put back elsewhere.

A copy is laid out as a data folder is, so that a server can be started on it. What is in the database is not decided here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from fileferry.app import opened
from fileferry.db.migration import NEWEST
from fileferry.engine.engine import Engine
from fileferry.errors import Unavailable
from fileferry.model import utc_now
from fileferry.settings import Settings, SettingsError
from fileferry.version import version

RECORD = "backup.json"
"""Written last: a folder without it holds no whole copy."""
_TREES = ("incoming", "blobs")  # in this order: a blob moves from the first to the second
_MARKER = "store-id"
_DATABASE = "fileferry.db"

_MOST_ROUNDS = 10
_BLOCK = 16 * 1024 * 1024


class Record(msgspec.Struct):
    """What is said of a copy; ``files`` counts ready versions, ``bytes`` theirs."""

    made_at: datetime
    fileferry: str
    schema: str
    files: int
    bytes: int


async def back_up(settings: Settings, to: Path) -> Record:
    """Copy database and blobs to a folder that is new or empty, and read the copy again.

    The database is copied first and the bytes after it. What ended in between has lost its bytes: then the database is copied once
    more, and what is new, until each ready version is there whole. Raises SettingsError for a folder that has something
    in it and for a database of another schema, and Unavailable where the copy is not what the database says.
    """
    database, store = _places(settings)
    _refuse_used(to)
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _round in range(_MOST_ROUNDS):
        _copy_database(database, to / _DATABASE)
        _copy_blobs(store, to)
        async with _opened_copy(settings, to) as engine:
            found = await engine.sweeper.scan(fix=False)
            if not found.rows_without_bytes:
                await engine.sweeper.remove(found)  # what came after the database was copied
                record = await _read_again(engine)
                break
    else:
        raise Unavailable(
            f"Files have no bytes in the store, such as {found.rows_without_bytes[0]}: run fileferry doctor."
        )
    _clear_up(to)
    _write_record(to, record)
    return record


def _places(settings: Settings) -> tuple[Path, Path]:
    """Return the file of the database and the folder of the store; raises SettingsError where there are none to copy."""
    if settings.store_before is not None:
        raise SettingsError(
            "Copies are made of one store: end 'fileferry migrate-store' first, and drop FILEFERRY_STORE_BEFORE."
        )
    database, store = settings.resolved_database_file(), settings.resolved_store_folder()
    if database is None or store is None:
        raise SettingsError(
            "Copies are made of SQLite and a folder only: copy PostgreSQL with pg_dump, a bucket by its own means."
        )
    return database, store


async def restore(settings: Settings, source: Path) -> Record:
    """Put a copy where the settings say that database and blobs are, and read it again there; the copy stays as it is.

    Raises SettingsError for what is no whole copy, and for places that have something in them.
    """
    record = _record_of(source)
    database, store = _places(settings)
    for folder in (database.parent, store):
        _refuse_used(folder)
    for folder in (database.parent, store):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _copy_blobs(source, store)
    # The database last, and by its name at once: without it no server starts here, and nothing is taken for an orphan.
    beside = database.with_name(f"{database.name}-restoring")
    _copy_file(source / _DATABASE, beside)
    os.rename(beside, database)
    async with opened(settings) as engine:
        found = await engine.sweeper.scan(fix=False)
        if found.rows_without_bytes:
            raise Unavailable("The copy is not whole: " + ", ".join(found.rows_without_bytes))
        await _read_again(engine)
    return record


def _refuse_used(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if any(folder.iterdir()):
            raise SettingsError(f"{folder} is not empty: name a folder that is, or that is not there yet.")


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it stands at one moment; others may go on writing."""
    _remove_beside(target)
    try:
        with (
            contextlib.closing(sqlite3.connect(source)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
        with contextlib.closing(sqlite3.connect(target)) as copy:
            (schema,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"The database cannot be copied: {error}.") from error
    if schema != NEWEST:  # a copy from before an upgrade is the way back, so nothing is upgraded for it
        raise SettingsError(
            f"{source} has schema {schema}, and this fileferry can verify {NEWEST}: back it up with the version that wrote it, "
            "or start this one on it first, which upgrades it."
        )
    _sync(target)


def _copy_blobs(source: Path, target: Path) -> None:
    """Copy the files of a store that are not there yet, and its marker; those that end meanwhile are passed over."""
    for tree in _TREES:
        (target / tree).mkdir(exist_ok=True)
        for path in _files_below(source / tree):
            place = target / path.relative_to(source)
            with contextlib.suppress(FileNotFoundError):
                if tree == "blobs" and place.exists() and place.stat().st_size == path.stat().st_size:
                    continue  # a committed blob never changes
                place.parent.mkdir(parents=True, exist_ok=True)
                _copy_file(path, place)
    _copy_file(source / _MARKER, target / _MARKER)


def _files_below(folder: Path) -> Iterator[Path]:
    for where, _folders, names in os.walk(folder):
        for name in names:
            yield Path(where, name)


def _copy_file(source: Path, target: Path) -> None:
    """Copy the bytes, and leave holes where there are any."""
    with source.open("rb") as reading, target.open("wb") as writing:
        size, start = os.fstat(reading.fileno()).st_size, 0
        os.ftruncate(writing.fileno(), size)
        while start < size:
            try:
                start = os.lseek(reading.fileno(), start, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break  # only a hole is left
                raise
            end = os.lseek(reading.fileno(), start, os.SEEK_HOLE)
            os.lseek(writing.fileno(), start, os.SEEK_SET)
            while start < min(end, size):
                sent = os.sendfile(writing.fileno(), reading.fileno(), start, min(_BLOCK, end - start))
                if not sent:
                    return  # cut short meanwhile
                start += sent
        os.fsync(writing.fileno())


@contextlib.asynccontextmanager
async def _opened_copy(settings: Settings, folder: Path) -> AsyncIterator[Engine]:
    alone = {"clamd": None, "redis_url": None, "database_url": None, "store": None, "min_free_space": 0}
    async with opened(msgspec.structs.replace(settings, data=folder, **alone)) as engine:
        yield engine


async def _read_again(engine: Engine) -> Record:
    """Read every ready version to its end; raises Unavailable for one whose bytes are not those that came."""
    record = Record(utc_now(), version(), NEWEST, 0, 0)
    async with contextlib.aclosing(engine.verifier.run()) as verified:
        async for found in verified:
            if found.fault is not None:
                raise Unavailable(
                    f"The bytes of version {found.version_id} are not those that came: run fileferry doctor."
                )
            record.files += 1
            record.bytes += found.size
    return record


def _clear_up(folder: Path) -> None:
    """Remove what opening the copy left beside its database, and what no upload is at."""
    with contextlib.closing(sqlite3.connect(folder / _DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _remove_beside(folder / _DATABASE, but_itself=True)


def _remove_beside(database: Path, *, but_itself: bool = False) -> None:
    for path in database.parent.glob(f"{database.name}-*"):
        path.unlink()
    if not but_itself:
        database.unlink(missing_ok=True)


def _write_record(folder: Path, record: Record) -> None:
    (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    for where, _folders, _names in os.walk(folder):
        _sync(Path(where))
    _sync(folder / RECORD)


def _record_of(folder: Path) -> Record:
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{folder} holds no whole backup: there is no {RECORD} that says so.") from error
    if record.schema > NEWEST:
        raise SettingsError(
            f"{folder} was made by fileferry {record.fileferry}, which is newer than this one: restore it with that version."
        )
    return record


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
