"""Files are moved to another store by the commands that the docs show, while clients go on, and whatever is killed on the way."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from faults.waiting import eventually
from support import fork_server
from support.live_server import LiveServer, MakeServer

PAGE = Path(__file__).parents[1] / "docs" / "stores.md"
SIZE = 200_000
PART = 65536


def shown() -> list[str]:
    """Return the words of the command that the page shows."""
    (command,) = set(re.findall(r"^(fileferry migrate-store \S+)$", PAGE.read_text(), re.MULTILINE))
    words = shlex.split(command)
    assert words[:2] == ["fileferry", "migrate-store"]
    return words[1:-1]


def put(http: httpx.Client, kept: dict[str, bytes], name: str) -> None:
    content = os.urandom(SIZE)
    http.put(f"/api/upload/{name}", content=content).raise_for_status()
    kept[name] = content


def assert_served(http: httpx.Client, kept: Mapping[str, bytes]) -> None:
    for name, content in kept.items():
        file = http.get(f"/api/files/path/{name}").raise_for_status().json()
        assert http.get(file["url"]).content == content, name


def delete(http: httpx.Client, kept: dict[str, bytes], name: str) -> None:
    http.delete(f"/api/files/{http.get(f'/api/files/path/{name}').json()['id']}").raise_for_status()
    del kept[name]


def sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in (folder / "blobs").rglob("*") if path.is_file()]


def part(http: httpx.Client, ticket: dict[str, Any], number: int, content: bytes) -> None:
    http.put(f"{ticket['part_url']}&partNumber={number}", content=content).raise_for_status()


def restart(server: LiveServer, **settings: str) -> None:
    server.stop()
    for name in ("store", "store_before"):
        server._settings.pop(name, None)
    server._settings.update(settings)
    server.start()


@pytest.mark.sqlite  # looks into the folder
def test_a_server_moves_to_another_store_while_clients_go_on(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(sweep_interval="1s", restore_window="1s", log_level="warning")
    new = tmp_path / "new"
    to = f"file://{new}"
    kept: dict[str, bytes] = {}
    with server.client() as http:
        for number in range(12):
            put(http, kept, f"before-{number}")
        halves = os.urandom(2 * PART)
        ticket = http.post("/api/uploads", json={"path": "halves", "size": 2 * PART, "part_size": PART}).json()
        part(http, ticket, 1, halves[:PART])
        # Slow, and killed in the middle; then from there to the end, while clients go on.
        record = server.data / "moved.json"
        slow = fork_server.shared().start(
            [*shown(), to, "--rate", "3MB", "--data", str(server.data)], environment=server.environment
        )
        eventually(lambda: record.exists() and json.loads(record.read_bytes())["last"], "some files are there")
        os.killpg(slow.pid, signal.SIGKILL)
        slow.wait()
        assert 0 < len(sizes(new)) < 12
        going_on = fork_server.shared().start(
            [*shown(), to, "--rate", "2MB", "--data", str(server.data)], environment=server.environment
        )
        for number in range(3):
            put(http, kept, f"during-{number}")
            delete(http, kept, f"before-{number}")
            assert_served(http, {name: kept[name] for name in (f"during-{number}", f"before-{number + 3}")})
        assert going_on.wait() == 0
    restart(server, store=to, store_before=f"file://{server.data}")
    with server.client() as http:
        assert_served(http, kept)
        put(http, kept, "after")
        delete(http, kept, next(iter(kept)))
        later = server.run(*shown(), to)
        assert (later.returncode, b"1 upload under way" in later.stderr) == (75, True), later.stderr
        part(http, ticket, 2, halves[PART:])
        http.post(f"/api/uploads/{ticket['id']}/complete", json={}).raise_for_status()
        kept["halves"] = halves
        assert_served(http, {"halves": halves})
        # In real time: a file at a path can be restored for a second.
        eventually(lambda: len(sizes(server.data)) <= len(kept) - 1, "what is deleted is gone from the store before")
        done = server.run(*shown(), to)
        assert (done.returncode, b"can be dropped" in done.stdout) == (0, True), done.stderr
    restart(server, store=to)
    for name in ("blobs", "incoming"):
        shutil.rmtree(server.data / name)
    with server.client() as http:
        assert_served(http, kept)
    assert server.run("verify").returncode == 0
