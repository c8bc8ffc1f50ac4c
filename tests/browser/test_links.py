"""Chromium at the pages of a share and of a request: files go up and come down, and nothing that strangers named runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from browser.devtools import Visitor, visitor
from fileferry import Client
from support.live_server import LiveServer

AXE = Path(__file__).parents[1] / "node/node_modules/axe-core/axe.min.js"
MARKUP = "<img src=x onerror=window.ran=1>"
PASSPHRASE = "blue ferry 7"
LARGE = os.urandom(3_000_000)

pytestmark = pytest.mark.service("chromium")


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Visitor]:
    with visitor(tmp_path) as found:
        yield found


def findings(tab: Visitor) -> list[str]:
    """Return what axe-core has against the page."""
    tab.evaluate(AXE.read_text() + ";undefined")
    found: list[str] = tab.evaluate(
        "axe.run().then(told => told.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' ')))"
    )
    return found


def pictured(tab: Visitor, name: str) -> None:
    """Keep pictures of the page where somebody asked for them."""
    if folder := os.environ.get("TESTS_PICTURES"):
        for width in (1100, 390):
            for dark in (False, True):
                Path(folder, f"{name}-{width}-{'dark' if dark else 'light'}.png").write_bytes(
                    tab.picture(width=width, dark=dark)
                )


def test_an_outsider_sends_files_and_sees_what_arrived(quiet: LiveServer, tab: Visitor, tmp_path: Path) -> None:
    small, large = tmp_path / "report.txt", tmp_path / "film.bin"
    small.write_bytes(b"a report")
    large.write_bytes(LARGE)
    with Client(quiet.url, quiet.root_key) as client:
        asked = client.requests().create(f"Plans {MARKUP}", message=MARKUP, max_size="4MiB", folder="from-outside")
        tab.open(asked.url)
        assert findings(tab) == []
        pictured(tab, "request")
        too_large = tmp_path / "too-large.bin"
        too_large.write_bytes(bytes(4 * 1024 * 1024 + 1))
        tab.choose("#files", small, large, too_large)
        tab.wait_for("document.querySelectorAll('#arrived-list li').length === 2")
        tab.wait_for("document.querySelector('#transfers').innerText.includes('Too large')")
        assert findings(tab) == []
        pictured(tab, "request-arrived")
        shown = tab.evaluate("document.querySelector('#arrived-list').innerText")
        assert "report.txt" in shown
        assert "film.bin" in shown
        tab.evaluate("document.querySelector('#arrived form button').click()")
        tab.wait_for("document.body.innerText.includes('Whoever asked was told')")
        assert tab.evaluate("window.ran") is None
        assert sorted(found.name for found in client.requests().files(asked)) == ["film.bin", "report.txt"]
        files = {found.path: found for found in client.list(prefix="from-outside/")}
        assert client.download(files["from-outside/film.bin"]) == LARGE
        assert [
            event.data["files"] for event in client.events(after="0", types=["request.finished"], follow=False)
        ] == [2]


def test_a_visitor_opens_a_share_with_its_passphrase(quiet: LiveServer, tab: Visitor) -> None:
    with Client(quiet.url, quiet.root_key) as client:
        files = [
            client.upload(b"<script>window.ran=1</script>", name=f"{MARKUP}.html"),
            client.upload(LARGE, name="b.bin"),
        ]
        share = client.shares().create(*files, name=f"Plans {MARKUP}", message=MARKUP, passphrase=PASSPHRASE)
    tab.open(share.url)
    tab.wait_for("document.activeElement.id === 'passphrase'")
    assert findings(tab) == []
    pictured(tab, "locked")
    for passphrase, sign in (("another one", "This is not the passphrase"), (PASSPHRASE, "Download all as a zip")):
        tab.evaluate(f"document.querySelector('#passphrase').value = {passphrase!r}")
        tab.evaluate("document.querySelector('form button').click()")
        tab.wait_for(f"document.body.innerText.includes({sign!r})")
    assert findings(tab) == []
    pictured(tab, "share")
    assert tab.evaluate("document.querySelector('li a').textContent") == f"{MARKUP}.html"
    size = tab.evaluate(
        "fetch(document.querySelectorAll('li a')[2].href).then(told => told.arrayBuffer()).then(told => told.byteLength)"
    )
    assert size == len(LARGE)
    assert tab.evaluate("window.ran") is None
    assert httpx.get(share.url, headers={"Accept": "text/html"}).status_code == 401
