"""`fileferry migrate-database`: every row comes over, an interrupted copy goes on, and nothing is overwritten."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest

from fileferry.db import copying
from fileferry.errors import Unavailable
from fileferry.settings import Settings, SettingsError
from support import postgresql
from unit.service import Service

pytestmark = pytest.mark.service("postgresql")

CONTENTS = {"a/small.txt": b"small", "a/large.bin": b"large" * 20_000, "ÜBER.txt": b"", 'q"uote.txt': b"%_\\"}


def copy(source: str, target: str, told: Callable[[str, int], None] = lambda table, rows: None) -> copying.Copied:
    return copying.copy(source, target, Settings(), told)


def filled(folder: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Make a database with something in most tables; return its URL and the files by path."""
    url = f"sqlite:///{folder}/fileferry.db"
    service = Service(folder, database_url=url)
    files = {path: service.upload(content, path=path) for path, content in CONTENTS.items()}
    service.upload(b"second", path="a/small.txt", metadata='{"β": [1, null, "x"]}')
    assert service.request(
        "POST", "/api/uploads", json={"name": "open.bin", "parts": True, "part_size": 65536}
    ).is_success
    assert service.request("POST", "/api/webhooks", json={"url": "https://203.0.113.9/hook"}).is_success
    assert service.request("DELETE", f"/api/files/{service.upload(b'x', path='gone')['id']}").is_success
    service.close()
    return url, files


def test_a_service_goes_on_with_the_copy_where_it_was(tmp_path: Path) -> None:
    url, files = filled(tmp_path)
    target = postgresql.new_database()
    copied = copy(url, target)
    assert copied.rows["files"] == len(CONTENTS) + 1
    assert copied.rows["uploads"] == copied.rows["webhooks"] == 1
    assert sorted(path.name for path in tmp_path.glob("fileferry.db*")) == ["fileferry.db-copied"]
    service = Service(tmp_path, database_url=target)
    try:
        events = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"}).json()["events"]
        service.upload(b"new", path="new")
        after = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"}).json()["events"]
        assert [each["id"] for each in after[:-1]] == [each["id"] for each in events]
        assert int(after[-1]["id"]) == int(events[-1]["id"]) + 1
        # Only now: that they were fetched is an event too, which is told some time later.
        for path, content in CONTENTS.items():
            assert service.fetch(files[path]["url"].partition("service")[2]).content == content
        assert service.request("GET", "/file/v2/orgs/x/workspaces/x/files").status_code in (403, 404)
        assert service.scan(fix=False).is_sound
    finally:
        service.close()


@pytest.mark.parametrize("pages", [1, 4])
def test_an_interrupted_copy_goes_on_where_it_was(tmp_path: Path, pages: int) -> None:
    url, _files = filled(tmp_path)
    target = postgresql.new_database()
    real, left = copying._key, [pages]

    def interrupted(table: Any, row: Any) -> list[Any]:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(table, row)

    with mock.patch.object(copying, "_PAGE", 2):
        with mock.patch.object(copying, "_key", interrupted), pytest.raises(KeyboardInterrupt):
            copy(url, target)
        with psycopg.connect(target) as connection:
            begun = connection.execute("SELECT count(*) FROM fileferry_copy WHERE last IS NOT NULL").fetchone()
        assert begun is not None
        assert begun[0] > 0
        assert copy(url, target).rows["files"] == len(CONTENTS) + 1


def test_no_server_takes_a_part_of_a_copy_for_a_database(tmp_path: Path) -> None:
    url, _files = filled(tmp_path)
    target = postgresql.new_database()
    with mock.patch.object(copying, "_compare", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        copy(url, target)
    with pytest.raises(SettingsError, match="no database of fileferry"):
        Service(tmp_path, database_url=target)
    copy(url, target)


def test_a_copy_of_what_changed_meanwhile_is_no_success(tmp_path: Path) -> None:
    url, _files = filled(tmp_path)
    target = postgresql.new_database()
    with mock.patch.object(copying, "_compare", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        copy(url, target)
    with sqlite3.connect(tmp_path / "fileferry.db") as database:
        database.execute("UPDATE workspaces SET name = 'other'")
    database.close()
    with pytest.raises(Unavailable, match="The copies of workspaces differ"):
        copy(url, target)
    assert os.path.exists(tmp_path / "fileferry.db")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    url, _files = filled(tmp_path)
    for words in (None, "CREATE TABLE of_another_program (a int)"):
        target = postgresql.new_database(prepared=words is None)
        if words is not None:
            with psycopg.connect(target) as connection:
                connection.execute(words)
        with pytest.raises(SettingsError, match="has tables already"):
            copy(url, target)
    other, _files = filled(tmp_path / "other")
    target = postgresql.new_database()
    with mock.patch.object(copying, "_compare", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        copy(other, target)
    with pytest.raises(SettingsError, match="a part of another copy"):
        copy(url, target)


def test_what_cannot_be_copied_is_told_before_anything_is_made(tmp_path: Path) -> None:
    url, _files = filled(tmp_path)
    target = postgresql.new_database()
    for source, to in ((url, url), (target, target)):
        with pytest.raises(SettingsError, match="from sqlite:///PATH to postgresql"):
            copy(source, to)
    with pytest.raises(SettingsError, match="There is no database"):
        copy(f"sqlite:///{tmp_path}/none.db", target)
    with sqlite3.connect(tmp_path / "fileferry.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0004'")
    database.close()
    with pytest.raises(SettingsError, match="has schema 0004"):
        copy(url, target)
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
