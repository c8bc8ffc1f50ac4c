"""Writes the pictures of the dashboard that the docs show, of a server of its own: ``python scripts/screenshots.py``."""

from __future__ import annotations

import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import httpx  # noqa: E402

from browser.tab import Tab, tab  # noqa: E402
from support.live_server import LiveServer  # noqa: E402

PICTURES = ROOT / "docs" / "images"
MOST = 150 * 1024
WIDE, PHONE = (1280, 760), (390, 780)


def main() -> None:
    """Make a server, furnish it, and take the pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder), {"base_url": "https://files.example.com"})
        server.start()
        try:
            id = furnish(server)
            with tab(Path(folder)) as browser:
                take(browser, server, id)
        finally:
            server.close()


def furnish(server: LiveServer) -> str:
    """Put some files there; return the id of one with versions."""
    with server.client() as client:
        for path, size in (
            ("reports/2026/q2.csv", 48_213),
            ("reports/2026/q3.csv", 51_877),
            ("photos/harbour.png", 0),
            ("contracts/ferry-lease.txt", 12_004),
            ("readme.txt", 812),
        ):
            content = picture() if not size else (b"day,ships,passengers\n2026-11-30,12,3408\n" * size)[:size]
            client.put(f"/api/upload/{path}", content=content).raise_for_status()
        client.post("/v1/files", files={"file": ("invoice-1042.txt", b"x" * 20_480)}).raise_for_status()
        client.post("/api/keys", json={"name": "nightly job", "scopes": ["upload"]}).raise_for_status()
        made = client.put("/api/upload/reports/2026/q3.csv", content=b"day,ships,passengers\n" * 2600).json()
        for _fetch in range(3):
            httpx.get(made["url"].replace("https://files.example.com", server.url), trust_env=False)
        return str(made["id"])


def picture() -> bytes:
    """Return a small PNG of a plain colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    rows = b"".join(b"\0" + bytes((11, 87, 208)) * 320 for _ in range(200))
    head = chunk(b"IHDR", (320).to_bytes(4, "big") + (200).to_bytes(4, "big") + bytes((8, 2, 0, 0, 0)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def take(browser: Tab, server: LiveServer, id: str) -> None:
    """Sign in and take the pictures."""
    browser.open(f"{server.url}/ui/sign-in")
    browser.fill("#key", server.root_key)
    browser.leave_by("button.main", "Sign in")
    browser.until("document.readyState === 'complete'")
    for name, path, (width, height), dark in (
        ("files", "/files", WIDE, False),
        ("files-dark", "/files", WIDE, True),
        ("files-phone", "/files", PHONE, False),
        ("file", f"/files/{id}", WIDE, False),
        ("upload-phone-dark", "/upload", PHONE, True),
    ):
        browser.look(width=width, height=height, dark=dark)
        browser.open(f"{server.url}/ui{path}")
        content = browser.picture()
        assert len(content) <= MOST, (name, len(content))
        (PICTURES / f"dashboard-{name}.png").write_bytes(content)


if __name__ == "__main__":
    main()
