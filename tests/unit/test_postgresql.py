"""PostgreSQL in the middle of things: commits that nobody answers, collisions, servers that are away, and time-outs."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from msgspec import structs
from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import IntegrityError

from fileferry.db import events, organizations
from fileferry.db.clocks import DatabaseClock
from fileferry.db.migration import NEWEST
from fileferry.db.postgresql import PostgresqlDatabase
from fileferry.db.postgresql_schema import migrate_postgresql
from fileferry.db.sessions import LOCK
from fileferry.db.statements import Kept
from fileferry.engine.events.deliveries import Deliveries
from fileferry.errors import InvalidParameter, Unavailable
from fileferry.model import Organization, new_id, utc_now
from fileferry.settings import Duration, Settings
from support import postgresql

pytestmark = pytest.mark.service("postgresql")

SETTINGS = Settings(database_lock_timeout=Duration(seconds=1), database_patience=Duration(seconds=20))
Use = Callable[[PostgresqlDatabase], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def url() -> str:
    return postgresql.new_database(prepared=True)


def run_on(url: str, use: Use, settings: Settings = SETTINGS) -> None:
    async def run() -> None:
        database = PostgresqlDatabase(url, settings)
        try:
            await database.write(make)
            await use(database)
        finally:
            await database.close()

    asyncio.run(run())


def make(conn: Connection) -> None:
    conn.execute(text("CREATE TABLE IF NOT EXISTS things (name text)"))


class Adding:
    """A write that counts how often it ran."""

    def __init__(self) -> None:
        self.name = new_id(utc_now())
        self.runs = 0

    def __call__(self, conn: Connection) -> int:
        self.runs += 1
        conn.execute(text("INSERT INTO things VALUES (:name)"), {"name": self.name})
        return self.runs

    def count(self, conn: Connection) -> int:
        return int(
            conn.execute(text("SELECT count(*) FROM things WHERE name = :name"), {"name": self.name}).scalar_one()
        )


def once(instead: Callable[[Any, Callable[[Any], None]], None]) -> Any:
    """Replace the driver's next commit by ``instead``, which gets the connection and the commit that it stands for."""
    real, left = psycopg.Connection.commit, [instead]

    def commit(self: Any) -> None:
        if left:
            left.pop()(self, real)
        else:
            real(self)

    return mock.patch.object(psycopg.Connection, "commit", commit)


def lose_after(connection: Any, commit: Callable[[Any], None]) -> None:
    commit(connection)
    connection.close()
    raise psycopg.OperationalError("the connection is lost")


def lose_before(connection: Any, _commit: Callable[[Any], None]) -> None:
    connection.close()
    raise psycopg.OperationalError("the connection is lost")


@pytest.mark.parametrize(("lose", "runs"), [(lose_after, 1), (lose_before, 2)], ids=["committed", "not committed"])
def test_a_commit_whose_answer_is_lost_is_looked_up(url: str, lose: Any, runs: int) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()
        with once(lose):
            assert await database.write(adding) == runs
        assert await database.read(adding.count) == 1

    run_on(url, use)


def test_a_commit_that_a_crash_took_away_is_not_taken_for_that_of_another_transaction() -> None:
    # PostgreSQL gives the number of what it has forgotten to the next one that writes.
    with postgresql.LivePostgresql({"wal_writer_delay": "10s"}) as server:
        url = server.new_database()
        migrate_postgresql(url, SETTINGS)

        def crash(connection: Any, _commit: Callable[[Any], None]) -> None:
            number = int(connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0])
            server.restart("immediate")
            with psycopg.connect(url, autocommit=True) as other:
                while int(other.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) < number:
                    pass
            raise psycopg.OperationalError("the connection is lost")

        async def use(database: PostgresqlDatabase) -> None:
            adding = Adding()
            with once(crash):
                assert await database.write(adding) == 2
            assert await database.read(adding.count) == 1

        run_on(url, use)


def refuse(connection: Any, _commit: Callable[[Any], None]) -> None:
    connection.rollback()
    raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")


@pytest.mark.parametrize("lose", [lose_after, lose_before, refuse], ids=["committed", "not committed", "refused"])
def test_writes_go_on_after_a_commit_that_failed_and_had_nothing_to_change(url: str, lose: Any) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()
        with once(lose):
            assert await database.write(adding.count) == 0
        assert await database.write(adding) == 1
        assert await database.read(adding.count) == 1

    run_on(url, use)


