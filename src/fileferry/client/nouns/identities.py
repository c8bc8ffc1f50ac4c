"""Who a key acts for, as the server tells whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fileferry.client.nouns.keys import ApiKey, key_from
from fileferry.client.nouns.organizations import Organization, organization_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The key of the client, the organization that it acts in, and the end user on whose behalf, if any."""

    key: ApiKey
    organization: Organization
    end_user: str | None
    is_root: bool
    """Whether it is a root key, which acts in every organization."""


def identity_from(said: Mapping[str, Any]) -> Identity:
    """Return the identity that ``/api/whoami`` describes; raise as ``file_from`` does."""
    return Identity(
        key=key_from(said["key"]),
        organization=organization_from(said["organization"]),
        end_user=said["end_user"],
        is_root=bool(said["is_root"]),
    )
