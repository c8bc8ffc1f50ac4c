"""Roles: what the groups that a proxy or an OpenID provider says somebody is in may do here. They are read from a file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from fileferry.engine.access import limits
from fileferry.errors import FerryError, Forbidden
from fileferry.model import NO_LIMITS, Key, Limits, Scope, clean_path, parse_size
from fileferry.settings import PREFIX, Settings, SettingsError, networks

_SETTING = "FILEFERRY_ROLES"
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that a provider may have without HTTPS."""
_SIZES = ("max_size", "max_bytes")
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _WantedRole(msgspec.Struct, forbid_unknown_fields=True):
    group: _Text
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    organization: _Text | None = None
    path_prefix: _Text | None = None
    limits: dict[str, Any] = {}


class _Roles(msgspec.Struct, forbid_unknown_fields=True):
    roles: Annotated[list[_WantedRole], msgspec.Meta(min_length=1)]


class Role(msgspec.Struct, frozen=True):
    """What the people of a group may do, in an organization (its id or slug; None: the default one)."""

    group: str
    scopes: tuple[Scope, ...]
    organization: str | None = None
    path_prefix: str | None = None
    limits: Limits = NO_LIMITS

    def is_of(self, key: Key) -> bool:
        """Whether a key has the rights of this role."""
        return (self.scopes, self.path_prefix, self.limits) == (key.scopes, key.path_prefix, key.limits)


def read(settings: Settings) -> tuple[Role, ...]:
    """Return the roles of the file, none where none is set; raises SettingsError for what cannot be used, or is missing."""
    _judge(settings)
    if settings.roles is None:
        return ()
    try:
        wanted = msgspec.convert(tomllib.loads(settings.roles.read_text()), _Roles)
        return tuple(_role(one) for one in wanted.roles)
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {settings.roles} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, FerryError) as error:
        raise SettingsError(f"{_SETTING}: {settings.roles}: {str(error).rstrip('.')}.") from error


def role_of(roles: tuple[Role, ...], groups: Iterable[str]) -> Role:
    """Return the first role of the file whose group is among these; raises Forbidden for somebody without one."""
    held = set(groups)
    for role in roles:
        if role.group in held:
            return role
    raise Forbidden("None of your groups has a role here: ask who runs this server.")


def _role(wanted: _WantedRole) -> Role:
    changes = {
        name: parse_size(value) if name in _SIZES and isinstance(value, str) else value
        for name, value in wanted.limits.items()
    }
    folder = None if wanted.path_prefix is None else clean_path(wanted.path_prefix.strip("/"))
    kept = limits.changed(NO_LIMITS, changes, parameter="limits")
    return Role(wanted.group, tuple(sorted(set(wanted.scopes))), wanted.organization, folder, kept)


def _judge(settings: Settings) -> None:
    """Raise SettingsError where somebody could vouch for whom they like."""
    if settings.proxy_user_header is not None:
        for name in ("proxy_user_header", "proxy_groups_header"):
            if not _HEADER.fullmatch(getattr(settings, name)):
                raise SettingsError(f"{PREFIX}{name.upper()}: name a header, for example Remote-User.")
        if not settings.trusted_proxies:
            raise SettingsError(f"{PREFIX}PROXY_USER_HEADER: name the proxy that sends it in {PREFIX}TRUSTED_PROXIES.")
        if any(network.prefixlen == 0 for network in networks("trusted_proxies", settings.trusted_proxies)):
            raise SettingsError(f"{PREFIX}PROXY_USER_HEADER: {PREFIX}TRUSTED_PROXIES may not be everybody.")
        if settings.roles is None:
            raise SettingsError(f"{PREFIX}PROXY_USER_HEADER: say in {PREFIX}ROLES what groups may do.")
    if settings.oidc_issuer is not None:
        for name in ("base_url", "oidc_client_id", "roles"):
            if getattr(settings, name) is None:
                raise SettingsError(f"{PREFIX}OIDC_ISSUER: set {PREFIX}{name.upper()} too.")
        parts = urlsplit(settings.oidc_issuer)
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            raise SettingsError(f"{PREFIX}OIDC_ISSUER: use an https:// address.")