def test_a_commit_that_is_still_under_way_is_waited_for(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding, lost = Adding(), []

        def lose(connection: Any, commit: Callable[[Any], None]) -> None:
            # SQLAlchemy closes what is lost; what PostgreSQL still has open is another object to the same connection.
            lost.append(connection)
            connection.close = lambda: None
            raise psycopg.OperationalError("the connection is lost")

        with once(lose):
            writing = asyncio.create_task(database.write(adding))
            while not lost:
                await asyncio.sleep(0.01)
            for _ in range(20):
                await asyncio.sleep(0.01)
                assert not writing.done()
            psycopg.Connection.commit(lost[0])
            assert await writing == 1
        assert await database.read(adding.count) == 1

    run_on(url, use)


def test_an_outcome_that_cannot_be_looked_up_is_not_guessed(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding, lost = Adding(), []

        def lose(connection: Any, commit: Callable[[Any], None]) -> None:
            lost.append(connection)
            connection.close = lambda: None
            raise psycopg.OperationalError("the connection is lost")

        with once(lose), pytest.raises(Unavailable, match="whether it took place"):
            await database.write(adding)
        assert adding.runs == 1
        psycopg.Connection.close(lost[0])

    run_on(url, use, Settings(database_lock_timeout=Duration(seconds=20), database_patience=Duration(seconds=2)))


@pytest.mark.parametrize("code", ["40001", "40P01", "57P01"])
def test_what_passes_never_reaches_a_client(url: str, code: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        others = [Adding() for _ in range(5)]
        colliding = Adding()

        def collide(conn: Connection) -> int:
            runs = colliding(conn)
            if runs == 1:
                conn.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'passing' USING ERRCODE = '{code}'; END $$"))
            return runs

        outcomes = await asyncio.gather(*(database.write(each) for each in (*others, collide)))
        assert outcomes[-1] == 2
        for adding in (*others, colliding):
            assert await database.read(adding.count) == 1

    run_on(url, use)


def test_a_connection_cut_within_a_write_or_a_read_is_made_anew(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        for ask in (database.write, database.read, database.lookup):
            cut: list[int] = []

            def cut_once(conn: Connection, cut: list[int] = cut) -> int:
                cut.append(1)
                if len(cut) == 1:
                    conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
                return len(cut)

            assert await ask(cut_once) == 2

    run_on(url, use)


def test_a_failed_statement_that_a_write_hides_is_no_success(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()

        def hide(conn: Connection) -> None:
            adding(conn)
            try:
                conn.execute(text("SELECT 1 / 0"))
            except Exception:
                return

        with pytest.raises(Exception, match="aborted"):
            await database.write(hide)
        assert await database.read(adding.count) == 0

    run_on(url, use)


def test_statements_without_rows_are_not_waited_for_and_their_errors_meet_nobody_else(url: str) -> None:
    table = Table("unique_things", MetaData(), Column("name", Text, unique=True))
    kept, told = Kept(insert(table)), []

    def add(conn: Connection, name: str) -> str:
        try:
            kept.run(conn, {"name": name})
            told.append(f"{name} went out")
            # Its answer comes before that of this one.
            return str(conn.execute(select(table.c.name).where(table.c.name == name)).scalar_one())
        except IntegrityError:
            told.append(f"{name} was refused")
            raise

    async def use(database: PostgresqlDatabase) -> None:
        await database.write(table.create)
        await database.write(add, "a")
        told.clear()
        given = [asyncio.create_task(database.write(add, name)) for name in ("b", "a", "c")]
        found = await asyncio.gather(*given, return_exceptions=True)
        assert [found[0], found[2]] == ["b", "c"]
        assert isinstance(found[1], IntegrityError)
        assert "a went out" in told, "nobody waited"
        assert await database.read(lambda conn: set(conn.execute(select(table.c.name)).scalars())) == {"a", "b", "c"}

    run_on(url, use)


def test_the_last_statement_of_a_group_is_answered_before_it_counts(url: str) -> None:
    table = Table("more_unique_things", MetaData(), Column("name", Text, unique=True))
    kept = Kept(insert(table))

    async def use(database: PostgresqlDatabase) -> None:
        await database.write(table.create)
        await database.write(kept.run, {"name": "a"})
        with pytest.raises(IntegrityError):
            await database.write(kept.run, {"name": "a"})

    run_on(url, use)


def test_a_server_that_is_away_is_told_after_a_bounded_time() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"postgresql://fileferry@127.0.0.1:{closed.getsockname()[1]}/away"

        async def run() -> None:
            database = PostgresqlDatabase(nowhere, structs.replace(SETTINGS, database_patience=Duration(seconds=1)))
            begun = time.monotonic()
            asked = [database.read(make), database.lookup(make), database.write(make)]
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(outcome, Unavailable)
                assert outcome.retry_after
            assert time.monotonic() - begun < 10
            await database.close()

        asyncio.run(run())


def test_whoever_holds_the_turn_for_too_long_is_not_waited_for(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()
        with psycopg.connect(url) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            with pytest.raises(Unavailable, match="lock timeout"):
                await database.write(adding)
        assert await database.write(adding) == 1

    run_on(url, use)


def test_a_writer_that_freezes_does_not_hold_up_the_others(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        frozen, adding, go_on = Adding(), Adding(), threading.Event()

        def freeze(conn: Connection) -> int:
            runs = frozen(conn)
            if runs == 1:
                go_on.wait(20)
            return runs

        freezing = asyncio.create_task(database.write(freeze))
        while not frozen.runs:
            await asyncio.sleep(0.01)
        patient = PostgresqlDatabase(url, structs.replace(SETTINGS, database_lock_timeout=Duration(seconds=20)))
        assert await patient.write(adding) == 1
        await patient.close()
        go_on.set()
        assert await freezing == 2
        assert await database.read(frozen.count) == 1

    run_on(url, use)


def test_a_statement_that_takes_too_long_is_ended(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        def rest(conn: Connection) -> None:
            conn.execute(text("SELECT pg_sleep(30)"))

        for ask in (database.read, database.lookup, database.write):
            with pytest.raises(Unavailable, match="statement timeout"):
                await ask(rest)

    run_on(url, use, structs.replace(SETTINGS, database_statement_timeout=Duration(milliseconds=100)))


def test_a_clock_that_is_wrong_is_moved_to_the_databases(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        clock = DatabaseClock(database, lambda: utc_now() + timedelta(hours=1))
        await clock.compare()
        assert abs(clock() - utc_now()) < timedelta(seconds=10)

    run_on(url, use)


def test_a_clock_that_steps_after_it_was_compared_moves_no_lease(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        step = timedelta()
        clock = DatabaseClock(database, lambda: utc_now() + step)
        await clock.compare()
        step = timedelta(hours=1)
        assert abs(clock() - utc_now()) < timedelta(seconds=10)

    run_on(url, use)


def test_nul_is_refused_where_it_cannot_be_kept(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()
        adding.name = "a\x00"
        for ask in (database.write(adding), database.read(adding.count), database.lookup(adding.count)):
            with pytest.raises(InvalidParameter):
                await ask

    run_on(url, use)


def test_a_bell_rings_at_an_event_of_another_process_and_at_nothing_else(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        other = PostgresqlDatabase(url, SETTINGS)
        id = new_id(utc_now())
        await other.write(organizations.insert_organization, Organization(id, id, id, False, utc_now()))
        bell = database.bell()
        await bell.wait(20)  # it rings once when it begins to hear
        begun = time.monotonic()
        await other.write(Adding())
        await bell.wait(0.2)
        assert time.monotonic() - begun >= 0.2
        begun = time.monotonic()
        row = {
            "organization_id": id,
            "file_id": "",
            "version_id": None,
            "type": "",
            "data": {},
            "created_at": utc_now(),
        }
        await other.write(events.append_all, [row])
        await bell.wait(20)
        assert time.monotonic() - begun < 10
        await other.close()

    run_on(url, use)


def test_who_sends_webhooks_is_woken_by_an_event_of_another_process(url: str) -> None:
    async def use(database: PostgresqlDatabase) -> None:
        other = PostgresqlDatabase(url, SETTINGS)
        id = new_id(utc_now())
        await other.write(organizations.insert_organization, Organization(id, id, id, False, utc_now()))
        sending = Deliveries(database, None, SETTINGS, utc_now)  # type: ignore[arg-type]
        await sending._wait(20)  # it rings once when it begins to hear
        waiting = asyncio.create_task(sending._wait(60))
        row = {
            "organization_id": id,
            "file_id": "",
            "version_id": None,
            "type": "",
            "data": {},
            "created_at": utc_now(),
        }
        await other.write(events.append_all, [row])
        await asyncio.wait_for(waiting, 30)
        await other.close()

    run_on(url, use)


def test_a_dump_is_restored_whole(url: str, tmp_path: Path) -> None:
    """As the page on PostgreSQL shows it."""

    async def use(database: PostgresqlDatabase) -> None:
        adding = Adding()
        await database.write(adding)
        empty = postgresql.new_database()
        dump = tmp_path / "fileferry.dump"
        subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", url], check=True)
        subprocess.run(["pg_restore", "--no-owner", f"--dbname={empty}", dump], check=True)
        restored = PostgresqlDatabase(empty, SETTINGS)
        assert await restored.read(adding.count) == 1
        await restored.close()

    run_on(url, use)


def test_many_who_start_at_once_make_the_tables_once() -> None:
    empty = postgresql.new_database()
    failed: list[Exception] = []

    def start() -> None:
        try:
            migrate_postgresql(empty, SETTINGS)
        except Exception as error:
            failed.append(error)

    starting = [threading.Thread(target=start) for _ in range(4)]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    assert not failed
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(NEWEST,)]
