"""A part of a name finds the same files whether the index has them, has them not yet, or there is none; on both databases."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, event, select

from fileferry.app import opened
from fileferry.db import names
from fileferry.db.listings import search
from fileferry.db.schema import names as indexed
from fileferry.db.schema import names_progress, workspaces
from fileferry.model import Search
from support import postgresql
from unit.service import Service

NAMES = [
    "Report 2026.pdf",
    "report_2027.pdf",
    "100% sure.txt",
    "under_score.txt",
    'a "quoted" name',
    "ÜBERSICHT.txt",
    "übersicht-2.txt",
    "ὈΔΥΣΣΕΎΣ.txt",
    "İstanbul",
    "契約書の写し.pdf",
    "🎉🎊🎈 party",
    "aaaa",
    "--- ---",
    "x",
]
PARTS = [
    "rep",
    "REPORT",
    "t_2",
    "0% ",
    "k\\s",
    '"qu',
    "übers",
    "Ü",
    "u\u0308b",
    "ΣΣΕ",
    "σεύς",
    "i\u0307st",
    "契約書",
    "の写し.",
    "🎉🎊🎈",
]
PARTS += ["aaa", "aaaaa", "---", "pdf", ".pdf", "x", "", "no such", "*", "rep*", "NEAR(a b)", "a OR b", "202_", "%%%"]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgresql"))])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on each database, with a file of each name."""
    folder = Path(tmp_path_factory.mktemp("names"))
    given = {} if request.param == "sqlite" else {"database_url": postgresql.new_database(prepared=True)}
    given = given or {"database_url": f"sqlite:///{folder}/fileferry.db"}
    made = Service(folder, **given)
    for number, name in enumerate(NAMES):
        file = made.upload(path=f"{number}/{number}")
        renamed = made.request("PATCH", f"/api/files/{file['id']}", json={"name": name})
        assert renamed.is_success, renamed.text
    yield made
    made.close()


def on(service: Service, call: Any, *arguments: Any) -> Any:
    """Run a function of a connection in a transaction of the service's database."""

    async def run() -> Any:
        async with opened(service.settings, service.clock) as engine:
            return await engine.database.write(call, *arguments)

    return asyncio.run(run())


def found_all(service: Service, parts: list[str], **asked: Any) -> dict[str, list[str]]:
    """Return the names of the files that each part finds."""

    def run(conn: Connection) -> dict[str, list[str]]:
        (workspace_id,) = conn.execute(select(workspaces.c.id)).scalars()
        pages = {part: search(conn, workspace_id, Search(name=part, **asked), service.now) for part in parts}
        return {part: sorted(each.file.name for each in page) for part, page in pages.items()}

    pages: dict[str, list[str]] = on(service, run)
    return pages


def found(service: Service, part: str, **asked: Any) -> list[str]:
    """Return the names of the files that a part finds."""
    return found_all(service, [part], **asked)[part]


def take_all_up(service: Service) -> None:
    def run(conn: Connection) -> None:
        while names.take_up(conn, 3):
            pass

    on(service, run)


def is_narrowed(service: Service, part: str) -> bool:
    return bool(on(service, lambda conn: names.candidates(conn, part) is not None))


def expected(part: str) -> list[str]:
    return sorted(name for name in NAMES if part.lower() in name.lower())


def test_every_part_is_found_in_every_state_of_the_index(service: Service) -> None:
    parts, wanted = PARTS, {part: expected(part) for part in PARTS}
    assert found_all(service, parts) == wanted, "none is in the index yet"
    take_all_up(service)
    assert on(service, lambda conn: len(conn.execute(select(indexed.c.name)).all())) == len(NAMES)
    asked = [*parts, "a\x00bc"]
    narrowed = on(service, lambda conn: [part for part in asked if names.candidates(conn, part.lower()) is not None])
    assert narrowed == [part for part in parts if len(part.lower()) >= 3]
    assert found_all(service, parts) == wanted, "all are in the index"
    on(service, lambda conn: conn.execute(delete(names_progress)) and None)
    assert not is_narrowed(service, "report")
    assert found_all(service, parts) == wanted, "there is no index"
    # As an upgrade leaves it: there are files from before.
    on(service, lambda conn: conn.execute(names_progress.insert().values(event_id=10**6, file_id="")) and None)
    on(service, lambda conn: conn.execute(delete(indexed)) and None)
    assert not is_narrowed(service, "report")
    take_all_up(service)
    assert is_narrowed(service, "report")
    on(service, lambda conn: conn.execute(names_progress.update().values(event_id=0)) and None)
    assert found_all(service, parts) == wanted, "the old ones were taken up"


def test_a_file_is_found_by_its_name_at_every_turn_of_its_life(service: Service) -> None:
    take_all_up(service)
    file = service.upload(path="turns/first-name")
    assert found(service, "first-name") == ["first-name"]
    take_all_up(service)
    assert found(service, "first-name") == ["first-name"]
    assert service.request("PATCH", f"/api/files/{file['id']}", json={"name": "Other.Wörd"}).is_success
    assert (found(service, "first-name"), found(service, "r.WÖRD")) == ([], ["Other.Wörd"])
    assert service.request("DELETE", f"/api/files/{file['id']}").is_success
    assert (found(service, "wörd"), found(service, "wörd", deleted=True)) == ([], ["Other.Wörd"])
    assert service.request("POST", f"/api/files/{file['id']}/restore").is_success
    assert found(service, "wörd") == ["Other.Wörd"]
    service.request("DELETE", f"/api/files/{file['id']}", params={"permanent": "true"})
    service.sweep()
    service.pass_time(days=31)
    service.sweep()
    assert on(service, lambda conn: conn.execute(select(indexed).where(indexed.c.name == "other.wörd")).all()) == []


