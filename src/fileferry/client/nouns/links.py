"""A URL that a version of a file can be fetched from for a time, signed or short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

UrlStyle = Literal["signed", "short"]
"""Whether a URL says all by itself in its query, or is a short path without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A download URL for anyone who has it, until ``expires_at``, or until its file or the secret of its key ends."""

    url: str
    expires_at: datetime


def link_from(said: Mapping[str, Any]) -> Link:
    """Return the link that the server's answer describes; raise as ``file_from`` does."""
    return Link(url=said["url"], expires_at=datetime.fromisoformat(said["expires_at"]))
