"""Both databases keep the contract of every Database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from fileferry.db.conformance import CHECKS, Check
from fileferry.db.database import Database, SqliteDatabase
from fileferry.db.migration import migrate
from fileferry.db.postgresql import PostgresqlDatabase
from fileferry.settings import Settings
from support import postgresql
from support.pgbouncer import LivePgbouncer

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    pytest.param("pgbouncer", marks=[pytest.mark.service("postgresql"), pytest.mark.service("pgbouncer")]),
]


@pytest.fixture(scope="module", params=DATABASES)
def opening(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Database]]:
    """How to open a database that has the tables, as often as one likes."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('conformance') / 'test.db'}"
        migrate(url)
        yield lambda: SqliteDatabase(url)
        return
    url = postgresql.new_database(prepared=True)
    if request.param == "postgresql":
        yield lambda: PostgresqlDatabase(url, Settings())
        return
    with LivePgbouncer(url) as pooler:
        yield lambda: PostgresqlDatabase(pooler.url, Settings(database_pooler=True, database_listen_url=url))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_database_keeps_its_contract(check: Check, opening: Callable[[], Database]) -> None:
    asyncio.run(check(opening))
