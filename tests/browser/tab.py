"""A tab of a fresh Chromium that is used as a person uses it: opens addresses, clicks, types, chooses files, loses the network."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser.devtools import Visitor, visitor

_SECONDS = 60.0
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "Escape": (27, "")}


class Tab(Visitor):
    """One tab. What it waits for it asks the page for, again and again; a wait in vain is an AssertionError that says for what."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        super().__init__(to_browser, from_browser)
        for domain in ("Page", "Runtime", "DOM", "Network"):
            self._ask(f"{domain}.enable")
        self.refused: list[str] = []
        """What the browser said it would not do, such as to load what a policy forbids."""

    def open(self, url: str) -> None:
        """Open an address, and return once the page is there that it leads to."""
        self._ask("Runtime.evaluate", expression="window.isBefore = true")
        self._ask("Page.navigate", url=url)
        self.until("!window.isBefore && document.readyState === 'complete'", url)

    def forget(self) -> None:
        """Forget all cookies, so that nobody is signed in."""
        self._ask("Network.clearBrowserCookies")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, a promise's too. Raises AssertionError for what it throws."""
        answer = self._ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression: str, what: str = "", seconds: float = _SECONDS) -> Any:
        """Return the first value of an expression that is true; a page that is just leaving answers nothing."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            answer = self._ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
            if value := answer.get("result", {}).get("value"):
                return value
        raise AssertionError(f"{what or expression}\n{self.text()[:3000]}")

    def text(self) -> str:
        """Return what the page says."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def says(self, words: str, seconds: float = _SECONDS) -> None:
        """Return once the page says these words."""
        self.until(f"document.body && document.body.innerText.includes({json.dumps(words)})", words, seconds)

    def click(self, selector: str, text: str | None = None) -> None:
        """Click the first thing that fits and, where given, says ``text``, with the mouse, where it is seen."""
        says = "" if text is None else f".filter(one => one.innerText.trim().startsWith({json.dumps(text)}))"
        chosen = f"[...document.querySelectorAll({json.dumps(selector)})]{says}[0]"
        self.until(f"!!({chosen})", f"{selector} {text or ''}")
        place = self.evaluate(
            f"(() => {{ const one = {chosen}; one.scrollIntoView({{block: 'center'}}); const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._ask(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1, buttons=1
            )

    def leave_by(self, selector: str, text: str | None = None) -> None:
        """Click what leads to another page, and return once that is there."""
        self.evaluate("window.isBefore = true")
        self.click(selector, text)
        self.until(
            "!window.isBefore && document.readyState === 'complete'", f"another page after {selector} {text or ''}"
        )

    def fill(self, selector: str, value: str) -> None:
        """Put a value into a field."""
        self.until(f"!!document.querySelector({json.dumps(selector)})", selector)
        told = f"document.querySelector({json.dumps(selector)}), {json.dumps(value)}"
        self.evaluate(
            "((field, value) => { field.focus(); field.value = value;"
            f"for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {{bubbles: true}})); }})({told})"
        )

    def press(self, key: str, *, back: bool = False) -> None:
        """Press a key; ``back`` with the shift key."""
        code, text = _KEYS[key]
        pressed = {"key": key, "code": key if key != " " else "Space", "windowsVirtualKeyCode": code}
        modifiers = 8 if back else 0
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, modifiers=modifiers, **pressed)
        self._ask("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **pressed)

    def type(self, text: str) -> None:
        """Type where the focus is, once it is in a field: a page may give it that a moment after it is complete."""
        self.until("document.activeElement?.matches('input, textarea')", "a field with the focus")
        self._ask("Input.insertText", text=text)

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in a field for them."""
        document = self._ask("DOM.getDocument")["root"]["nodeId"]
        field = self._ask("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self._ask("DOM.setFileInputFiles", nodeId=field, files=[str(file) for file in files])

    def go_offline(self, is_offline: bool = True, *, bytes_a_second: int = -1) -> None:
        """Cut the network, or bring it back, as slow as told."""
        rates = {"downloadThroughput": -1, "uploadThroughput": bytes_a_second, "latency": 0}
        self._ask("Network.emulateNetworkConditions", offline=is_offline, **rates)

    def without_scripts(self) -> None:
        """Let no page run a script from now on; what this class evaluates still runs."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def accept_questions(self) -> None:
        """Answer every question of a page with yes."""
        self._ask("Page.addScriptToEvaluateOnNewDocument", source="window.confirm = () => true")

    def look(self, *, width: int, height: int, dark: bool) -> None:
        """Take the size and the scheme of colours of another screen."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _next(self) -> dict[str, Any]:
        message = super()._next()
        if message.get("method") == "Log.entryAdded":
            self.refused.append(message["params"]["entry"]["text"])
        if message.get("method") == "Page.javascriptDialogOpening":
            self._send("Page.handleJavaScriptDialog", accept=True)
        return message


@contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """Give a tab of a fresh Chromium; it ends with the block."""
    with visitor(folder, Tab) as opened:
        yield opened