def test_a_file_that_waits_to_be_judged_is_found(tmp_path: Path) -> None:
    service = Service(tmp_path, allowed_types="text/plain")
    try:
        take_all_up(service)
        answer = service.request("POST", "/v1/files", files={"file": ("waiting.txt", b"abc", "text/plain")})
        assert answer.json()["status"] == "processing", answer.text
        take_all_up(service)
        assert (is_narrowed(service, "waiting"), found(service, "waiting")) == (True, ["waiting.txt"])
        service.process()
        assert found(service, "waiting") == ["waiting.txt"]
        take_all_up(service)
        assert found(service, "waiting") == ["waiting.txt"]
    finally:
        service.close()


def test_no_event_is_forgotten_whose_file_the_index_does_not_have(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        on(service, lambda conn: conn.execute(names_progress.update().values(file_id="")) and None)
        for number in range(3):
            service.upload(path=f"kept-{number}")
        service.pass_time(days=31)
        service.sweep()
        assert found(service, "kept-") == ["kept-0", "kept-1", "kept-2"]
    finally:
        service.close()


@pytest.mark.service("postgresql")
def test_an_index_that_could_not_be_made_is_made_at_a_later_start(tmp_path: Path) -> None:
    """As PostgreSQL without pg_trgm: nothing is made, and no row says how far it is."""
    url = postgresql.new_database()
    with mock.patch.object(
        sys.modules["fileferry.db.schema.names"], "_POSTGRESQL", ("CREATE EXTENSION no_such_extension",)
    ):
        service = Service(tmp_path, database_url=url)
    try:
        service.upload(path="some-name")
        take_all_up(service)
        assert (is_narrowed(service, "me-na"), found(service, "me-na")) == (False, ["some-name"])
    finally:
        service.close()
    again = Service(tmp_path, database_url=url)
    try:
        take_all_up(again)
        assert (is_narrowed(again, "me-na"), found(again, "me-na")) == (True, ["some-name"])
    finally:
        again.close()


@pytest.mark.service("postgresql")
def test_a_database_of_before_is_upgraded_while_servers_of_before_go_on(tmp_path: Path) -> None:
    url = postgresql.new_database()
    before = Service(tmp_path, database_url=url)
    before.upload(path="first-name")
    with psycopg.connect(url) as connection:
        connection.execute("DROP FUNCTION file_renamed, file_forgotten CASCADE")
        connection.execute("DROP INDEX events_by_file")
        connection.execute("ALTER TABLE uploads DROP COLUMN request_id")
        later = "names, names_progress, rates, short_urls, batches, sessions, shares, share_files, file_requests, sent_files"
        later += ", lent_keys, accounts, commits, key_uses, processes"
        connection.execute(f"DROP TABLE {later}")
        connection.execute("ALTER TABLE direct_uploads DROP COLUMN pinned")
        connection.execute("ALTER TABLE organizations DROP COLUMN redirect")
        connection.execute("UPDATE alembic_version SET version_num = '0007'")
    after = Service(tmp_path, database_url=url)
    try:
        take_all_up(after)
        assert (is_narrowed(after, "first"), found(after, "first-n")) == (True, ["first-name"])
        # What a server of before does, which knows none of the new tables.
        file = before.upload(path="second-name")
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE files SET name = 'Third-Name' WHERE name = 'first-name'")
        assert (found(after, "first-n"), found(after, "third-n")) == ([], ["Third-Name"])
        assert found(after, "second-n") == ["second-name"]
        assert before.request("DELETE", f"/api/files/{file['id']}").is_success
        assert found(after, "second-n") == []
    finally:
        before.close()
        after.close()


@pytest.mark.service("postgresql")
def test_postgresql_looks_a_part_up_in_its_index(tmp_path: Path) -> None:
    url = postgresql.new_database(prepared=True)
    service = Service(tmp_path, database_url=url)
    try:
        service.upload(path="first")
        with psycopg.connect(url) as connection:
            fill(connection)
        plans: list[str] = on(service, explained)
    finally:
        service.close()
    assert len(plans) == 2, "how many there may be, and a page of those that there are"
    for plan in plans:
        assert "Bitmap Index Scan on names_index" in plan, plan
        assert "Seq Scan on names" not in plan, plan
    assert "Seq Scan on files" not in plans[-1], plans[-1]
    assert "Seq Scan on versions" not in plans[-1], plans[-1]


def fill(connection: psycopg.Connection[Any]) -> None:
    """Have 3,000 files more, and their names in the index."""
    for table, changed in (
        ("files", {"id": "n::text", "name": "md5(n::text)", "path": "n::text", "current_version_id": "n::text"}),
        ("versions", {"id": "n::text", "file_id": "n::text", "blob_key": "NULL"}),
    ):
        columns = connection.execute(
            f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
        ).fetchall()
        given = {f'"{column}"': changed.get(column, f'"{column}"') for (column,) in columns}
        into, chosen = ", ".join(given), ", ".join(given.values())
        connection.execute(f"INSERT INTO {table} ({into}) SELECT {chosen} FROM {table}, generate_series(1, 3000) n")
    connection.execute("INSERT INTO names (file_id, name) SELECT id, name FROM files")
    connection.execute("ANALYZE")


def explained(conn: Connection) -> list[str]:
    """Return the plan of each statement of a search that asks the index."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    (workspace_id,) = conn.execute(select(workspaces.c.id)).scalars()
    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert len(search(conn, workspace_id, Search(name="abcd"), datetime(2030, 1, 1, tzinfo=UTC))) > 0
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    plans = []
    for statement, parameters in asked:
        if "LIKE" in statement:
            plans.append("\n".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN {statement}", parameters)))
    return plans
