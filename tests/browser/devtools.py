"""A Chromium that opens addresses as a visitor types them, and tells by its DevTools pipe what it makes of media there."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from browser.chromium import SWITCHES

_SECONDS = 90.0
# The pipe's two ends in the browser are its descriptors 3 and 4.
_START = 'exec chromium "${@:3}" 3<&"$1" 4>&"$2"'


class Visitor:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._asked = 0
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Media", "Log"):
            self._ask(f"{domain}.enable")

    def plays(self, url: str, *tracks: str) -> None:
        """Open an address, and return once a player has found these tracks; raise AssertionError for what stops it."""
        said: list[str] = []
        self._send("Page.navigate", url=url)
        missing = set(tracks)
        while missing:
            message = self._next()
            if message.get("method") == "Log.entryAdded":
                raise AssertionError(message["params"]["entry"]["text"])
            if message.get("method") == "Media.playerPropertiesChanged":
                for named in message["params"]["properties"]:
                    said.append(named["name"])
                    if named["value"] not in {"", "[]"}:
                        missing.discard(named["name"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        asked = self._send(method, **parameters)
        while True:
            message = self._next()
            if message.get("id") == asked:
                answer: dict[str, Any] = message.get("result", {})
                return answer

    def _send(self, method: str, **parameters: Any) -> int:
        self._asked += 1
        session = {"sessionId": self._session} if hasattr(self, "_session") else {}
        message = {"id": self._asked, "method": method, "params": parameters, **session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._asked

    def _next(self) -> dict[str, Any]:
        ends = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], max(0.0, ends - time.monotonic()))[0], "the browser says nothing"
            self._rest += os.read(self._from, 65536)
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


V = TypeVar("V", bound=Visitor)


@contextmanager
def visitor(folder: Path, kind: type[V] = Visitor) -> Iterator[V]:  # type: ignore[assignment]
    """Give a tab of a fresh Chromium; it ends with the block."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    switches = [*SWITCHES, "--remote-debugging-pipe", f"--user-data-dir={folder / 'visitor'}", "about:blank"]
    command = ["bash", "-c", _START, "chromium", str(theirs_in), str(theirs_out), *switches]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), **quiet)  # type: ignore[call-overload]
    for descriptor in (theirs_in, theirs_out):
        os.close(descriptor)
    try:
        yield kind(ours_out, ours_in)
    finally:
        browser.terminate()
        browser.wait(30)
        for descriptor in (ours_in, ours_out):
            os.close(descriptor)
