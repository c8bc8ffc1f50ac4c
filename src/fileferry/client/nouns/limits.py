"""What limits are set on a key, a workspace or an organization, and what counts against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is kept by now of what ``max_bytes`` and ``max_files`` limit."""

    bytes: int
    files: int
    """Each version of a file counts as one."""


def limits_from(said: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the limits that are set."""
    return {name: value for name, value in (said or {}).items() if value is not None}


def usage_from(said: Mapping[str, Any] | None) -> Usage | None:
    """Return what counts, where it is counted."""
    return None if said is None else Usage(bytes=said["bytes"], files=said["files"])
