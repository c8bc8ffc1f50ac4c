"""An organization and what limits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fileferry.client.nouns.limits import Usage, limits_from, usage_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant; it owns files, workspaces and keys."""

    organization_id: str
    slug: str
    name: str
    created_at: datetime
    is_default: bool
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for all that it has, by the names of the native API."""
    end_user_limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for each of its end users."""
    redirect: str | None = None
    """Whether who fetches its files is sent on to the store: ``auto``, ``never``, or None for as the server does."""
    usage: Usage | None = None
    """What it keeps, where it has a limit on that."""


def organization_from(said: Mapping[str, Any]) -> Organization:
    """Return the organization that an object of ``/api/organizations`` describes; raise as ``file_from`` does."""
    return Organization(
        organization_id=said["id"],
        slug=said["slug"],
        name=said["name"],
        created_at=datetime.fromisoformat(said["created_at"]),
        is_default=bool(said["is_default"]),
        limits=limits_from(said.get("limits")),
        end_user_limits=limits_from(said.get("end_user_limits")),
        redirect=said.get("redirect"),
        usage=usage_from(said.get("usage")),
    )
