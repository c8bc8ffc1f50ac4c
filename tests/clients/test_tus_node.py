"""tus-js-client, as published for Node.js, at a signed URL and at /tus with a key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from support.live_server import LiveServer, MakeServer
from support.node import run_node
from wire.tus import call, stored, ticket

pytestmark = pytest.mark.service("node")
SCRIPT = "tus_client.js"
CONTENT = os.urandom(350_001)
WAYS = ("whole", "pieces", "stream", "deferred", "parallel", "overridden", "withCreation")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.bin"
    path.write_bytes(CONTENT)
    return path


def test_every_way_of_sending_works_at_a_signed_url(http: httpx.Client, file: Path) -> None:
    tickets = {way: ticket(http) for way in WAYS}
    endpoints = {way: asked["url"] for way, asked in tickets.items()}
    made = run_node(SCRIPT, "uploads", json.dumps({"endpoints": endpoints, "headers": {}}), file)
    assert set(made) == set(WAYS)
    for asked in tickets.values():
        assert stored(http, asked) == CONTENT


def test_every_way_of_sending_works_with_a_key(http: httpx.Client, server: LiveServer, file: Path) -> None:
    endpoints = dict.fromkeys(WAYS, f"{server.url}/tus/")
    given = {"endpoints": endpoints, "headers": {"Authorization": f"Bearer {server.root_key}"}}
    made = run_node(SCRIPT, "uploads", json.dumps(given), file)
    assert set(made) == set(WAYS)
    for location in made.values():
        assert stored(http, http.get(f"/api/uploads/{location.split('/')[4]}").json()) == CONTENT


def test_an_upload_that_was_stopped_goes_on_where_it_was(http: httpx.Client, file: Path) -> None:
    asked = ticket(http, size=len(CONTENT))
    found = run_node(SCRIPT, "resume", json.dumps({"url": asked["url"]}), file)
    assert found["url"] == asked["url"]
    assert found["answers"] == [["HEAD", 200], ["PATCH", 204], ["PATCH", 204], ["PATCH", 204]]
    assert stored(http, asked) == CONTENT


def test_an_upload_is_given_up(http: httpx.Client, file: Path) -> None:
    found = run_node(SCRIPT, "terminate", json.dumps({"endpoint": ticket(http)["url"]}), file)
    assert call("HEAD", found["url"]).status_code == 410


def test_a_refusal_is_told(http: httpx.Client, file: Path) -> None:
    url = ticket(http, max_size=10)["url"]
    assert run_node(SCRIPT, "refused", json.dumps({"endpoint": url}), file) == {"status": 413}


def test_what_is_refused_for_a_rate_is_repeated_and_never_begun_anew(make_server: MakeServer, file: Path) -> None:
    """After a ticket, its creation and a piece there is no request left: to ask how far it is needs none."""
    server = make_server(key_requests="3/360 days")
    with server.client() as http:
        url = ticket(http)["url"]
    found = run_node(SCRIPT, "repeated", json.dumps({"endpoint": url}), file)
    repeated = [["PATCH", 503], ["HEAD", 200]]
    assert found["answers"] == [["POST", 201], ["PATCH", 204], *repeated, *repeated, ["PATCH", 503]]
