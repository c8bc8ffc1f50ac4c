"""What a service that fetches files by URL would say of one, as the server described it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    check: str
    """``reachable``, ``media_type``, ``extension``, ``size``, ``range``, ``head``, ``redirects``, ``certificate`` and so on."""
    outcome: str
    """``passed``, ``failed`` or ``unknown``."""
    said: str
    advice: str | None
    found: str | None
    """What was seen, such as the media type or an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """The checks of a file for one service; its outcome is ``failed`` where one is, else ``unknown`` where one is."""

    service: str
    title: str
    sources: tuple[str, ...]
    """Where the service says what it wants."""
    url: str
    outcome: str
    checks: tuple[Check, ...]


def preflight_from(said: Mapping[str, Any]) -> Preflight:
    """Return the preflight that the server's answer describes; raise as ``file_from`` does."""
    return Preflight(
        service=said["for"],
        title=said["title"],
        sources=tuple(source["url"] for source in said["sources"]),
        url=said["url"],
        outcome=said["outcome"],
        checks=tuple(
            Check(
                check=check["check"],
                outcome=check["outcome"],
                said=check["said"],
                advice=check["advice"],
                found=check["found"],
            )
            for check in said["checks"]
        ),
    )
