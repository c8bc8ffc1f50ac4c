"""An API key and what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fileferry.client.nouns.limits import Usage, limits_from, usage_from
from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key. ``secret`` is known only in the answer that made it, and is never shown by ``repr``."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str
    organization_id: str | None
    user_id: str | None
    """Who is named as the author of what the key does."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """When somebody acted with it last; None where nobody did. It may be a minute late."""
    path_prefix: str | None = None
    """The folder that it is confined to."""
    on_behalf_of: tuple[str, ...] | None = None
    """The end users that it may act for, one of which every request must name; ``*`` is any."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What it may do at most, by the names of the native API; those that are not set are left out."""
    usage: Usage | None = None
    """What was uploaded with it and is kept, where it has a limit on that."""
    secret: str | None = field(default=None, repr=False)


def key_from(said: Mapping[str, Any]) -> ApiKey:
    """Return the key that an object of ``/api/keys`` describes; raise as ``file_from`` does."""
    return ApiKey(
        key_id=said["id"],
        name=said["name"],
        scopes=tuple(said["scopes"]),
        prefix=said["prefix"],
        organization_id=said.get("organization_id"),
        user_id=said.get("user_id"),
        created_at=datetime.fromisoformat(said["created_at"]),
        expires_at=moment_from(said.get("expires_at")),
        revoked_at=moment_from(said.get("revoked_at")),
        last_used_at=moment_from(said.get("last_used_at")),
        path_prefix=said.get("path_prefix"),
        on_behalf_of=None if said.get("on_behalf_of") is None else tuple(said["on_behalf_of"]),
        limits=limits_from(said.get("limits")),
        usage=usage_from(said.get("usage")),
        secret=said.get("key"),
    )
