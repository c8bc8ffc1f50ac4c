"""A page in a fresh Chromium: what it is served and told, and the outcome that it reports. Knows no server of ours."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SECONDS = 90

Served = Mapping[str, tuple[str, Path]]
"""What is served at an address: its media type and the file it is in. The page itself is at ``/``."""


def outcome_in_chromium(
    served: Served, told: dict[str, Any], folder: Path, seconds: float = _SECONDS
) -> dict[str, Any]:
    """Open the page, which finds at ``/told`` what it is told; return what it reports with a POST, within ``seconds``."""
    with _page(served, told) as (address, outcomes), (folder / "chromium.log").open("wb") as log:
        command = [
            "chromium",
            *SWITCHES,
            "--enable-logging=stderr",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder / 'profile'}",
            address,
        ]
        browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            return outcomes.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError((folder / "chromium.log").read_text(errors="replace")) from None
        finally:
            browser.terminate()
            browser.wait(30)


@contextmanager
def _page(served: Served, told: dict[str, Any]) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Serve the page on an origin of its own; yield its address, and where its outcome will come."""
    outcomes: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/told":
                self.reply(200, "application/json", json.dumps(told).encode())
            elif self.path in served:
                kind, path = served[self.path]
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
