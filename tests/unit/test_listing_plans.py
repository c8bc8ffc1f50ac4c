"""How SQLite finds files: the statements that the engine runs, as it runs them, never read a table from end to end.

Nothing is analysed before, so that the plans are those of a workspace of any size.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event

from fileferry.app import opened
from fileferry.db.connections import writer_engine
from fileferry.db.statements import Kept
from fileferry.engine.engine import Engine as Ferry
from fileferry.model import Bound, Principal, Search
from unit.service import ROOT_KEY, Service

pytestmark = pytest.mark.sqlite

Asking = Callable[[Ferry, Principal, dict[str, Any]], Coroutine[Any, Any, Any]]
SORT = "USE TEMP B-TREE"
OF_FILES = re.compile(r"SELECT .*FROM (files|versions)\b", re.DOTALL)
RECENT = Bound("gte", datetime(2029, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Plan:
    """How one statement comes to its answer, step by step; one with a limit may stop once it has a page."""

    steps: list[str]
    has_limit: bool

    def slow_steps(self) -> list[str]:
        """Return the steps that read or sort a table, or all of a workspace."""
        return [step for step in self.steps if _is_slow(step)]


def _is_slow(step: str) -> bool:
    reads_all_files = step.startswith("SEARCH files") and step.endswith("(workspace_id=?)")
    return step.startswith(("SCAN files", "SCAN versions")) or SORT in step or reads_all_files


class Plans:
    """Asks an engine and tells how the database came to the answer."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._plain = writer_engine(service.settings.resolved_database_url())
        self._plain.connect().close()
        file = service.upload(b"first", path="d/a.txt")
        self.file = service.upload(b"second", path="d/a.txt")
        service.request("DELETE", f"/api/files/{service.upload(b'third', path='b.txt')['id']}")
        assert file["id"] == self.file["id"]
        service.request("PATCH", "/api/workspaces/default", json={"keep_versions_for": "1h"})

    def of(self, ask: Asking) -> list[Plan]:
        """Return the plan of every query of files or versions that ``ask`` runs."""
        statements: list[tuple[str, Any]] = []

        def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
            statements.append((statement, parameters))

        def note_kept(self: Kept, conn: Any, parameters: Any) -> Any:
            found = execute(self, conn, parameters)
            statements.append((found[0].sql, tuple(found[0].values(parameters))))
            return found

        execute = Kept._execute

        async def run() -> None:
            async with opened(self._service.settings, self._service.clock) as engine:
                principal = await engine.keys.authenticate(ROOT_KEY, None)
                event.listen(Engine, "before_cursor_execute", note)
                try:
                    with mock.patch.object(Kept, "_execute", note_kept):
                        await ask(engine, principal, self.file)
                finally:
                    event.remove(Engine, "before_cursor_execute", note)

        asyncio.run(run())
        return [self._explain(*asked) for asked in statements if OF_FILES.match(asked[0])]

    def close(self) -> None:
        self._plain.dispose()

    def _explain(self, statement: str, parameters: Any) -> Plan:
        with self._plain.connect() as connection:
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return Plan([row[3] for row in found], " LIMIT " in statement)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    """Plans of a service with a few files."""
    service = Service(Path(tmp_path_factory.mktemp("plans")))
    made = Plans(service)
    yield made
    made.close()
    service.close()


def search(**asked: Any) -> Asking:
    return lambda engine, principal, file: engine.files.search(principal, None, Search(**asked))


