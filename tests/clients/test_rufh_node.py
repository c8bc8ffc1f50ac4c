"""tus-js-client speaking the IETF draft: every way it knows of sending a file ends with these bytes stored."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.node import run_node
from wire.asking import open_ticket, send

SIZE = 450_000

METHODS = {
    "whole": ["POST", "PATCH"],
    "chunks": ["POST"] + ["PATCH"] * 5,
    "withCreation": ["POST"],
    "withCreationInChunks": ["POST"] + ["PATCH"] * 4,
    "override": ["POST"] * 6,
    "stream": ["POST"] + ["PATCH"] * 5,
    "empty": ["POST"],
    "resumed": ["HEAD"] + ["PATCH"] * 3,
    "readyMade": ["HEAD", "PATCH"],
}
"""What is asked of the server in each act, so that a change of the client's ways is seen."""

pytestmark = pytest.mark.service("node")


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    (tmp_path / "content").write_bytes(os.urandom(SIZE))
    return (tmp_path / "content").read_bytes()


def run(protocol: str, folder: Path, tickets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    urls = {act: ticket["url"] for act, ticket in tickets.items()}
    return run_node("rufh_upload.js", protocol, folder / "content", json.dumps(urls))


@pytest.mark.parametrize("protocol", ["ietf-draft-03", "ietf-draft-05"])
def test_every_way_of_sending_a_file_stores_it(
    http: httpx.Client, tmp_path: Path, content: bytes, protocol: str
) -> None:
    tickets = {act: open_ticket(http, auto_complete=True) for act in METHODS}
    done = run(protocol, tmp_path, tickets)
    wanted = dict.fromkeys(METHODS, content) | {"empty": b""}
    for act, ticket in tickets.items():
        stored = http.get(f"/api/files/{ticket['file_id']}/content")
        assert (act, stored.status_code) == (act, 200)
        assert stored.content == wanted[act], act
        assert done[act]["status"] == 200
        assert json.loads(done[act]["body"])["id"] == ticket["file_id"]
    assert {act: done[act]["methods"] for act in METHODS} == METHODS


@pytest.mark.parametrize("protocol", ["ietf-draft-03", "ietf-draft-05"])
def test_terminating_ends_the_upload(http: httpx.Client, tmp_path: Path, content: bytes, protocol: str) -> None:
    ticket = open_ticket(http, auto_complete=True)
    done = run(protocol, tmp_path, {"terminated": ticket})
    assert send(done["terminated"]["url"], content).status_code == 410
