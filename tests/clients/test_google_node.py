"""@google-cloud/storage, as published for Node.js: a signed URL is the session that `createWriteStream({uri})` goes on with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.live_server import LiveServer
from support.lossy import LossyLink
from support.node import run_node
from wire.google_session import crc32c, initiate, md5, piece
from wire.tus import is_there, stored, ticket

pytestmark = pytest.mark.service("node")

CHUNK = 256 * 1024
SIZE = 2 * CHUNK + 333


def write(
    url: str, folder: Path, content: bytes, package: str = "@google-cloud/storage", **options: Any
) -> dict[str, Any]:
    """Send a file with the client and return what it made of the answer."""
    path = folder / "content"
    path.write_bytes(content)
    return run_node("google_storage.js", url, path, json.dumps(options), package)


@pytest.mark.parametrize("size", [0, 1, 2 * CHUNK, SIZE])
@pytest.mark.parametrize("chunk", [None, CHUNK], ids=["one request", "chunks"])
@pytest.mark.parametrize("knows_length", [True, False])
def test_bytes_go_up(http: httpx.Client, tmp_path: Path, size: int, chunk: int | None, knows_length: bool) -> None:
    asked, content = ticket(http), os.urandom(size)
    options: dict[str, Any] = {} if chunk is None else {"chunkSize": chunk}
    if knows_length:
        options["metadata"] = {"contentLength": size}
    found = write(asked["url"], tmp_path, content, validation="crc32c", **options)
    assert (found["size"], found["crc32c"], found["md5Hash"]) == (size, crc32c(content), md5(content)), found
    assert stored(http, asked) == content


@pytest.mark.parametrize("chunk", [None, CHUNK], ids=["one request", "chunks"])
@pytest.mark.parametrize("there", [1, CHUNK, CHUNK + 1])
def test_what_is_there_is_not_sent_again(http: httpx.Client, tmp_path: Path, there: int, chunk: int | None) -> None:
    asked, content = ticket(http), os.urandom(SIZE)
    location = initiate(asked["url"], x_upload_content_type="application/pdf").headers["location"]
    piece(location, content, 0, there, "*")
    options = {} if chunk is None else {"chunkSize": chunk}
    found = write(location, tmp_path, content, **options)
    assert found["size"] == SIZE, found
    assert found["contentType"] == "application/pdf"
    assert stored(http, asked) == content


@pytest.mark.parametrize("package", ["@google-cloud/storage", "google-cloud-storage-8"])
def test_a_connection_that_breaks_is_gone_on_with(
    http: httpx.Client, server: LiveServer, tmp_path: Path, package: str
) -> None:
    asked, content = ticket(http), os.urandom(3_000_000)
    with LossyLink(server.port, [1_500_000], rate=6_000_000) as link:
        url = asked["url"].replace(server.url, link.url)
        found = write(url, tmp_path, content, package, chunkSize=CHUNK)
        assert (found.get("size"), link.broken) == (len(content), 1), found
        assert link.carried < 1.4 * len(content)
    assert stored(http, asked) == content


@pytest.mark.parametrize("validation", ["md5", "crc32c"])
def test_what_it_summed_is_held_against_the_answer(http: httpx.Client, tmp_path: Path, validation: str) -> None:
    """The piece that is there is of another file, which only the sums of the whole can tell."""
    asked, content = ticket(http), os.urandom(SIZE)
    piece(asked["url"], os.urandom(CHUNK), 0, CHUNK, "*")
    found = write(asked["url"], tmp_path, content, validation=validation)
    assert "error" in found, found


def test_a_session_that_is_over_is_an_error(http: httpx.Client, tmp_path: Path) -> None:
    asked = ticket(http)
    location = initiate(asked["url"]).headers["location"]
    assert httpx.delete(location, trust_env=False).status_code == 499
    assert "error" in write(location, tmp_path, b"late")
    assert not is_there(http, asked)
