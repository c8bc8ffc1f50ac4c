"""What is told of disks, what is tried on them, and promises that are kept where a filesystem knows less than others."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from fileferry.blobs.conformance import CHECKS
from fileferry.blobs.local import LocalStore, disk
from fileferry.db.database import SqliteDatabase, holders_of
from fileferry.db.migration import migrate
from fileferry.disks import calls, trial
from fileferry.disks.kinds import kind_of, warning_of
from fileferry.disks.spare import Spare
from fileferry.errors import InsufficientStorage, Unavailable
from fileferry.settings import load

pytestmark = pytest.mark.sqlite

_MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
60 22 0:51 / /srv/my\040files rw,relatime - fuse.mergerfs a:b rw
61 22 0:52 / /srv/my\040files rw,relatime - btrfs /dev/sdb rw
62 22 0:53 / /srv/my\040files/deep rw,relatime master:1 propagate_from:2 - xfs /dev/sdc rw
""".strip()


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/my files", "btrfs"),
        ("/srv/my files/a", "btrfs"),
        ("/srv/my files/deep/a", "xfs"),
        ("/srv/my files too", "ext4"),
        ("/srv", "ext4"),
    ],
)
def test_a_folder_is_on_the_deepest_and_last_mount(folder: str, kind: str) -> None:
    assert kind_of(Path(folder), _MOUNTS) == kind


def test_only_disks_with_a_weakness_are_told_of() -> None:
    assert [warning_of(kind) for kind in ("ext4", "xfs", "btrfs", "overlay", "")] == [None] * 5
    assert "folder" in (warning_of("fuse.something") or "")


def test_a_good_folder_passes_every_trial_and_nothing_is_left_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileferry.disks.kinds.kind_of", lambda _folder: "ext4")  # these tests may be in memory
    assert trial.examine(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "code", "fatal"),
    [
        ("os.rename", errno.EXDEV, False),
        ("fcntl.flock", errno.ENOLCK, True),
        ("os.fsync", errno.EINVAL, True),
        ("os.link", errno.EPERM, False),
        ("os.fsync", errno.ENOSPC, None),
    ],
)
def test_what_a_folder_cannot_do_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, fatal: bool | None
) -> None:
    monkeypatch.setattr("fileferry.disks.kinds.kind_of", lambda _folder: "ext4")
    monkeypatch.setattr(calls, "rename_exclusive", refusing(errno.EINVAL))
    monkeypatch.setattr(f"fileferry.disks.trial.{call}", refusing(code))
    assert [finding.fatal for finding in trial.examine(tmp_path)] == ([] if fatal is None else [fatal])


def refusing(code: int):  # type: ignore[no-untyped-def]
    def call(*_arguments: object, **_named: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.fixture
def without_exclusive_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "rename_exclusive", refusing(errno.EINVAL))


@pytest.mark.usefixtures("without_exclusive_rename")
def test_without_an_exclusive_rename_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"late")
    final.write_bytes(b"first")
    disk.rename_once(str(source), str(final))
    assert (source.read_bytes(), final.read_bytes()) == (b"late", b"first")


