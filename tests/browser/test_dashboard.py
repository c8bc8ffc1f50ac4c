"""The dashboard in a real browser: a tour as a person takes it, by mouse, by keyboard, without scripts, and what axe finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from browser.resuming import make_large, send_with_cuts
from browser.tab import Tab, tab
from faults.waiting import eventually
from support.clamd import MARKER, LiveClamd
from support.live_server import LiveServer
from support.node import PACKAGES

pytestmark = [pytest.mark.service("chromium"), pytest.mark.service("clamd")]

AXE = PACKAGES / "axe-core" / "axe.min.js"
PAGES = [
    "/sign-in", "/files", "/files?folder=many", "/files?view=deleted", "/upload", "/shares", "/requests", "/uploads",
    "/problems", "/events", "/usage", "/keys", "/webhooks", "/organizations", "/connect", "/sessions", "/people",
    "/password", "/audit", "/server", "/nothing",
]  # fmt: skip
LARGE = 30_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clamd: LiveClamd) -> Iterator[LiveServer]:
    """A server that takes no PDF and scans what it takes, so that things are rejected, and that may be told of events."""
    settings = {
        "webhook_networks": "127.0.0.0/8",
        "allowed_types": "text/plain,application/octet-stream,image/png",
        "clamd": clamd.tcp,
        "clamd_max_size": "100MiB",
    }
    live = LiveServer(tmp_path_factory.mktemp("dashboard"), settings)
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One tab for all tests of the module: a browser takes longer to start than most of them take."""
    with tab(tmp_path_factory.mktemp("browser")) as opened:
        opened.accept_questions()
        yield opened


@pytest.fixture
def api(server: LiveServer) -> Iterator[httpx.Client]:
    """A client with the root key."""
    with server.client() as client:
        yield client


def sign_in(browser: Tab, server: LiveServer) -> None:
    """Sign in with the root key, whoever was before."""
    browser.open(f"{server.url}/ui/sign-in")
    if "/sign-in" in browser.evaluate("location.pathname"):
        browser.fill("#key", server.root_key)
        browser.leave_by("button.main", "Sign in")
    browser.says("All files")


