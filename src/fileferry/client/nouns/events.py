"""What happened to a file, as the stream of events tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a file. ``reset`` happened to none: events before it may have been missed."""

    event_id: str
    """Go on after it with ``events(after=…)``."""
    type: str
    """``file.ready``, ``file.rejected``, ``file.fetched``, ``file.expired``, ``file.deleted`` and so on, or ``reset``."""
    timestamp: datetime | None
    organization_id: str | None
    data: Mapping[str, Any]
    """The file as it was then: ``file_id``, ``name``, ``path``, ``status``, …"""


def event_from(said: Mapping[str, Any]) -> Event:
    """Return the event that an object of ``/api/events`` describes; raise as ``file_from`` does."""
    return Event(
        event_id=said["id"],
        type=said["type"],
        timestamp=moment_from(said.get("timestamp")),
        organization_id=said.get("organization_id"),
        data=said.get("data") or {},
    )
