"""Files that a client uploads together: all of them are there, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from shell import Shell

from fileferry import FerryError
from support.live_server import LiveServer


def test_several_files_become_files_together(server: LiveServer, connect: Any, tmp_path: Path) -> None:
    source = tmp_path / "b.txt"
    source.write_bytes(b"from a path")
    client = connect(server.url, server.root_key)
    batch = client.upload_batch({"set/a.txt": b"abc", "set/b.txt": source}, at_path=True, expires_in="1h")
    assert [(file.path, file.size) for file in batch.files] == [("set/a.txt", 3), ("set/b.txt", 11)]
    assert all(file.expires_at is not None for file in batch.files)
    manifest = httpx.get(batch.manifest_url).json()
    assert [httpx.get(file["url"]).content for file in manifest["files"]] == [b"abc", b"from a path"]


def test_one_that_cannot_be_sent_leaves_none(server: LiveServer, connect: Any, tmp_path: Path) -> None:
    client = connect(server.url, server.root_key)
    with pytest.raises(FerryError):
        client.upload_batch({})
    with pytest.raises(OSError, match="missing"):
        client.upload_batch({"none/a.txt": b"abc", "none/b.txt": tmp_path / "missing"}, at_path=True)
    with pytest.raises(FerryError):
        client.upload_batch({"none/a.txt": b"abc", "none/../b.txt": b"abc"}, at_path=True)
    assert client.list(prefix="none/") == []


def test_the_command_prints_the_url_of_the_list(shell: Shell) -> None:
    for name in ("one.txt", "two.txt"):
        (shell.folder / name).write_text(name)
    url = shell.out("put", "--batch", "--path", "sets/", "one.txt", "two.txt").strip()
    assert [file["path"] for file in httpx.get(url).json()["files"]] == ["sets/one.txt", "sets/two.txt"]
    told = json.loads(shell.out("put", "--batch", "--json", "one.txt", "two.txt"))
    assert [file["name"] for file in told["files"]] == ["one.txt", "two.txt"]
    assert shell.refused("put", "--batch", "--name", "x", "one.txt")[0] == 2
