"""The OpenAPI description is sound and names every address of this release."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

ROUTES = {
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("post", "/v1/files"),
    ("get", "/v1/files"),
    ("get", "/v1/files/{id}"),
    ("delete", "/v1/files/{id}"),
    ("put", "/api/upload/{path}"),
    ("post", "/api/upload/{path}"),
    ("get", "/api/files"),
    ("get", "/api/files/{id}"),
    ("patch", "/api/files/{id}"),
    ("delete", "/api/files/{id}"),
    ("get", "/api/files/{id}/content"),
    ("post", "/api/keys"),
    ("get", "/api/keys"),
    ("get", "/api/keys/{id}"),
    ("delete", "/api/keys/{id}"),
    ("post", "/api/keys/{id}/rotate"),
    ("post", "/api/organizations"),
    ("get", "/api/organizations"),
    ("get", "/api/organizations/{id}"),
    ("get", "/f/{id}/{path}"),
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def description(server: Any) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/docs/openapi.json", trust_env=False)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def operations(description: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_every_address_is_named(description: dict[str, Any]) -> None:
    def plain(path: str) -> str:
        return re.sub(r"{[^}]*}", lambda found: "{path}" if found[0] in ("{path}", "{name}") else "{id}", path)

    found = {(method, plain(path)) for method, path in operations(description)}
    assert found >= ROUTES


def test_every_reference_resolves(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(description)):
        place: Any = description
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_every_operation_is_sound(description: dict[str, Any]) -> None:
    found = operations(description)
    ids = [operation["operationId"] for operation in found.values()]
    assert len(ids) == len(set(ids))
    for (method, path), operation in found.items():
        declared = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
        assert sorted(declared) == sorted(re.findall(r"{([^}:]+)[^}]*}", path)), (method, path)
        assert operation["responses"]
        assert operation.get("description") or operation.get("summary"), (method, path)
