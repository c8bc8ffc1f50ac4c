"""Small files that are fetched again and again: served from memory, and never when they would not be from the database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, create_engine

from fileferry.db import files
from fileferry.db.generations import Generation, generation
from fileferry.engine.files.hot import Hot, HotFile
from support.live_server import LiveServer
from unit.service import Service

CONTENT = b"fetched again and again"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the versions whose rows, or bytes, were read."""
    seen: list[str] = []

    def reading(read: Callable[..., Any], conn: Any, version_id: str) -> Any:
        seen.append(version_id)
        return read(conn, version_id)

    for name in ("find_by_version", "read_inline"):
        monkeypatch.setattr(files, name, partial(reading, getattr(files, name)))
    return seen


def hot(service: Service, **parameters: str) -> dict[str, Any]:
    """Upload a file, and fetch it until it is served from memory and its fetches are written."""
    file = service.upload(CONTENT, **parameters)
    for _ in range(2):
        assert service.fetch(file["url"]).content == CONTENT
    service.write_fetches()
    service.fetch(file["url"])
    return file


@pytest.mark.sqlite
def test_nothing_is_read_while_nothing_was_written(service: Service, rows: list[str]) -> None:
    url = hot(service)["url"]
    rows.clear()
    answers = [service.fetch(url) for _ in range(5)]
    assert rows == []
    for answer in answers:
        assert (answer.status_code, answer.content) == (200, CONTENT)


def test_from_memory_and_from_the_database_are_one_answer(service: Service) -> None:
    url = hot(service, expires_in="40s")["url"]
    told = []
    for headers in ({}, {"If-None-Match": '"other"'}):
        answer = service.request("GET", url, key=None, headers=headers)
        fields = dict(answer.headers)
        del fields["x-request-id"]
        told.append((answer.status_code, fields, answer.content))
    assert told[0] == told[1]
    assert told[0][1]["cache-control"] == "public, max-age=40"


@pytest.mark.sqlite
def test_other_writes_are_looked_past(service: Service, rows: list[str]) -> None:
    url = hot(service)["url"]
    service.upload(b"another", path="another")
    rows.clear()
    assert [service.fetch(url).content for _ in range(3)] == [CONTENT] * 3
    assert len(rows) == 1, "its row was looked at once, its bytes were not"


def test_a_life_ends_on_the_second(service: Service) -> None:
    url = hot(service, expires_in="100s")["url"]
    service.pass_time(seconds=99)
    assert service.fetch(url).headers["cache-control"] == "public, max-age=1"
    service.pass_time(seconds=1)
    assert service.fetch(url).status_code == 410


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [("DELETE", None, 410), ("PATCH", {"expires_in": "10s"}, 410)],
    ids=["deleted", "shortened"],
)
def test_what_ends_it_counts_at_once(service: Service, method: str, change: Any, status: int) -> None:
    file = hot(service)
    answer = service.request(method, f"/api/files/{file['id']}", json=change)
    assert answer.is_success, answer.text
    service.pass_time(seconds=10 if change else 0)
    assert service.fetch(file["url"]).status_code == status


def test_a_new_name_is_said_at_once(service: Service) -> None:
    file = hot(service)
    assert service.request("PATCH", f"/api/files/{file['id']}", json={"path": "renamed.txt"}).is_success
    assert "renamed.txt" in service.fetch(file["url"]).headers["content-disposition"]


def test_options_conditions_and_ranges_are_heard(service: Service) -> None:
    url = hot(service, path="page.txt")["url"]
    etag = service.fetch(url).headers["etag"]
    assert service.request("GET", url, key=None, headers={"If-None-Match": etag}).status_code == 304
    assert service.request("GET", url, key=None, headers={"Range": "bytes=0-3"}).content == CONTENT[:4]
    assert service.fetch(f"{url}?download=1").headers["content-disposition"].startswith("attachment")
    assert "x-ms-blob-type" in service.request("GET", url, key=None, headers={"x-ms-version": "2020-10-02"}).headers
    head = service.request("HEAD", url, key=None)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(CONTENT)))


def test_counted_fetches_are_counted_down(service: Service) -> None:
    url = service.upload(CONTENT, expires_after_fetches="3")["url"]
    assert [service.fetch(url).status_code for _ in range(4)] == [200, 200, 200, 410]


def test_whole_fetches_are_told_of(service: Service) -> None:
    url = service.upload(CONTENT)["url"]
    for _ in range(5):
        service.fetch(url)
    service.write_fetches()
    page = service.request("GET", "/api/events?after=0&types=file.fetched", headers={"Accept": "application/json"})
    assert len(page.json()["events"]) == 5


def test_memory_is_bounded() -> None:
    kept = Hot(64 * 1024)
    files_of = {f"token-{number}": HotFile(None, bytes(4096), []) for number in range(20)}  # type: ignore[arg-type]
    for token, file in files_of.items():
        kept.keep(token, file)
        kept.find("token-0")
    found = [token for token in files_of if kept.find(token) is not None]
    assert found == ["token-0", *(f"token-{number}" for number in range(13, 20))]


@pytest.mark.sqlite
def test_what_another_process_does_counts_at_once(tmp_path: Path) -> None:
    serving = LiveServer(tmp_path)
    changing = LiveServer(tmp_path, {"root_key": serving.root_key})
    try:
        serving.start()
        changing.start()
        headers = {"X-API-Key": serving.root_key}
        with httpx.Client(trust_env=False, timeout=60) as client:
            file = client.put(f"{serving.url}/api/upload/a.txt", content=CONTENT, headers=headers).json()
            assert {client.get(file["url"]).status_code for _ in range(4)} == {200}
            at = f"{changing.url}/api/files/{file['id']}"
            assert client.patch(at, headers=headers, json={"path": "moved.txt"}).is_success
            assert "moved.txt" in client.get(file["url"]).headers["content-disposition"]
            assert client.delete(at, headers=headers).is_success
            assert client.get(file["url"]).status_code == 410
    finally:
        changing.close()
        serving.close()


async def generations(connection: Connection, count: int) -> list[Generation]:
    """Ask for them in one turn of the loop."""
    return [generation(connection) for _ in range(count)]


def test_a_database_that_was_opened_anew_is_of_another_generation(tmp_path: Path) -> None:
    """SQLite counts for each connection: what two of them tell may be the same number."""
    seen = set()
    for _ in range(2):
        engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
        with engine.connect() as connection, asyncio.Runner() as turns:
            seen |= {turns.run(generations(connection, 1))[0] for _ in range(2)}
        engine.dispose()
    assert len(seen) == 2
    assert len({number for _, number in seen}) == 1, "the case is none if the numbers differ"


def test_the_database_is_asked_for_its_generation_once_in_a_turn_of_the_loop(tmp_path: Path) -> None:
    asked: list[str] = []
    file = tmp_path / "a.db"
    engine, another = create_engine(f"sqlite:///{file}"), sqlite3.connect(file, isolation_level=None)
    another.execute("CREATE TABLE noted (id INTEGER)")
    with engine.connect() as connection, asyncio.Runner() as turns:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(asked.append)
        before = [*turns.run(generations(connection, 5)), *turns.run(generations(connection, 5))]
        another.execute("INSERT INTO noted VALUES (1)")
        after = turns.run(generations(connection, 5))
    engine.dispose()
    another.close()
    assert len(set(before)) == len(set(after)) == 1
    assert before[0] != after[0]
    assert asked == ["PRAGMA data_version"] * 3
