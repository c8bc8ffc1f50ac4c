"""@azure/storage-blob, as published for Node.js, at an `upload` and a `download` URL."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import httpx
import pytest

from contract.workspace import Place
from support.node import run_node
from wire.blob import block_id

pytestmark = pytest.mark.service("node")
SCRIPT = "azure_blob.js"


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


@pytest.mark.parametrize("size", [0, 1, 700_001])
def test_bytes_go_up_whole_in_blocks_and_as_a_stream(place: Place, tmp_path: Path, size: int) -> None:
    content = b"%PDF-1.7 "[:size] + os.urandom(max(0, size - 9))
    (tmp_path / "content").write_bytes(content)
    names = ("whole", "blocks", "stream", "path")
    urls = {name: place.ask(name)["upload"] for name in names}
    assert run_node(SCRIPT, "uploads", json.dumps(urls), tmp_path) == dict.fromkeys(names, 201)
    for name in names:
        assert place.content(name) == content


@pytest.mark.parametrize("size", [100, 700_001])
def test_bytes_come_down_to_a_buffer_and_as_a_stream(place: Place, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    place.put("a.bin", content)
    found = run_node(SCRIPT, "downloads", json.dumps({"url": place.get("a.bin")["download"]}), tmp_path)
    assert found == {
        "size": size,
        "type": "application/octet-stream",
        "kind": "BlockBlob",
        "buffer": hashlib.sha256(content).hexdigest(),
        "stream": hashlib.sha256(content).hexdigest(),
        "range": content[10:30].hex(),
        "rangeMd5": hashlib.md5(content[10:30]).hexdigest(),
    }


def test_refusals_carry_the_codes_that_it_knows(place: Place, tmp_path: Path) -> None:
    given = {"upload": place.ask("a.bin")["upload"], "other": place.ask("b.bin")["upload"]}
    found = run_node(SCRIPT, "refusals", json.dumps(given), tmp_path)
    assert found == {
        "missing": "404 BlobNotFound",
        "exists": False,
        "staged": [[block_id("01"), 3]],
        "unknown": "400 InvalidBlockList",
        "committed": "done",
        "conflict": "409 BlobAlreadyExists",
        "unreadable": "403 AuthorizationPermissionMismatch",
        "forged": "403 AuthenticationFailed",
        "given_up": "done",
    }
    assert place.content("a.bin") == b"one"