LISTINGS = {
    "of an end user": (
        lambda engine, principal, file: engine.end_users.list(replace(principal, end_user="ada"), 0, 100),
        "files_by_end_user",
    ),
    "as usual": (search(), "files_by_creation"),
    "by creation": (search(order_by=(("created_at", False),)), "files_by_creation"),
    "by creation, newest first": (search(order_by=(("created_at", True),)), "files_by_creation"),
    "by change": (search(order_by=(("modified_at", False),)), "files_by_change"),
    "by change, newest first": (search(order_by=(("modified_at", True),)), "files_by_change"),
    "deleted ones": (search(deleted=True), "files_to_restore"),
    "deleted ones, newest first": (search(deleted=True, order_by=(("deleted_at", True),)), "files_to_restore"),
    "by path": (search(order_by=(("path", False),)), "files_by_path"),
    "of a time": (search(created_at=(RECENT,)), "files_by_creation"),
    "changed in a time": (search(modified_at=(RECENT,), order_by=(("modified_at", False),)), "files_by_change"),
    "a later page": (search(offset=100, limit=100), "files_by_creation"),
    "a page for people": (
        lambda engine, principal, file: engine.browsing.view(principal, None, "", limit=50),
        "files_by_change",
    ),
    "a later page for people": (
        lambda engine, principal, file: engine.browsing.view(principal, None, "", after=(2**60, file["id"]), limit=50),
        "files_by_change",
    ),
    "under a prefix": (
        lambda engine, principal, file: engine.files.list_by_path(principal, None, "d/", None, 100),
        "files_by_path",
    ),
    "past a path": (
        lambda engine, principal, file: engine.files.list_by_path(principal, None, "", ("d", "0"), 100),
        "files_by_path",
    ),
    "newest of an organization": (
        lambda engine, principal, file: engine.files.list_newest(principal, None, 100),
        "files_by_organization",
    ),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_walks_along_an_index(plans: Plans, name: str) -> None:
    ask, index = LISTINGS[name]
    page, *others = plans.of(ask)
    assert any(step.startswith(f"SEARCH files USING INDEX {index} ") for step in page.steps), page
    assert page.has_limit
    # In the order of the listing, a page is as far as it goes.
    assert page.slow_steps() in ([], [f"SEARCH files USING INDEX {index} (workspace_id=?)"])
    refuse_slow(others)


def for_user(principal: Principal) -> Principal:
    return replace(principal, end_user="ada")


def in_folder(principal: Principal) -> Principal:
    return replace(principal, key=replace(principal.key, path_prefix="d"))


PARTS: dict[str, tuple[Asking, str]] = {
    "a folder on a page for people": (
        lambda engine, principal, file: engine.browsing.view(principal, None, "d", limit=50),
        "files_by_folder (folder_id=?)",
    ),
    "an end user's newest": (
        lambda engine, principal, file: engine.files.list_newest(for_user(principal), None, 100),
        "files_by_end_user (organization_id=? AND end_user=?)",
    ),
    "an end user's by path": (
        lambda engine, principal, file: engine.files.list_by_path(for_user(principal), None, "", None, 100),
        "files_by_end_user (organization_id=? AND end_user=?)",
    ),
    "an end user's as searched": (
        lambda engine, principal, file: engine.files.search(for_user(principal), None, Search()),
        "files_by_end_user (organization_id=? AND end_user=?)",
    ),
    "a folder's by path": (
        lambda engine, principal, file: engine.files.list_by_path(in_folder(principal), None, "", None, 100),
        "files_by_path (workspace_id=? AND path>? AND path<?)",
    ),
    "a folder's as searched": (
        lambda engine, principal, file: engine.files.search(in_folder(principal), None, Search()),
        "files_by_path (workspace_id=? AND path>? AND path<?)",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_who_sees_a_part_has_no_more_than_that_read(plans: Plans, name: str) -> None:
    ask, index = PARTS[name]
    found = plans.of(ask)
    assert found
    assert all(f"SEARCH files USING INDEX {index}" in plan.steps for plan in found), found


GETS: dict[str, tuple[Asking, str]] = {
    "by id": (
        lambda engine, principal, file: engine.files.get(principal, file["id"]),
        "SEARCH files USING INDEX sqlite_autoindex_files_1 (id=?)",
    ),
    "by path": (
        lambda engine, principal, file: engine.files.at(principal, None, file["path"]),
        "SEARCH files USING INDEX files_by_owned_path (workspace_id=? AND path=?)",
    ),
    "one version": (
        lambda engine, principal, file: engine.files.get(principal, file["id"], number=int(file["version_id"])),
        "SEARCH versions USING INDEX versions_of_file (file_id=?)",
    ),
    "all versions": (
        lambda engine, principal, file: engine.files.versions(principal, file["id"]),
        "SEARCH versions USING INDEX versions_of_file (file_id=?)",
    ),
    "by public link": (
        lambda engine, principal, file: engine.files.open_public(file["url"].split("/")[-2]),
        "SEARCH versions USING INDEX sqlite_autoindex_versions_1 (id=?)",
    ),
}


@pytest.mark.parametrize("name", GETS)
def test_a_file_is_looked_up_in_an_index(plans: Plans, name: str) -> None:
    ask, expected = GETS[name]
    found = plans.of(ask)
    assert any(expected in plan.steps for plan in found), found
    refuse_slow(found)


def test_the_sweeper_finds_what_is_over_in_indexes(plans: Plans) -> None:
    found = plans.of(lambda engine, principal, file: engine.sweeper.sweep())
    # This index has nothing but files that wait for their first version, and all versions are counted now and then.
    known = ("SCAN files USING INDEX files_to_come", "SCAN versions")
    slow = [step for plan in found for step in plan.slow_steps() if step not in known]
    assert len(found) > 5
    assert not slow, found


@pytest.mark.parametrize(
    "ask",
    [
        search(name="part"),
        lambda engine, principal, file: engine.browsing.view(principal, None, "", name="part", limit=50),
    ],
    ids=["a listing", "a page for people"],
)
def test_a_part_of_a_name_is_looked_up_in_an_index(plans: Plans, ask: Asking) -> None:
    found = plans.of(ask)
    assert [plan for plan in found if "SEARCH files USING INDEX sqlite_autoindex_files_1 (id=?)" in plan.steps]
    for plan in found:
        assert any(step.startswith("SCAN names_index VIRTUAL TABLE INDEX 0:M") for step in plan.steps), plan
        assert not [step for step in plan.slow_steps() if step != f"{SORT} FOR ORDER BY"], plan


def test_a_short_part_of_a_name_reads_the_whole_workspace_but_sorts_nothing(plans: Plans) -> None:
    found = plans.of(search(name="pa"))
    assert any("SEARCH files USING INDEX files_by_creation (workspace_id=?)" in plan.steps for plan in found), found
    assert not [step for plan in found for step in plan.steps if SORT in step]


def refuse_slow(found: list[Plan]) -> None:
    assert not [step for plan in found for step in plan.slow_steps()], found