def test_a_tour(browser: Tab, server: LiveServer, api: httpx.Client, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    make_large(large, LARGE)
    (tmp_path / "small.txt").write_text("a small text")
    (tmp_path / "refused.pdf").write_bytes(b"%PDF-1.7\nnot allowed here")
    (tmp_path / "infected.txt").write_bytes(MARKER)

    sign_in(browser, server)
    browser.click("summary", "New folder")
    browser.fill("#folder-name", "tour")
    browser.leave_by("details button", "Make folder")
    browser.says("tour")
    browser.leave_by("a.button.main", "Upload")

    # Three files, one of which is refused.
    browser.choose("#file", [tmp_path / "refused.pdf"])
    browser.until("document.querySelector('#transfers .bad')?.innerText", "the page says why it is refused")
    browser.choose("#file", [tmp_path / "infected.txt"])
    browser.until("[...document.querySelectorAll('#transfers .bad')].some(each => each.innerText.includes('malware'))")
    send_with_cuts(browser, server, "tour", large, [tmp_path / "small.txt"], seconds=5)
    file = api.get("/api/files/path/tour/large.bin", headers={"Prefer": "wait=30"}).json()
    content = api.get(f"/api/files/{file['id']}/content").content
    assert hashlib.sha256(content).digest() == hashlib.sha256(large.read_bytes()).digest()

    browser.open(f"{server.url}/ui/problems")
    browser.says("infected.txt")
    browser.says("malware was found")

    # It is found again, fetched, and seen to have been.
    browser.open(f"{server.url}/ui/files")
    browser.fill("#q", "small")
    browser.until("document.querySelectorAll('tbody tr').length === 1")
    browser.leave_by("td.name a", "small.txt")
    browser.says("fetched never")
    small = browser.evaluate("location.pathname.split('/').pop()")
    httpx.get(api.get(f"/api/files/{small}").json()["url"], trust_env=False)
    browser.says("fetched completely 1×")  # by itself, as the event arrives

    # A version is restored.
    headers = {"Content-Type": "text/plain", "Prefer": "wait=30"}
    api.put("/api/upload/tour/small.txt", content=b"another text", headers=headers)
    browser.open(f"{server.url}/ui/files/{small}")
    browser.leave_by("td button", "Restore")
    browser.says("is the current one again")
    # It is scanned anew, and the other is served until then.
    eventually(lambda: api.get(f"/api/files/{small}/content").text == "a small text", "the older version is served")

    # A key is made, works, is revoked, and is refused.
    browser.open(f"{server.url}/ui/keys")
    browser.evaluate("document.querySelector('details.card').open = true")
    browser.fill("#name", "for the tour")
    browser.leave_by("details button.main", "Make key")
    secret = browser.evaluate("document.getElementById('secret').innerText")
    headers = {"X-API-Key": secret}
    assert httpx.get(f"{server.url}/api/whoami", headers=headers, trust_env=False).status_code == 200
    browser.leave_by("a.button", "I have copied it")
    browser.leave_by("td.name a", "for the tour")
    browser.leave_by("button.danger", "Revoke")
    browser.says("it opens nothing from now on")
    assert httpx.get(f"{server.url}/api/whoami", headers=headers, trust_env=False).status_code == 401
    browser.leave_by("button.small", "Sign out")
    browser.fill("#key", secret)
    browser.leave_by("button.main", "Sign in")
    browser.says("This key opens nothing")
    sign_in(browser, server)

    # A webhook's log.
    browser.open(f"{server.url}/ui/webhooks")
    browser.fill("#url", "http://127.0.0.1:9/hook")
    browser.leave_by("details button.main", "Make webhook")
    browser.leave_by("a.button", "I have copied it")
    browser.leave_by("button.main", "Send a test")
    browser.says("A test is on its way")
    browser.says("pending")

    # Ten files are deleted at once, and it is undone.
    for number in range(10):
        api.put(f"/api/upload/many/{number}.txt", content=b"one of many", headers={"Prefer": "wait=30"})
    for screen in (390, 1280):
        browser.look(width=screen, height=800, dark=False)
        browser.open(f"{server.url}/ui/files?folder=many")
        browser.click("[data-all]")
        assert browser.evaluate("document.querySelectorAll('[name=id]:checked').length") == 10
    browser.leave_by("button.danger", "Delete")
    browser.says("Deleted 10 files.")
    assert api.get("/api/files", params={"prefix": "many/"}).json()["files"] == []
    browser.leave_by(".notice button", "Undo")
    browser.says("Undone for 10 files.")
    assert len(api.get("/api/files", params={"prefix": "many/"}).json()["files"]) == 10
    assert [said for said in browser.refused if "Content Security Policy" in said] == []


@pytest.fixture(scope="module")
def key_page(server: LiveServer) -> str:
    """The page of a key that was used."""
    with server.client() as client:
        key = client.post("/api/keys", json={"name": "program", "scopes": ["read"]}).json()
    httpx.get(f"{server.url}/api/files", headers={"X-API-Key": key["key"]}, trust_env=False).raise_for_status()
    return f"/keys/{key['id']}"


@pytest.fixture(scope="module")
def furnished(server: LiveServer, key_page: str) -> str:
    """Files of several kinds, a key and a webhook; return the id of a file with versions."""
    with server.client() as client:
        client.post("/api/webhooks", json={"url": "http://127.0.0.1:9/a"}).raise_for_status()
        client.put("/api/upload/many/a.txt", content=b"first").raise_for_status()
        gone = client.put("/api/upload/many/gone.txt", content=b"gone").json()
        client.delete(f"/api/files/{gone['id']}").raise_for_status()
        client.post("/api/uploads", json={"path": "many/waiting.bin", "size": 5}).raise_for_status()
        client.put("/api/upload/many/wrong.txt", content=b"%PDF-1.7\n")
        id: str = client.put("/api/upload/many/a.txt", content=b"second").json()["id"]
        return id


@pytest.fixture(scope="module")
def share_page(server: LiveServer, furnished: str) -> str:
    """The page of a share."""
    with server.client() as client:
        made = client.post("/api/shares", json={"file_ids": [furnished], "passphrase": "blue ferry 7"}).json()
    return f"/shares/{made['id']}"


@pytest.mark.service("node")
@pytest.mark.parametrize(
    "screen", [(1280, 800, False), (1280, 800, True), (390, 844, False)], ids=["light", "dark", "phone"]
)
def test_axe_finds_nothing(
    browser: Tab,
    server: LiveServer,
    furnished: str,
    key_page: str,
    share_page: str,
    screen: tuple[int, int, bool],
) -> None:
    sign_in(browser, server)
    width, height, dark = screen
    browser.look(width=width, height=height, dark=dark)
    source = AXE.read_text()
    for path in [*PAGES, key_page, share_page, f"/files/{furnished}", f"/shares?file={furnished}"]:
        if path == "/sign-in":
            browser.forget()
        browser.open(f"{server.url}/ui{path}")
        assert "The server failed" not in browser.text(), path
        browser.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        browser.evaluate(f"{source}; true")
        found = browser.evaluate(
            "axe.run(document).then(found => found.violations.map(one => [one.id, one.nodes[0].html]))"
        )
        assert found == [], path
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{path} is wider than the screen"
        )


