"""Where writes run: brief ones in the event loop's thread, which must never wait there; and what reaches the driver."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, insert, select
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import IntegrityError, OperationalError

from fileferry.db import writer
from fileferry.db.connections import Opening
from fileferry.db.database import SqliteDatabase
from fileferry.db.schema import Instant
from fileferry.db.statements import Kept, KeptRecord, change
from fileferry.db.turns import Turn
from fileferry.db.writer import brief
from fileferry.model import utc_now
from unit.scratch import run_on, scratch_database

pytestmark = pytest.mark.sqlite

THINGS = Table(
    "things", MetaData(), Column("id", String(8), primary_key=True), Column("n", Integer), Column("at", Instant)
)
INSERT = Kept(insert(THINGS))
NUMBERS = Kept(select(THINGS.c.n).order_by(THINGS.c.n))
NUMBER = Kept(select(THINGS.c.n).where(THINGS.c.id == bindparam("thing")))


def prepare(conn: Connection) -> None:
    THINGS.create(conn, checkfirst=True)


@brief
def add(conn: Connection, n: int) -> str:
    INSERT.run(conn, {"id": str(n), "n": n, "at": None})
    return threading.current_thread().name


def add_slowly(conn: Connection, n: int) -> str:
    return add(conn, n)


def numbers(conn: Connection) -> list[int]:
    return [row[0] for row in NUMBERS.all(conn)]


async def refused(opened: SqliteDatabase, give: Callable[[], object]) -> str:
    """Write while another has the lock; return where it ran once ``give`` has let it go, and see that the loop went on."""
    task = asyncio.create_task(opened.write(add, 1))
    for _ in range(50):
        assert await opened.lookup(numbers) == []
        await asyncio.sleep(0.001)
    assert not task.done()
    give()
    return await task


def test_brief_writes_run_in_the_loops_thread_and_others_do_not(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        here = threading.current_thread().name
        assert await asyncio.gather(opened.write(add, 1), opened.write(add, 2)) == [here, here]
        assert await opened.write(add_slowly, 3) == "db-write"
        mixed = await asyncio.gather(*(opened.write(add if n % 3 else add_slowly, n) for n in range(10, 40)))
        assert {mixed[n - 10] for n in range(10, 40) if n % 3 == 0} == {"db-write"}
        assert await opened.read(numbers) == [1, 2, 3, *range(10, 40)]

    run_on(tmp_path, prepare, use)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many writes each group had that ran in the loop's thread."""
    sizes: list[int] = []
    run_here = writer.Writer._run_here

    def counting(self: writer.Writer, opened: Opening, group: list[writer.Write]) -> RootTransaction:
        sizes.append(len(group))
        return run_here(self, opened, group)

    monkeypatch.setattr(writer.Writer, "_run_here", counting)
    return sizes


def test_what_comes_in_the_turn_of_another_process_is_one_group_in_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int]
) -> None:
    monkeypatch.setattr(writer, "_MOST_ASKED", 10_000)

    async def use(opened: SqliteDatabase) -> None:
        other = Turn(str(tmp_path / "test.db"))
        other.take()
        writes = []
        for n in range(5):
            writes.append(asyncio.create_task(opened.write(add, n)))
            await asyncio.sleep(0.002)
        assert groups == []
        other.close()
        assert set(await asyncio.gather(*writes)) == {threading.current_thread().name}
        assert groups == [5]

    run_on(tmp_path, prepare, use)


@pytest.mark.parametrize(("seconds", "expected"), [(60, [2, 3]), (0.001, [2, 1, 2])])
def test_who_waited_for_a_commit_goes_with_those_that_it_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int], seconds: float, expected: list[int]
) -> None:
    """They come again within the time, or they do not."""
    monkeypatch.setattr(writer, "_LONGEST_GATHERING", seconds)
    goes_on = threading.Event()
    sync = writer.Writer._sync

    def held(self: writer.Writer, *step: Any) -> None:
        goes_on.wait(30)
        sync(self, *step)

    monkeypatch.setattr(writer.Writer, "_sync", held)

    async def use(opened: SqliteDatabase) -> None:
        first = [asyncio.create_task(opened.write(add, n)) for n in (1, 2)]
        while not groups:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(opened.write(add, 3))
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(*first)
        if len(expected) > 2:
            await waiting
        await asyncio.gather(opened.write(add, 4), opened.write(add, 5), waiting)
        assert groups == expected

    run_on(tmp_path, prepare, use)


def test_the_loop_does_not_wait_for_another_process_whose_turn_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_MOST_ASKED", 2)

    async def use(opened: SqliteDatabase) -> None:
        other = Turn(str(tmp_path / "test.db"))
        other.take()
        assert await refused(opened, other.give) == "db-write"
        other.close()
        assert await opened.write(add, 2) == threading.current_thread().name

    run_on(tmp_path, prepare, use)


def test_the_loop_does_not_wait_for_one_that_takes_no_turns(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert await refused(opened, lambda: other.execute("COMMIT")) == "db-write"
        other.close()
        assert await opened.read(numbers) == [1]

    run_on(tmp_path, prepare, use)


def test_a_slow_statement_is_broken_off_in_the_loop_and_run_in_the_thread(tmp_path: Path) -> None:
    ran: list[str] = []

    @brief
    def count(conn: Connection) -> int:
        ran.append(threading.current_thread().name)
        INSERT.run(conn, {"id": "a", "n": 1, "at": None})
        asked = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000) SELECT count(*) FROM c"
        return int(conn.exec_driver_sql(asked).scalar_one())

    async def use(opened: SqliteDatabase) -> None:
        assert await opened.write(count) == 300000
        assert await opened.read(numbers) == [1]

    with mock.patch.object(writer, "_LONGEST_STATEMENT", 0.0):
        run_on(tmp_path, prepare, use)
    assert ran == [threading.current_thread().name, "db-write"]


