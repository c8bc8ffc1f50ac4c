"""Tickets of a service in this process, for tests of what comes to their signed URLs."""

from __future__ import annotations

from typing import Any

from unit.service import Service


def ticket_of(service: Service, **promise: Any) -> dict[str, Any]:
    answer = service.request("POST", "/api/uploads", json={"name": "a.bin", **promise})
    assert answer.status_code == 201, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


def nothing_came(service: Service, ticket: dict[str, Any]) -> bool:
    return service.request("POST", f"/api/uploads/{ticket['id']}/complete").status_code == 409
