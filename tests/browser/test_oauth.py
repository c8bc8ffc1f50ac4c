"""Chromium at the page where a program is allowed to act by a key: what the official SDK opens leads back to it with a code."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from browser.tab import Tab, tab
from support.live_server import LiveServer
from ui.test_oauth import CALL, CHALLENGE, VERIFIER

pytestmark = pytest.mark.service("chromium")


class Host:
    """Waits for the browser to come back, as a program on a person's machine does."""

    def __init__(self) -> None:
        came: queue.Queue[str] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                came.put(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"done")

            def log_message(self, *_said: object) -> None:
                pass

        self.came = came
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def answer(self) -> dict[str, list[str]]:
        """Return the parameters that the browser brought back."""
        while not (path := self.came.get(timeout=30)).startswith("/callback"):
            pass  # its icon
        return parse_qs(urlsplit(path).query)

    def close(self) -> None:
        """Stop waiting."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("oauth")) as opened:
        yield opened


def test_somebody_lets_a_program_in_by_a_key_and_then_by_the_session(
    server: LiveServer, browser: Tab, host: Host
) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        asked = {"client_name": "A chat", "redirect_uris": ["http://127.0.0.1/callback"]}
        client_id = http.post("/oauth/register", json=asked).json()["client_id"]
        request = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": host.url,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "a state",
            "resource": f"{server.url}/mcp",
        }
        page = f"{server.url}/ui/authorize?{urlencode(request)}"
        for is_signed_in in (False, True):
            if is_signed_in:
                browser.open(f"{server.url}/ui/sign-in")
                browser.fill("#key", server.root_key)
                browser.leave_by("form button")
            browser.open(page)
            browser.says("A chat")
            if folder := os.environ.get("TESTS_PICTURES"):
                Path(folder, f"authorize-{is_signed_in}.png").write_bytes(browser.picture())
            if not is_signed_in:
                browser.fill("#key", server.root_key)
            browser.click("button[value=allow]")
            answer = host.answer()
            assert answer["state"] == ["a state"]
            sent = {
                "grant_type": "authorization_code",
                "code": answer["code"][0],
                "client_id": client_id,
                "redirect_uri": host.url,
                "code_verifier": VERIFIER,
            }
            given = http.post("/oauth/token", data=sent).json()
            headers = {**CALL["headers"], "Authorization": f"Bearer {given['access_token']}"}
            assert http.post("/mcp", json=CALL["json"], headers=headers).status_code == 200
        browser.open(page)
        browser.click("button[value=deny]")
        assert host.answer()["error"] == ["access_denied"]
        grants = http.get("/api/grants", headers={"Authorization": f"Bearer {server.root_key}"}).json()["grants"]
        for grant in grants:
            http.delete(f"/api/grants/{grant['id']}", headers={"Authorization": f"Bearer {server.root_key}"})
        assert http.post("/mcp", json=CALL["json"], headers=headers).status_code == 401
