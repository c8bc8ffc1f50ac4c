"""Text that not every database keeps is refused in the same words whatever the database."""

from __future__ import annotations

import pytest

from unit.service import Service

BODIES = {
    "an organization": ("/api/organizations", {"slug": "acme", "name": "a\x00"}),
    "a key": ("/api/keys", {"name": "a\x00", "scopes": ["read"]}),
    "a user": ("/api/keys", {"name": "k", "scopes": ["read"], "user": {"name": "a\x00"}}),
    "an address": ("/api/keys", {"name": "k", "scopes": ["read"], "user": {"name": "u", "email": "a\x00"}}),
    "a file": ("/api/uploads", {"path": "a\x00", "size": 1}),
    "a folder": ("/api/folders", {"path": "a\x00"}),
    "a workspace": ("/api/workspaces", {"name": "a\x00"}),
}


@pytest.mark.parametrize("named", BODIES)
def test_nul_in_a_name_is_refused(service: Service, named: str) -> None:
    path, body = BODIES[named]
    answer = service.request("POST", path, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("invalid_parameter", "invalid_name", "bad_request")
