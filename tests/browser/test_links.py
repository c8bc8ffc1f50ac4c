"""Chromium at the pages of a share and of a request: files go up and come down, and nothing that strangers named runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.tab import Tab, tab
from fileferry import Client
from support.live_server import LiveServer
from support.node import PACKAGES

AXE = PACKAGES / "axe-core" / "axe.min.js"
MARKUP = "<img src=x onerror=window.ran=1>"
PASSPHRASE = "blue ferry 7"
LARGE = os.urandom(3_000_000)

pytestmark = pytest.mark.service("chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("links")) as opened:
        opened.accept_questions()
        yield opened


def look(browser: Tab, name: str) -> None:
    """Have axe-core look at the page on a screen and on a phone; keep pictures where somebody asked for them."""
    for width, dark in ((1100, False), (390, True)):
        browser.look(width=width, height=800, dark=dark)
        browser.evaluate(AXE.read_text() + "; true")
        found = browser.evaluate(
            "axe.run(document).then(found => found.violations.map(one => [one.id, one.nodes[0].html]))"
        )
        assert found == [], name
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        if folder := os.environ.get("TESTS_PICTURES"):
            Path(folder, f"{name}-{width}.png").write_bytes(browser.picture())


@pytest.mark.service("node")
def test_an_outsider_sends_files_and_sees_what_arrived(quiet: LiveServer, browser: Tab, tmp_path: Path) -> None:
    files = {"report.txt": b"a report", "film.bin": LARGE, "too-large.bin": bytes(4 * 1024 * 1024 + 1)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with Client(quiet.url, quiet.root_key) as client:
        asked = client.requests().create(f"Plans {MARKUP}", message=MARKUP, max_size="4MiB", folder="from-outside")
        browser.open(asked.url)
        look(browser, "request")
        browser.choose("#files", [tmp_path / name for name in files])
        browser.until("document.querySelectorAll('#arrived-list li').length === 2")
        browser.says("Too large")
        look(browser, "request-arrived")
        shown = browser.evaluate("document.querySelector('#arrived-list').innerText")
        assert "report.txt" in shown
        assert "film.bin" in shown
        browser.leave_by("#arrived form button")
        browser.says("Whoever asked was told")
        assert browser.evaluate("window.ran") is None
        assert sorted(found.name for found in client.requests().files(asked)) == ["film.bin", "report.txt"]
        sent = {found.path: found for found in client.list(prefix="from-outside/")}
        assert client.download(sent["from-outside/film.bin"]) == LARGE
        assert next(client.events(after="0", types=["request.finished"])).data["files"] == 2


def test_an_upload_goes_on_after_the_network_was_cut_and_the_page_was_left(
    quiet: LiveServer, browser: Tab, tmp_path: Path
) -> None:
    film = tmp_path / "long.bin"
    film.write_bytes(LARGE)
    with Client(quiet.url, quiet.root_key) as client:
        asked = client.requests().create("Cut", folder="cut")
        browser.open(asked.url)
        browser.go_offline()
        browser.choose("#files", [film])
        browser.says("No connection. It goes on when that is back.")
        browser.go_offline(False, bytes_a_second=400_000)
        browser.until("document.querySelector('#transfers progress')?.value > 500000")
        browser.open(f"{quiet.url}/healthz")
        browser.open(asked.url)
        browser.go_offline(False)
        browser.choose("#files", [film])
        browser.until("document.querySelectorAll('#arrived-list li').length === 1")
        (sent,) = client.list(prefix="cut/")
        assert client.download(sent) == LARGE


def test_a_request_works_without_scripts(quiet: LiveServer, browser: Tab, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_bytes(b"by a form")
    with Client(quiet.url, quiet.root_key) as client, tab(tmp_path) as scriptless:
        asked = client.requests().create("Plain", folder="plain", passphrase=PASSPHRASE)
        scriptless.without_scripts()
        scriptless.open(asked.url)
        scriptless.fill("#passphrase", PASSPHRASE)
        scriptless.click("form button")
        scriptless.says("Files to send")
        scriptless.choose("#files", [tmp_path / "plain.txt"])
        scriptless.click("#send-button")
        scriptless.says("Arrived")
        scriptless.click("#arrived form button")
        scriptless.says("Whoever asked was told")
        (sent,) = client.list(prefix="plain/")
        assert client.download(sent) == b"by a form"


@pytest.mark.service("node")
def test_a_visitor_opens_a_share_with_its_passphrase(quiet: LiveServer, browser: Tab) -> None:
    with Client(quiet.url, quiet.root_key) as client:
        page = client.upload(b"<script>window.ran=1</script>", name=f"{MARKUP}.html")
        film = client.upload(LARGE, name="film.bin")
        share = client.shares().create(page, film, name=f"Plans {MARKUP}", message=MARKUP, passphrase=PASSPHRASE)
    browser.open(share.url)
    browser.until("document.activeElement.id === 'passphrase'")
    look(browser, "locked")
    browser.type("another one")
    browser.leave_by("form button")
    browser.says("This is not the passphrase")
    browser.type(PASSPHRASE)
    browser.leave_by("form button")
    browser.says("Download all as a zip")
    look(browser, "share")
    assert browser.evaluate("document.querySelector('li a').textContent") == f"{MARKUP}.html"
    size = browser.evaluate(
        "fetch(document.querySelectorAll('li')[1].querySelector('a').href).then(told => told.blob()).then(told => told.size)"
    )
    assert size == len(LARGE)
    assert browser.evaluate("window.ran") is None
