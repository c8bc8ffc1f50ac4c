"""Who is signed in to the dashboard, and which programs act by a key that was lent to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in to the dashboard."""

    session_id: str
    """It opens nothing."""
    key_id: str
    """The key or the user that they signed in as."""
    end_user: str | None
    address: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    """When it ends, if nothing more comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A program that somebody has lent a key to, by OAuth."""

    grant_id: str
    key_id: str
    end_user: str | None
    client_id: str
    client_name: str
    """What the program calls itself."""
    scopes: tuple[str, ...]
    """What it may do, of what the key may."""
    created_at: datetime
    last_used_at: datetime
    """When it last got a token."""
    expires_at: datetime


def sessions_from(said: Mapping[str, Any]) -> tuple[Session, ...]:
    """Return the sessions that ``/api/sessions`` lists; raise as ``file_from`` does."""
    return tuple(
        Session(
            session_id=one["id"],
            key_id=one["key_id"],
            end_user=one["end_user"],
            address=one["address"],
            user_agent=one["user_agent"],
            created_at=datetime.fromisoformat(one["created_at"]),
            last_seen_at=datetime.fromisoformat(one["last_seen_at"]),
            expires_at=datetime.fromisoformat(one["expires_at"]),
        )
        for one in said["sessions"]
    )


def grants_from(said: Mapping[str, Any]) -> tuple[Grant, ...]:
    """Return the grants that ``/api/grants`` lists; raise as ``file_from`` does."""
    return tuple(
        Grant(
            grant_id=one["id"],
            key_id=one["key_id"],
            end_user=one["end_user"],
            client_id=one["client_id"],
            client_name=one["client_name"],
            scopes=tuple(one["scopes"]),
            created_at=datetime.fromisoformat(one["created_at"]),
            last_used_at=datetime.fromisoformat(one["last_used_at"]),
            expires_at=datetime.fromisoformat(one["expires_at"]),
        )
        for one in said["grants"]
    )
