"""A server's SQLite database is moved to PostgreSQL by the command that the docs show, and the server goes on there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import pytest

from support import fork_server, postgresql
from support.live_server import MakeServer

pytestmark = [pytest.mark.service("postgresql"), pytest.mark.sqlite]

PAGE = Path(__file__).parents[1] / "docs" / "postgresql.md"


def shown(source: str, target: str) -> list[str]:
    """Return the words of the command that the page shows, with these addresses."""
    (command,) = re.findall(r"^fileferry (migrate-database .+)$", PAGE.read_text(), re.MULTILINE)
    words = shlex.split(command)
    assert len(words) == 3
    return [words[0], source, target]


def test_a_server_goes_on_after_the_command_that_the_docs_show(make_server: MakeServer) -> None:
    server = make_server()
    contents = {f"many/{number}.bin": bytes([number % 256]) * (number * 1000) for number in range(60)}
    with server.client() as http:
        urls = {
            path: http.put(f"/api/upload/{path}", content=content).json()["url"] for path, content in contents.items()
        }
        key = http.post("/api/keys", json={"name": "k", "scopes": ["read", "upload"]}).json()["key"]
        ticket = http.post("/api/uploads", json={"name": "later.bin", "auto_complete": True}).json()
    target = postgresql.new_database()
    command = shown(f"sqlite:///{server.data}/fileferry.db", target)
    refused = fork_server.shared().run(command, environment=server.environment)
    assert refused.returncode == 1
    assert b"stop it first" in refused.stderr
    server.stop()
    done = fork_server.shared().run(command, environment=server.environment)
    assert done.returncode == 0, done.stderr
    assert b"60 rows of files" in done.stderr
    assert b"Now set FILEFERRY_DATABASE_URL" in done.stdout
    moved = make_server(database_url=target, root_key=server.root_key, store=f"file://{server.data}")
    with moved.client(key) as http:
        for path, url in urls.items():
            assert http.get(httpx.URL(url).raw_path.decode()).content == contents[path]
        assert http.put(httpx.URL(ticket["url"]).raw_path.decode(), content=b"later").is_success
        assert http.put("/api/upload/new.bin", content=b"new").is_success
        assert len(http.get("/api/files", params={"limit": "1000"}).json()["files"]) == 62
    again = fork_server.shared().run(command, environment=server.environment)
    assert again.returncode == 2
    assert b"There is no database" in again.stderr
