"""A folder: a prefix of paths that has an id. What is in it is a list of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A prefix of a workspace's paths that has an id."""

    folder_id: str
    path: str
    workspace_id: str
    created_at: datetime


def folder_from(said: Mapping[str, Any]) -> Folder:
    """Return the folder that an object of ``/api/folders`` describes; raise as ``file_from`` does."""
    return Folder(
        folder_id=said["id"],
        path=said["path"],
        workspace_id=said["workspace_id"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )
