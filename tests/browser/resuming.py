"""Sending a large file from the upload page of the dashboard, over a network that is cut and by a page that is reloaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from browser.tab import Tab
from support.link import Link
from support.live_server import LiveServer

_MIB = 1024 * 1024
# What is under way when the network is cut, or the page left, is lost with the buffers that it is in.
_MOST_LOST = 8 * _MIB


def make_large(path: Path, size: int) -> None:
    """Write a file of so many bytes, no two parts of which are the same."""
    with path.open("wb") as file:
        for start in range(0, size, _MIB):
            file.write(os.urandom(min(_MIB, size - start)))


def send_with_cuts(
    browser: Tab, server: LiveServer, folder: str, large: Path, beside: Sequence[Path], *, seconds: float
) -> None:
    """Choose files on the page of a folder; the network is away, then cut amid the large one, the page reloaded, and it goes on.

    At the rate that the browser has it takes about ``seconds``. Who is signed in at the server is so by the link too: a cookie is
    for a host and all of its ports.
    """
    size = large.stat().st_size
    with Link(server.url) as link:
        page = f"{link.url}/ui/upload?folder={folder}"
        browser.open(page)
        browser.go_offline()
        browser.choose("#file", [large, *beside])
        browser.says("No connection. It goes on when that is back.")
        browser.go_offline(False, bytes_a_second=int(size / seconds))
        _until_sent(browser, 0.2, seconds)
        link.down()  # and not only cut: Chromium itself sends a request again whose connection is reset
        browser.says("The connection is lost; it goes on by itself.")
        link.up()
        _until_sent(browser, 0.6, seconds)
        browser.open(page)
        browser.says("Begun earlier in this browser")
        browser.says(large.name)
        browser.go_offline(False)
        browser.choose("#file", [large])
        browser.says("1 of 1 files done", 60 + seconds)
        resent = link.sent - size - sum(file.stat().st_size for file in beside)
        assert resent < 2 * _MOST_LOST, f"{resent} bytes were sent again"


def _until_sent(browser: Tab, share: float, seconds: float) -> None:
    """Return once so much of the large file has gone."""
    bars = "[...document.querySelectorAll('#transfers progress')]"
    browser.until(f"{bars}.some(bar => bar.max > 1e6 && bar.value > bar.max * {share})", seconds=60 + seconds)