def test_a_person_with_a_keyboard_only(browser: Tab, server: LiveServer, furnished: str) -> None:
    browser.look(width=1280, height=800, dark=False)
    sign_in(browser, server)
    browser.open(f"{server.url}/ui/files")
    browser.leave_by("button.small", "Sign out")
    browser.until("document.activeElement.matches('input')", "the field has the focus by itself")
    browser.type(server.root_key)
    browser.evaluate("window.isBefore = true")
    browser.press("Enter")
    browser.until("!window.isBefore && document.readyState === 'complete'")
    browser.open(f"{server.url}/ui/files?folder=many")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.innerText") == "Skip to content"
    reached, marked = _walk(browser)
    wanted = browser.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]"
        ".filter(one => one.checkVisibility()).length"
    )
    assert len(reached) >= wanted, reached
    assert all(marked), [one for one, is_marked in zip(reached, marked, strict=True) if not is_marked]

    browser.open(f"{server.url}/ui/files/{furnished}")
    _go_to(browser, "Delete")
    browser.evaluate("window.isBefore = true")
    browser.press("Enter")
    browser.until("!window.isBefore && document.readyState === 'complete'")
    browser.says("Deleted a.txt")
    _go_to(browser, "Undo")
    browser.evaluate("window.isBefore = true")
    browser.press("Enter")
    browser.until("!window.isBefore && document.readyState === 'complete'")
    browser.says("Undone for 1 file.")


def _walk(browser: Tab) -> tuple[list[str], list[bool]]:
    """Go through a page with the tab key; return what was reached in order, and whether each showed that it was."""
    reached: list[str] = []
    marked: list[bool] = []
    browser.evaluate("window.walked = new Set()")
    for _step in range(200):
        now: Any = browser.evaluate(
            "(() => { const one = document.activeElement; if (one === document.body || walked.has(one)) return null;"
            "walked.add(one); return [one.outerHTML.slice(0, 120), getComputedStyle(one).outlineStyle !== 'none']; })()"
        )
        if now is None:
            break
        reached.append(now[0])
        marked.append(now[1])
        browser.press("Tab")
    return reached, marked


def _go_to(browser: Tab, words: str) -> None:
    """Press the tab key until what says ``words`` has the focus."""
    for _step in range(100):
        browser.press("Tab")
        if browser.evaluate(f"document.activeElement.innerText?.trim().startsWith({json.dumps(words)})"):
            return
    raise AssertionError(f"{words} cannot be reached by the keyboard")


def test_a_page_of_another_site_can_neither_frame_nor_use_the_dashboard(
    browser: Tab, server: LiveServer, furnished: str, tmp_path: Path
) -> None:
    sign_in(browser, server)
    page = tmp_path / "evil.html"
    page.write_text(
        f"<iframe src='{server.url}/ui/files'></iframe><form method=post action='{server.url}/ui/files/{furnished}/delete'></form>"
    )
    browser.open(f"file://{page}")
    browser.until("!!frames[0]")
    seen = browser.evaluate("(() => { try { return frames[0].document.body.innerText } catch { return 'closed' } })()")
    assert "many" not in str(seen)
    browser.evaluate("document.forms[0].submit()")
    browser.until("location.protocol === 'http:' && document.readyState === 'complete'")
    assert (
        "a.txt"
        in httpx.get(
            f"{server.url}/api/files",
            params={"prefix": "many/a"},
            headers={"X-API-Key": server.root_key},
            trust_env=False,
        ).text
    )


def test_a_person_whose_browser_runs_no_scripts(
    browser: Tab, server: LiveServer, furnished: str, api: httpx.Client, tmp_path: Path
) -> None:
    """Last in this module: the tab runs none from here on."""
    (tmp_path / "plain.txt").write_text("sent by a form")
    sign_in(browser, server)
    browser.without_scripts()
    browser.open(f"{server.url}/ui/upload?folder=plain")
    browser.choose("#file", [tmp_path / "plain.txt"])
    browser.leave_by("#send", "Upload")
    browser.says("Uploaded plain.txt.")
    assert api.get("/api/files/path/plain/plain.txt").json()["size"] == 14
    browser.open(f"{server.url}/ui/files?folder=plain")
    browser.click("[name=id]")
    browser.leave_by("button.danger", "Delete")
    browser.says("Deleted 1 file.")
    browser.leave_by(".notice button", "Undo")
    browser.says("Undone for 1 file.")
    assert api.get("/api/files/path/plain/plain.txt").status_code == 200
