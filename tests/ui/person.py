"""Somebody with a browser and no scripts, in front of the service of a test: follows links, sends forms, keeps cookies."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from unit.service import ROOT_KEY, Service

ORIGIN = "http://service"
TOKEN = re.compile(r'name="form_token" value="([^"]*)"')


class Person:
    """Keeps cookies from one request to the next, as a browser does."""

    def __init__(self, service: Service, *, address: str = "") -> None:
        self.service = service
        self.cookies: dict[str, str] = {}
        self._headers = {"User-Agent": "A browser", **({"X-Forwarded-For": address} if address else {})}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page below the root of the dashboard."""
        return self._ask("GET", path, headers=headers)

    def post(
        self, path: str, fields: dict[str, Any] | None = None, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form, with the token that its page has unless another is given."""
        shown = self.form_token() if token is None else token
        said = {"Origin": ORIGIN, **headers}
        return self._ask("POST", path, data={"form_token": shown, **(fields or {})}, headers=said)

    def send(self, path: str, told: Any, token: str | None = None) -> httpx.Response:
        """Send JSON as the script of a page does."""
        shown = self.form_token() if token is None else token
        headers = {"Origin": ORIGIN, "X-Form-Token": shown, "Accept": "application/json"}
        return self._ask("POST", path, json=told, headers=headers)

    def form_token(self) -> str:
        """Return what forms of this session carry."""
        found = TOKEN.search(self.get("/connect").text)
        return found[1] if found else ""

    def sign_in(self, key: str = ROOT_KEY, **fields: str) -> httpx.Response:
        """Send the form for a key."""
        # Who is signed in is led on; somebody else at the same browser has the form open already.
        session = self.cookies.pop("fileferry", None)
        page = self.get("/sign-in")
        found = TOKEN.search(page.text)
        if session is not None:
            self.cookies["fileferry"] = session
        assert found is not None, page.text
        return self.post("/sign-in", {"key": key, **fields}, token=found[1])

    def notice(self) -> str:
        """Return what the next page says of what was just done."""
        found = re.search(r'role="status"><p>(.*?)</p>', self.get("/connect").text, re.DOTALL)
        return html.unescape(found[1]) if found else ""

    def names(self, path: str) -> list[str]:
        """Return the names of the files that a page lists."""
        return [html.unescape(name) for name in re.findall(r'/files/[0-9a-f-]{36}">(.*?)</a>', self.get(path).text)]

    def _ask(self, method: str, path: str, *, headers: dict[str, str], **options: Any) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**self._headers, **({"Cookie": cookies} if cookies else {}), **headers}
        answer = self.service.request(method, f"/ui{path}", key=None, headers=sent, **options)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value and "Max-Age=0" not in line:
                self.cookies[name] = value
        return answer


def signed_in(service: Service, key: str = ROOT_KEY, **fields: str) -> Person:
    """Return somebody who is signed in with a key."""
    person = Person(service)
    answer = person.sign_in(key, **fields)
    assert answer.status_code == 303, answer.text
    return person
