"""What is told of a file in the outbox, in the transaction that moves it. Who listens is not known here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fileferry.db import events
from fileferry.model import File, Version


def announce(conn: Connection, type: str, file: File, now: datetime, version: Version | None = None) -> None:
    """Append an event; ``version`` is as it is after the move."""
    events.append_all(conn, [event(type, file, now, version)])


def event(type: str, file: File, now: datetime, version: Version | None) -> dict[str, Any]:
    """Return the row of an event, which tells of the file as it is after the move."""
    data: dict[str, Any] = {
        "file_id": file.id,
        "name": file.name,
        "path": file.path,
        "workspace_id": file.workspace_id,
        "end_user": file.end_user,
        "metadata": file.metadata,
    }
    if version is not None:
        data |= {
            "version_id": str(version.number),
            "status": version.state.value,
            "reason": version.reason,
            "size": version.size,
            "content_type": version.content_type,
            "sha256": version.digests.sha256,
            "crc32c": version.digests.crc32c,
            "scan": None if version.scan is None else version.scan.outcome.value,
        }
    return {
        "organization_id": file.organization_id,
        "file_id": file.id,
        "version_id": version.id if version else None,
        "type": type,
        "data": data,
        "created_at": now,
    }
