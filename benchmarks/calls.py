"""Calls around files that move no bytes: looking at one, at its ticket, confirming and listing them, and asking for tickets."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from benchmarks import load
from benchmarks.peers import Fileferry
from benchmarks.trial import Measurement, Outcome, Trial, failure, flood, measure

FILES = 256
"""How many files are confirmed in a round, and how many of them, and of open tickets, the other calls go round."""
MANY_TICKETS = "tickets-1-many"
TITLES = {
    "confirm": "Confirming an uploaded file, one connection",
    "get": "Looking at a file, 16 connections",
    "status": "Looking at an open ticket, 16 connections",
    "list": "Listing five files, 16 connections",
    "tool": "Listing five files by the tool list_files at /mcp, 16 connections",
    MANY_TICKETS: "Tickets, 1 a request, 16 connections",
}

_BYTES = 10 * 1024
_TOOL = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_LIST_FILES = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_files", "arguments": {}}}
).encode()


def calls(trial: Trial) -> Iterator[Measurement]:
    """Confirm files one by one, then look at them and at open tickets, then ask for tickets."""
    peer = trial.server.peer
    if not isinstance(peer, Fileferry):
        return
    key = dict(peer.authorization)
    with_json = {**key, "Content-Type": "application/json"}
    try:
        with load.KeptAlive(trial.server.port) as client:
            folder = _asked(client, "POST", "/v1/folders", with_json, {"name": "calls"})["id"]
            ids = _sent(client, f"/v1/files/{folder}", with_json)
            tickets = [
                _asked(client, "POST", "/api/uploads", with_json, {"name": "open.bin", "size": 1000})["id"]
                for _ in range(64)
            ]
            yield measure(trial, "confirm", "POST /v1/files/confirm-upload", lambda: _confirm(client, ids, with_json))
    except load.LoadError as error:
        for scenario in TITLES:
            yield failure(trial, scenario, "–", error)
        return
    files, uploads = [f"/api/files/{id}" for id in ids], [f"/api/uploads/{id}" for id in tickets]
    yield measure(trial, "get", "GET /api/files/{id}", lambda: flood(trial, "GET", files, key, None))
    yield measure(trial, "status", "GET /api/uploads/{id}", lambda: flood(trial, "GET", uploads, key, None))
    yield measure(
        trial, "list", "GET /api/files?limit=5", lambda: flood(trial, "GET", ["/api/files?limit=5"], key, None)
    )
    # The first call loads what keeps the protocol. Earlier builds have no tools: the flood says so.
    with contextlib.suppress(load.LoadError), load.KeptAlive(trial.server.port) as client:
        client.ask("POST", "/mcp", with_json | _TOOL, _LIST_FILES)
    yield measure(trial, "tool", "POST /mcp", lambda: flood(trial, "POST", ["/mcp"], with_json | _TOOL, _LIST_FILES))
    one = json.dumps({"filesMetadata": [{"name": "report.bin", "size": 1000}]}).encode()
    target = f"/v1/files/{folder}"
    yield measure(
        trial, MANY_TICKETS, "POST /v1/files/{folderId}", lambda: flood(trial, "POST", [target], with_json, one)
    )


def _sent(client: load.KeptAlive, target: str, headers: dict[str, str]) -> list[str]:
    """Upload files by tickets, and return their ids."""
    named = [{"name": f"call-{number}.bin", "size": _BYTES} for number in range(FILES)]
    tickets = _asked(client, "POST", target, headers, {"filesMetadata": named})["urls"]
    content = os.urandom(_BYTES)
    for ticket in tickets:
        url = urlsplit(ticket["url"])
        client.ask("PUT", f"{url.path}?{url.query}", ticket["headers"], content)
    return [ticket["id"] for ticket in tickets]


def _confirm(client: load.KeptAlive, ids: list[str], headers: dict[str, str]) -> Outcome:
    started = time.perf_counter()
    for id in ids:
        _asked(client, "POST", "/v1/files/confirm-upload", headers, {"ids": [id]})
    return Outcome(len(ids) / (time.perf_counter() - started), len(ids))


def _asked(client: load.KeptAlive, method: str, target: str, headers: dict[str, str], body: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(client.ask(method, target, headers, json.dumps(body).encode()).body)
    return answer
