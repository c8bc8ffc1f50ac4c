"""How the server writes a moment."""

from __future__ import annotations

from datetime import datetime


def moment_from(said: str | None) -> datetime | None:
    """Return the moment, where one is given."""
    return None if said is None else datetime.fromisoformat(said)