@pytest.mark.usefixtures("without_exclusive_rename")
def test_without_an_exclusive_rename_half_a_move_is_finished(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final"
    source.write_bytes(b"bytes")
    os.link(source, final)
    disk.rename_once(str(source), str(final))
    assert final.read_bytes() == b"bytes"
    assert not source.exists()
    disk.rename_once(str(source), str(final))
    final.unlink()
    with pytest.raises(FileNotFoundError):
        disk.rename_once(str(source), str(final))


@pytest.mark.usefixtures("without_exclusive_rename")
def test_without_an_exclusive_rename_the_store_keeps_its_contract(tmp_path: Path) -> None:
    async def run() -> None:
        for number, check in enumerate(CHECKS):
            store = LocalStore(tmp_path / str(number))
            await check(store)
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("code", sorted(set(errno.errorcode) - {errno.EEXIST, errno.EFBIG}))
def test_every_error_of_a_disk_may_be_repeated_and_says_why(code: int) -> None:
    with pytest.raises((InsufficientStorage, Unavailable)) as told:
        disk.translated(refusing(code))
    full = code in (errno.ENOSPC, errno.EDQUOT)
    assert isinstance(told.value, InsufficientStorage) == full
    assert full or told.value.retry_after


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, InsufficientStorage),
        *(
            (code, Unavailable)
            for code in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_CORRUPT,
                sqlite3.SQLITE_IOERR_FSYNC,
                sqlite3.SQLITE_LOCKED,
                sqlite3.SQLITE_NOTADB,
                sqlite3.SQLITE_PROTOCOL,
                sqlite3.SQLITE_READONLY_DBMOVED,
            )
        ),
    ],
)
def test_every_error_of_the_databases_disk_may_be_repeated_and_says_why(tmp_path: Path, code: int, kind: type) -> None:
    def fail(_conn: object) -> None:
        error = sqlite3.DatabaseError("what the driver says")
        error.sqlite_errorcode = code
        raise DatabaseError("SELECT", None, error)

    async def run() -> None:
        database = SqliteDatabase(f"sqlite:///{tmp_path}/test.db")
        for use in (database.read, database.lookup, database.write):
            with pytest.raises(kind) as told:
                await use(fail)
            assert kind is InsufficientStorage or "what the driver says" in str(told.value)
        await database.close()

    asyncio.run(run())


def test_a_reader_makes_no_new_database_where_the_disk_was_taken_away(tmp_path: Path) -> None:
    async def run() -> None:
        database = SqliteDatabase(f"sqlite:///{tmp_path}/test.db")
        (tmp_path / "test.db").rename(tmp_path / "elsewhere")
        with pytest.raises(Unavailable):
            await database.read(lambda conn: conn.execute(text("SELECT 1 FROM sqlite_master")).all())
        assert not (tmp_path / "test.db").exists()
        await database.close()

    asyncio.run(run())


def test_a_database_for_one_process_has_no_shared_memory_and_no_other_may_open_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/odd name.db"

    async def run() -> None:
        migrate(url, alone=True)
        database = SqliteDatabase(url, alone=True)
        await database.write(lambda conn: conn.execute(text("CREATE TABLE t (n INTEGER)")) and None)
        assert await database.read(lambda conn: conn.execute(text("SELECT * FROM t")).all()) == []
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db") == ["odd name.db"]
        assert not list(tmp_path.glob("*-shm"))
        await database.close()

    asyncio.run(run())
    assert holders_of(url) is None


def test_what_a_dead_process_left_in_the_log_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/test.db"
    migrate(url)
    left = sqlite3.connect(tmp_path / "test.db")
    left.execute("CREATE TABLE t (n INTEGER)")
    (tmp_path / "copy.db").write_bytes((tmp_path / "test.db").read_bytes())
    (tmp_path / "copy.db-wal").write_bytes((tmp_path / "test.db-wal").read_bytes())
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    migrate(f"sqlite:///{tmp_path}/copy.db")
    left.close()
    assert synced == [f"{tmp_path}/copy.db-wal"]
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (0,)
    copy.close()


def test_spare_room_is_kept_once_and_given_back_once(tmp_path: Path) -> None:
    spare, other = (Spare(tmp_path / "spare", 1 << 20) for _ in range(2))
    assert spare.keep()
    assert other.keep()
    assert (tmp_path / "spare").stat().st_blocks * 512 >= 1 << 20
    assert other.release()
    assert not spare.release()
    assert spare.keep()
    assert [path.name for path in tmp_path.iterdir()] == ["spare"]


def test_spare_room_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.EDQUOT))
    assert not Spare(tmp_path / "spare", 1 << 20).keep()
    assert list(tmp_path.iterdir()) == []


def test_how_many_processes_may_be_said() -> None:
    assert load({"FILEFERRY_DATABASE_PROCESSES": "one"}).database_processes == "one"
