"""Running transactions on SQLite, and bringing its schema up to date."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from fileferry.db.connections import writer_engine
from fileferry.db.database import SqliteDatabase
from fileferry.db.migration import NEWEST, migrate
from fileferry.db.schema import metadata
from fileferry.settings import SettingsError
from unit.scratch import run_on, scratch_database

pytestmark = pytest.mark.sqlite


def prepare(conn: Connection) -> None:
    conn.execute(text("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)"))


def insert(conn: Connection, number: int) -> int:
    conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
    return number


def fail_after_insert(conn: Connection, number: int) -> None:
    insert(conn, number)
    raise RuntimeError(str(number))


def numbers(conn: Connection) -> list[int]:
    return list(conn.execute(text("SELECT n FROM t ORDER BY n")).scalars())


def test_a_failing_write_undoes_its_own_and_touches_no_other(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        writes = [opened.write(insert if n % 10 else fail_after_insert, n) for n in range(100)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        good = [n for n in range(100) if n % 10]
        assert [outcome for outcome in outcomes if isinstance(outcome, int)] == good
        assert [str(outcome) for outcome in outcomes if isinstance(outcome, RuntimeError)] == [
            str(n) for n in range(0, 100, 10)
        ]
        assert await opened.read(numbers) == good

    run_on(tmp_path, prepare, use)


def test_a_broken_rule_of_the_database_fails_one_write_only(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        outcomes = await asyncio.gather(*(opened.write(insert, n // 2) for n in range(40)), return_exceptions=True)
        assert sum(isinstance(outcome, int) for outcome in outcomes) == 20
        assert await opened.read(numbers) == list(range(20))

    run_on(tmp_path, prepare, use)


def test_a_write_is_read_back_at_once_and_by_another_process(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        async with scratch_database(tmp_path, prepare) as other:
            for number in range(20):
                await opened.write(insert, number)
                assert max(await opened.read(numbers)) == number
                assert max(await opened.lookup(numbers)) == number
                assert max(await other.read(numbers)) == number

    run_on(tmp_path, prepare, use)


def test_a_read_cannot_write(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        for ask in (opened.read, opened.lookup):
            with pytest.raises(Exception, match=r"readonly|read-only"):
                await ask(insert, 1)
        assert await opened.read(numbers) == []

    run_on(tmp_path, prepare, use)


def test_a_cancelled_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        tasks = [asyncio.create_task(opened.write(insert, n)) for n in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        found = await opened.read(numbers)
        assert set(found) >= {outcome for outcome in outcomes if isinstance(outcome, int)}
        await opened.write(insert, 1000)

    run_on(tmp_path, prepare, use)


def upgrade(connection: Connection) -> None:
    """Take every step from nothing, as no server does any more."""
    configuration = Config()
    configuration.set_main_option("script_location", "fileferry.db:migrations")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def is_a_table_of_ours(name: str | None, _kind: str, _parents: Any) -> bool:
    """Whether it is none of the tables that SQLite makes for the index of names."""
    return name is None or not name.startswith("names_index")


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    engine = writer_engine(f"sqlite:///{tmp_path}/test.db")
    with engine.connect() as connection, connection.begin():
        upgrade(connection)
        compared = {"compare_type": True, "compare_server_default": True, "include_name": is_a_table_of_ours}
        context = MigrationContext.configure(connection, opts=compared)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def made_of(database: Path) -> dict[str, set[str]]:
    """Return what each table and each index is made of, in any order: a step adds a column at the end."""
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall()
    connection.close()
    return {
        name: {" ".join(piece.strip(" \t\n()").split()) for piece in sql.partition("(")[2].split(",")}
        for name, sql in rows
    }


def test_a_new_database_is_made_as_the_migrations_would_make_it(tmp_path: Path) -> None:
    engine = writer_engine(f"sqlite:///{tmp_path}/upgraded.db")
    with engine.connect() as connection, connection.begin():
        upgrade(connection)
    engine.dispose()
    migrate(f"sqlite:///{tmp_path}/new.db")
    new, upgraded = made_of(tmp_path / "new.db"), made_of(tmp_path / "upgraded.db")
    assert new == upgraded
    assert sum(map(len, new.values())) > 200  # the pieces are there
    engine = writer_engine(f"sqlite:///{tmp_path}/new.db")
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == NEWEST
    engine.dispose()


def test_a_database_with_tables_of_others_is_no_new_one(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE files (id INTEGER)")
    connection.close()
    with pytest.raises(SettingsError, match="no database of fileferry"):
        migrate(f"sqlite:///{tmp_path}/other.db")
    assert made_of(tmp_path / "other.db") == {"files": {"id INTEGER"}}


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/test.db"
    script = "import sys; from fileferry.db.migration import migrate; sys.stdin.readline(); migrate(sys.argv[1])"
    command = [sys.executable, "-c", script, url]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert [status for _, status in ended] == [0, 0, 0], ended
    migrate(url)


def test_the_newest_migration_is_known_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "fileferry.db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_alembic_is_needed_by_an_old_database_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    program = (
        f"import sys; from fileferry.db.migration import migrate; migrate({url!r}); print('alembic' in sys.modules)"
    )
    for _ in ("new", "up to date"):
        finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert finished.stdout == "False\n"