def test_a_group_ends_when_its_time_is_over(tmp_path: Path) -> None:
    """Each look at the clock takes a millisecond here, and a group may take four."""
    clock = range(10_000)
    groups: list[int] = []
    sync = writer.Writer._sync

    def counted(self: writer.Writer, opened: Any, transaction: Any, group: list[writer.Write]) -> None:
        groups.append(len(group))
        sync(self, opened, transaction, group)

    async def use(opened: SqliteDatabase) -> None:
        groups.clear()
        await asyncio.gather(*(opened.write(add, n) for n in range(20)))
        assert await opened.read(numbers) == list(range(20))  # in order, none twice and none lost

    with (
        mock.patch.object(writer.time, "perf_counter", side_effect=(tick / 1000 for tick in clock)),
        mock.patch.object(writer.Writer, "_sync", counted),
    ):
        run_on(tmp_path, prepare, use)
    assert sum(groups) == 20
    assert max(groups) <= 5


def test_a_brief_write_that_fails_undoes_its_own_and_touches_no_other(tmp_path: Path) -> None:
    @brief
    def fail(conn: Connection, n: int) -> str:
        add(conn, n)
        raise RuntimeError(str(n))

    async def use(opened: SqliteDatabase) -> None:
        outcomes = await asyncio.gather(
            *(opened.write(add if n % 5 else fail, n) for n in range(30)), return_exceptions=True
        )
        assert [str(one) for one in outcomes if isinstance(one, RuntimeError)] == [str(n) for n in range(0, 30, 5)]
        assert await opened.read(numbers) == [n for n in range(30) if n % 5]

    run_on(tmp_path, prepare, use)


def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    async def use(opened: SqliteDatabase) -> None:
        waiting = [asyncio.create_task(opened.write(add if n % 2 else add_slowly, n)) for n in range(150)]
        await asyncio.sleep(0)
        await opened.close()
        assert all(task.done() for task in waiting)
        async with scratch_database(tmp_path, prepare) as again:
            assert await again.read(numbers) == list(range(150))

    async def main() -> None:
        opened = SqliteDatabase(f"sqlite:///{tmp_path}/test.db")
        await opened.write(lambda conn: THINGS.create(conn))
        await use(opened)

    asyncio.run(main())


def test_kept_statements_give_what_sqlalchemy_gives(tmp_path: Path) -> None:
    now = utc_now()
    everything = select(*THINGS.c)

    def use(conn: Connection) -> None:
        INSERT.run_many(conn, [{"id": "a", "n": 1, "at": now}, {"id": "b", "n": None, "at": None}])
        assert Kept(everything).all(conn) == [tuple(row) for row in conn.execute(everything)]
        assert Kept(everything).first(conn) == ("a", 1, now)
        change(conn, THINGS, "b", {"n": 7, "at": now})
        assert NUMBER.scalar(conn, {"thing": "b"}) == 7
        assert NUMBER.first(conn, {"thing": "c"}) is None
        with pytest.raises(IntegrityError, match="UNIQUE"):
            INSERT.run(conn, {"id": "a", "n": 1, "at": None})
        with pytest.raises(OperationalError, match="no such table"):
            Kept(select(Table("others", MetaData(), Column("id", Integer)).c.id)).all(conn)

    async def main() -> None:
        async with scratch_database(tmp_path, prepare) as opened:
            await opened.write(use)

    asyncio.run(main())


def test_a_kept_statement_takes_no_other_parameters(tmp_path: Path) -> None:
    def use(conn: Connection) -> None:
        with pytest.raises(TypeError, match="'other'"):
            Kept(select(THINGS.c.n).where(THINGS.c.id == bindparam("thing"))).first(conn, {"other": "a"})
        assert NUMBER.first(conn, {"thing": "a"}) is None
        for given in ({}, {"other": "a"}, {"thing": "a", "other": "a"}):
            with pytest.raises(TypeError, match="thing"):
                NUMBER.first(conn, given)

    async def main() -> None:
        async with scratch_database(tmp_path, prepare) as opened:
            await opened.write(use)

    asyncio.run(main())


def test_a_record_is_made_once_for_equal_rows_and_anew_for_others(tmp_path: Path) -> None:
    found = KeptRecord(select(THINGS.c.id, THINGS.c.at).where(THINGS.c.id == bindparam("thing")), lambda row: [*row])

    def use(conn: Connection) -> None:
        INSERT.run(conn, {"id": "a", "n": 1, "at": None})
        before = found.find(conn, {"thing": "a"})
        assert before == ["a", None]
        assert found.find(conn, {"thing": "a"}) is before
        now = utc_now()
        change(conn, THINGS, "a", {"at": now})
        assert found.find(conn, {"thing": "a"}) == ["a", now]
        assert found.find(conn, {"thing": "b"}) is None

    async def main() -> None:
        async with scratch_database(tmp_path, prepare) as opened:
            await opened.write(use)

    asyncio.run(main())
