"""A person who signs in to the dashboard, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fileferry.client.nouns.limits import Usage, limits_from, usage_from
from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who signs in to the dashboard. Of a password nothing is ever told."""

    user_id: str
    name: str
    scopes: tuple[str, ...]
    organization_id: str
    issuer: str | None
    """None for who has a password, ``proxy``, or the address of the OpenID provider that vouches for them."""
    subject: str
    """What that calls them; for who has a password the name as it is compared."""
    created_at: datetime
    expires_at: datetime | None
    signed_in_at: datetime | None
    path_prefix: str | None = None
    """The folder that they are confined to."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What they may do at most, by the names of the native API; those that are not set are left out."""
    usage: Usage | None = None
    """What they uploaded that is kept, where they have a limit on that."""


def user_from(said: Mapping[str, Any]) -> User:
    """Return the user that an object of ``/api/users`` describes; raise as ``file_from`` does."""
    return User(
        user_id=said["id"],
        name=said["name"],
        scopes=tuple(said["scopes"]),
        organization_id=said["organization_id"],
        issuer=said["issuer"],
        subject=said["subject"],
        created_at=datetime.fromisoformat(said["created_at"]),
        expires_at=moment_from(said["expires_at"]),
        signed_in_at=moment_from(said["signed_in_at"]),
        path_prefix=said["path_prefix"],
        limits=limits_from(said.get("limits")),
        usage=usage_from(said.get("usage")),
    )
