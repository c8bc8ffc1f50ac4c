"""What a server has on disk, read past its own code: the bytes in its folders against the rows of its database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from support.live_server import LiveServer


def blobs(store: Path) -> dict[str, int]:
    """Return the size of every file in the store, finished or not, by its key."""
    found = [path for folder in ("incoming", "blobs") for path in (store / folder).glob("**/*") if path.is_file()]
    return {path.name: path.stat().st_size for path in found}


def rows(database: Path) -> dict[str, int]:
    """Return the size of every version whose bytes are in the store, by the key of its blob; fails if the database is damaged."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        query = "SELECT blob_key, size FROM versions WHERE has_bytes AND blob_key IS NOT NULL"
        return dict(connection.execute(query).fetchall())


def sweep_has_begun(database: Path) -> bool:
    """Whether a server has begun its first sweep, whose only write, where there is nothing to sweep, comes at its beginning."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT 1 FROM leases WHERE name = 'sweeper'").fetchone() is not None


def doctor(server: LiveServer, *options: str, **settings: str) -> dict[str, Any]:
    """Run `fileferry doctor` on the server's data, beside it, and return its findings."""
    done = server.run("doctor", "--json", *options, **settings)
    assert done.stdout, done.stderr
    findings: dict[str, Any] = json.loads(done.stdout)
    return findings


def assert_no_orphans_after_sweep(server: LiveServer) -> None:
    """Sweep beside the running server, then compare every byte on disk with the database."""
    doctor(server, "--fix")
    assert blobs(server.data) == rows(server.data / "fileferry.db")


def assert_bytes_of_every_row_after_sweep(server: LiveServer) -> None:
    """Stop the server and sweep, then look for the bytes of every row; uploads that may go on have bytes of their own."""
    server.stop()  # on btrfs it has its database for itself
    doctor(server, "--fix")
    found = doctor(server)
    assert (found["bytes_without_row"], found["rows_without_bytes"]) == ([], [])
    kept = blobs(server.data)
    assert [key for key, size in rows(server.data / "fileferry.db").items() if kept.get(key, -1) < size] == []
    server.start()
