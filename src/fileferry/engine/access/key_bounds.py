"""What confines who acts, be it a program's key or a person: rights, a folder, end users and limits, and who may give them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from fileferry.engine.access import limits, policy
from fileferry.errors import Forbidden, InvalidExpiry, InvalidParameter
from fileferry.model import NO_LIMITS, Key, Limits, Principal, Scope, clean_path

_LONGEST_END_USER = 255
_MOST_END_USERS = 1000


class KeyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What confines a key; UNSET leaves a thing as it is. ``limits`` holds those to be set, or to be lifted by None.

    ``path_prefix`` is the folder that the key is confined to, ``on_behalf_of`` the end users that it may act for (``*``: any); None
    lifts them.
    """

    limits: Mapping[str, Any] = {}
    path_prefix: str | msgspec.UnsetType | None = msgspec.UNSET
    on_behalf_of: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET

    def values(self, before: Limits) -> dict[str, Any]:
        """Return the fields of a key that these are; raises InvalidParameter, and InvalidName for the folder."""
        found: dict[str, Any] = {"limits": limits.changed(before, self.limits, parameter="limits")}
        if self.path_prefix is not msgspec.UNSET:
            found["path_prefix"] = None if self.path_prefix is None else clean_path(self.path_prefix.strip("/"))
        if self.on_behalf_of is not msgspec.UNSET:
            found["on_behalf_of"] = None if self.on_behalf_of is None else _end_users(self.on_behalf_of)
        return found


def authorize_keys(principal: Principal) -> None:
    """Raise Forbidden unless the principal may make and change keys: one with limits of its own could give others more."""
    policy.authorize(principal, Scope.ADMIN)
    if principal.key.limits != NO_LIMITS:
        raise Forbidden("A key with limits of its own makes no keys and changes none.")


def end_of(maker: Key, asked: datetime | None) -> datetime | None:
    """Return when a new key ends: as asked, and no later than the one that makes it; raises InvalidExpiry for a later end."""
    if maker.expires_at is None:
        return asked
    if asked is not None and asked > maker.expires_at:
        raise InvalidExpiry("A key may not outlive the one that makes it.")
    return asked or maker.expires_at


def refuse_outliving(principal: Principal, key: Key) -> None:
    """Raise Forbidden for a key that outlives the principal's own: renewed or widened, it would be a way around that end."""
    ends_at = principal.key.expires_at
    if ends_at is not None and (key.expires_at is None or key.expires_at > ends_at):
        raise Forbidden("This key ends before that one does, and may not change it or give it a new secret.")


def refuse_scopes(scopes: tuple[Scope, ...]) -> None:
    """Raise InvalidParameter for no rights at all."""
    if not scopes:
        raise InvalidParameter("Give at least one scope: upload, read, delete or admin.", parameter="scopes")


def _end_users(named: tuple[str, ...]) -> tuple[str, ...]:
    proper = all(1 <= len(name) <= _LONGEST_END_USER and name.isprintable() and name == name.strip() for name in named)
    if not proper or not 1 <= len(named) <= _MOST_END_USERS:
        raise InvalidParameter(
            f"on_behalf_of must be 1 to {_MOST_END_USERS} end users of 1 to {_LONGEST_END_USER} printable characters; * is any.",
            parameter="on_behalf_of",
        )
    return tuple(dict.fromkeys(named))
