"""Direct tickets as clients of the presigned API ask for them and confirm them, and what a store has of blobs meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx

from unit.service import Service

if TYPE_CHECKING:
    from support.object_stores import Place

CONTENT = os.urandom(100_000)


def names(service: Service, place: Place, prefix: str = "blobs/") -> list[str]:
    """Return the names of the objects that the service's store has below a prefix."""

    async def run() -> list[str]:
        store, objects = place.open(service.settings.store or "")
        try:
            return [found.key async for found in objects.list(prefix)]
        finally:
            await store.close()  # type: ignore[attr-defined]

    found: list[str] = service._run(run())
    return found


def ticket_of(service: Service, folder: str, name: str = "a.bin", **more: Any) -> dict[str, Any]:
    """Ask for a ticket of the size of CONTENT."""
    described = {"name": name, "size": len(CONTENT), **more}
    answer = service.request("POST", f"/v1/files/{folder}", json={"filesMetadata": [described]})
    ticket: dict[str, Any] = answer.raise_for_status().json()["urls"][0]
    return ticket


def confirm(service: Service, id: str) -> httpx.Response:
    """Confirm an upload."""
    return service.request("POST", "/v1/files/confirm-upload", json={"ids": [id]})
