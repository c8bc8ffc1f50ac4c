"""What a principal may do, and the limits in force: the intersection of server, organization and key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from fileferry.errors import Forbidden, InvalidExpiry, InvalidMetadata, NotFound
from fileferry.model import Key, Principal, Scope
from fileferry.settings import Settings

_DEEPEST_METADATA = 32


def authorize(principal: Principal, scope: Scope, organization_id: str | None = None) -> None:
    """Return if the principal may use ``scope`` on a thing of ``organization_id`` (its own organization when None).

    Raises NotFound for another organization's thing, so that ids tell nothing, and Forbidden for a missing scope.
    """
    if organization_id not in (None, principal.organization.id):
        raise NotFound()
    held = principal.key.scopes
    if scope not in held and Scope.ADMIN not in held:
        raise Forbidden(f"This API key lacks the scope '{scope}'.")


def may(key: Key, scope: Scope, organization_id: str) -> bool:
    """Whether a living key holds ``scope`` in an organization; for links, which tell nobody why they are refused."""
    return key.organization_id in (None, organization_id) and (scope in key.scopes or Scope.ADMIN in key.scopes)


def authorize_root(principal: Principal) -> None:
    """Return if the principal is a root key, which may act on every organization; raises Forbidden otherwise."""
    if principal.key.organization_id is not None:
        raise Forbidden("Only the root key may do that.")


def largest_file(settings: Settings) -> int:
    """Return the most bytes a file may have."""
    return int(settings.max_file_size)


def check_metadata(settings: Settings, metadata: dict[str, Any]) -> None:
    """Raise InvalidMetadata for an object that is larger, as JSON, than the limit, or nested too deep to be read back safely."""
    level: list[Any] = [metadata]
    for _ in range(_DEEPEST_METADATA):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise InvalidMetadata(f"metadata may be nested at most {_DEEPEST_METADATA} deep.")
    if len(msgspec.json.encode(metadata)) > settings.max_metadata:
        largest = int(settings.max_metadata)
        raise InvalidMetadata(f"metadata may be at most {largest} bytes of JSON.", limit=largest)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def expiry(
    settings: Settings, now: datetime, expires_in: timedelta | None, expires_at: datetime | None
) -> datetime | None:
    """Return when a file ends: what was asked for, within what policy allows; None keeps it.

    Raises InvalidExpiry when both are given, the time has passed, or it is later than policy allows.
    """
    if expires_in is not None and expires_at is not None:
        raise InvalidExpiry("Give either expires_in or expires_at, not both.")
    latest = None if settings.max_retention is None else now + settings.max_retention
    asked = now + expires_in if expires_in is not None else expires_at
    if asked is None:
        return latest
    if asked <= now:
        raise InvalidExpiry("expires_at lies in the past.")
    if latest is not None and asked > latest:
        raise InvalidExpiry(f"Files may be kept for at most {settings.max_retention} here; ask for a shorter life.")
    return asked
