"""Chromium uploads from a page of another origin: preflights pass, and the page reads ETags and refusals."""

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

from contract.edge import sha256_field
from wire.asking import ask_one, confirm, confirmed, etag_of, initiate

SIZE = 300_000
PART_SIZE = 100_000
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


@contextmanager
def page_told(told: dict[str, Any]) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Serve the page on an origin of its own; yield its address, and where its outcome will come."""
    outcomes: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/told":
                self.reply("application/json", json.dumps(told).encode())
            else:
                self.reply("text/html", Path(__file__).with_name("page.html").read_bytes())

        def do_POST(self) -> None:
            outcomes.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.reply("text/plain", b"")

        def reply(self, kind: str, body: bytes) -> None:
            self.send_response(200)
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
        browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            return outcomes.get(timeout=60)
        except queue.Empty:
            raise AssertionError((folder / "chromium.log").read_text(errors="replace")) from None
        finally:
            browser.terminate()
            browser.wait(30)


@pytest.mark.service("chromium")
def test_a_page_of_another_origin_uploads_and_reads_the_answers(http: httpx.Client, tmp_path: Path) -> None:
    content = bytes(index % 251 for index in range(SIZE))
    whole = {name: ask_one(http, SIZE) for name in ("typed", "digested", "progress")}
    too_small = ask_one(http, SIZE - 1)
    upload = initiate(http, SIZE, PART_SIZE)
    told = {
        "size": SIZE,
        "partSize": PART_SIZE,
        "digest": sha256_field(content),
        **{name: ticket["url"] for name, ticket in whole.items()},
        "parts": list(upload.urls.values()),
        "refused": too_small["url"],
        "changed": too_small["url"].replace("sp=cw", "sp=rcw"),
        "refusedPart": upload.urls[1],
    }
    outcome = outcome_in_chromium(told, tmp_path)

    assert set(outcome) == {"typed", "digested", "progress", "parts", "refused", "changed", "refusedPart"}, outcome
    for name, ticket in whole.items():
        assert (outcome[name]["status"], outcome[name]["etag"]) == (200, etag_of(content))
        assert confirmed(http, ticket) == content
    assert outcome["progress"]["progress"] == SIZE

    assert [part["status"] for part in outcome["parts"]] == [200, 200, 200]
    etags = {number: part["etag"] for number, part in enumerate(outcome["parts"], 1)}
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content

    assert (outcome["refused"]["status"], json.loads(outcome["refused"]["text"])["code"]) == (413, "file_too_large")
    assert (outcome["changed"]["status"], json.loads(outcome["changed"]["text"])["code"]) == (403, "link_refused")
    assert outcome["refusedPart"]["status"] == 413
    assert "<Code>EntityTooLarge</Code>" in outcome["refusedPart"]["text"]
    assert confirm(http, too_small["id"]).status_code == 409
