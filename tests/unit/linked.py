"""Shares and requests of a service, as their makers and their visitors deal with them. Asserts nothing of its own but success."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import httpx

from unit.service import ROOT_KEY, Service

PAGE = {"Accept": "text/html"}
PASSPHRASE = "blue ferry 7"


def make_share(service: Service, key: str = ROOT_KEY, **asked: Any) -> dict[str, Any]:
    """Make a share and return it."""
    return _made(service.request("POST", "/api/shares", key=key, json=asked))


def make_request(service: Service, key: str = ROOT_KEY, **asked: Any) -> dict[str, Any]:
    """Make a request for files and return it."""
    return _made(service.request("POST", "/api/requests", key=key, json={"title": "Photos", **asked}))


def make_key(service: Service, *scopes: str, **asked: Any) -> dict[str, Any]:
    """Make a key and return it with its secret."""
    return _made(service.request("POST", "/api/keys", json={"name": "k", "scopes": list(scopes), **asked}))


def visit(service: Service, url: str, method: str = "GET", **options: Any) -> httpx.Response:
    """Ask as somebody without a key does."""
    return service.request(method, url, key=None, **options)


def basic(passphrase: str) -> dict[str, str]:
    """Return the header that shows a passphrase."""
    return {"Authorization": "Basic " + base64.b64encode(f"x:{passphrase}".encode()).decode()}


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """Return the header with the one cookie that an answer set."""
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}


def archive_of(answer: httpx.Response) -> zipfile.ZipFile:
    """Return the archive that an answer is."""
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def told(service: Service, *types: str) -> list[dict[str, Any]]:
    """Return what was told in events of these types."""
    answer = service.request("GET", "/api/events?after=0", headers={"Accept": "application/json"})
    return [event["data"] for event in answer.json()["events"] if event["type"] in types]


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found
