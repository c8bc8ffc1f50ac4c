"""Uppy and tus-js-client in Chromium upload from a page of another origin, to signed URLs and with a key."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from browser.test_page import SWITCHES
from contract.edge import fetch
from support.live_server import LiveServer
from support.node import PACKAGES
from wire.tus import is_there, stored, ticket

SIZE = 350_001
SERVED = {
    "/": ("text/html", Path(__file__).with_name("tus.html")),
    "/tus.min.js": ("text/javascript", PACKAGES / "tus-js-client/dist/tus.min.js"),
    "/uppy.min.mjs": ("text/javascript", PACKAGES / "uppy/dist/uppy.min.mjs"),
}


@contextmanager
def page_told(told: dict[str, Any]) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Serve the page and the clients on an origin of their own; yield the address, and where the outcome will come."""
    outcomes: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/told":
                self.reply(200, "application/json", json.dumps(told).encode())
            elif self.path in SERVED:
                kind, path = SERVED[self.path]
                self.reply(200, kind, path.read_bytes())
            else:
                self.reply(404, "text/plain", b"")

        def do_POST(self) -> None:
            outcomes.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.reply(200, "text/plain", b"")

        def reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as pages:
        serving = threading.Thread(target=pages.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{pages.server_port}/", outcomes
        finally:
            pages.shutdown()
            serving.join()


def outcome_in_chromium(told: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Open the page in a fresh Chromium; return what it reported."""
    with page_told(told) as (address, outcomes), (folder / "chromium.log").open("wb") as log:
        command = ["chromium", *SWITCHES, "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", address]
        command.insert(1, "--enable-logging=stderr")
        browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            return outcomes.get(timeout=90)
        except queue.Empty:
            raise AssertionError((folder / "chromium.log").read_text(errors="replace")) from None
        finally:
            browser.terminate()
            browser.wait(30)


@pytest.mark.service("chromium")
@pytest.mark.service("node")
def test_pages_upload_with_uppy_and_tus_js_client(http: httpx.Client, server: LiveServer, tmp_path: Path) -> None:
    content = bytes(index % 251 for index in range(SIZE))
    tickets = {name: ticket(http) for name in ("parallel", "overridden", "resumed", "uppy")}
    too_small = ticket(http, max_size=SIZE - 1)
    told = {
        "size": SIZE,
        "endpoint": f"{server.url}/tus/",
        "key": server.root_key,
        "refused": too_small["url"],
        **{name: asked["url"] for name, asked in tickets.items()},
    }
    outcome = outcome_in_chromium(told, tmp_path)

    assert "error" not in outcome, outcome
    for asked in tickets.values():
        assert stored(http, asked) == content
    assert outcome["resumed"]["expires"]
    assert "address" not in outcome["parallel"]
    assert fetch(outcome["key"]["address"]).content == content

    assert outcome["uppy"]["failed"] == outcome["uppyKey"]["failed"] == []
    (location,) = outcome["uppyKey"]["successful"]
    upload = http.get(f"/api/uploads/{location.split('/')[4]}").json()
    assert stored(http, upload) == content
    file = http.get(f"/api/files/{upload['file_id']}").json()
    assert (file["name"], file["content_type"]) == ("uppy.bin", "application/x-page")

    assert outcome["refused"] == {"status": 413, "code": "file_too_large"}
    assert not is_there(http, too_small)
