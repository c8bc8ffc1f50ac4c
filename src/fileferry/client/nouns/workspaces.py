"""A workspace and which versions it keeps. The files in it are in ``files``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fileferry.client.nouns.limits import Usage, limits_from, usage_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A tree of paths in an organization."""

    workspace_id: str
    name: str
    organization_id: str
    keep_versions: int | None
    """How many versions of each file are kept; None keeps all."""
    keep_versions_for: int | None
    """Seconds that a replaced version is kept; None keeps it."""
    created_at: datetime
    is_default: bool
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What holds for each file, and for all together, by the names of the native API."""
    usage: Usage | None = None
    """What it keeps, where it has a limit on that."""


def workspace_from(said: Mapping[str, Any]) -> Workspace:
    """Return the workspace that an object of ``/api/workspaces`` describes; raise as ``file_from`` does."""
    return Workspace(
        workspace_id=said["id"],
        name=said["name"],
        organization_id=said["organization_id"],
        keep_versions=said["keep_versions"],
        keep_versions_for=said["keep_versions_for"],
        created_at=datetime.fromisoformat(said["created_at"]),
        is_default=bool(said["is_default"]),
        limits=limits_from(said.get("limits")),
        usage=usage_from(said.get("usage")),
    )
