"""Half a gigabyte, or SOAK_BYTES, by the upload page in Chromium: the network is cut, the page reloaded, and it arrives whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from browser.resuming import make_large, send_with_cuts
from browser.tab import tab
from browser.test_dashboard import sign_in
from support.live_server import MakeServer

_SIZE = int(os.environ.get("SOAK_BYTES", str(500_000_000)))


@pytest.mark.soak
@pytest.mark.service("chromium")
def test_a_large_file_goes_up_in_a_browser_over_cuts_and_a_reload(make_server: MakeServer, tmp_path: Path) -> None:
    server, large = make_server(), tmp_path / "large.bin"
    make_large(large, _SIZE)
    with tab(tmp_path) as browser, server.client() as api:
        browser.accept_questions()
        sign_in(browser, server)
        send_with_cuts(browser, server, "soak", large, [], seconds=60)
        file = api.get("/api/files/path/soak/large.bin", headers={"Prefer": "wait=10"}).json()
        digest = hashlib.sha256()
        with api.stream("GET", f"/api/files/{file['id']}/content") as answer:
            for block in answer.iter_bytes():
                digest.update(block)
    with large.open("rb") as sent:
        assert digest.digest() == hashlib.file_digest(sent, "sha256").digest()
