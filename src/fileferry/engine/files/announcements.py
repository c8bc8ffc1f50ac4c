"""What is told of a file in the outbox, in the transaction that moves it. Who listens is not known here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fileferry import telemetry
from fileferry.db import events
from fileferry.engine.access import audit
from fileferry.model import File, FileRequest, Share, Version

_BROUGHT = ("file.ready", "file.rejected")


def announce(
    conn: Connection, type: str, file: File, now: datetime, version: Version | None = None, **more: Any
) -> None:
    """Append an event of what the request being answered did, if there is one.

    ``version`` is as it is after the move, and ``more`` is told beside what all events tell.
    """
    told = event(type, file, now, version, telemetry.actor())
    events.append_all(conn, [{**told, "data": {**told["data"], **more}}])


def announce_link(conn: Connection, type: str, link: Share | FileRequest, now: datetime, **data: Any) -> None:
    """Append an event that is of a share or a request, and not of one file. It holds nothing that would open the link."""
    name, kind = (link.name, "share_id") if isinstance(link, Share) else (link.title, "request_id")
    told = {kind: link.id, "name": name, "path": "", "end_user": link.end_user, "key_id": link.key_id, **data}
    audit.record(conn, type, link.organization_id, link.id, now, **told)


def event(
    type: str, file: File, now: datetime, version: Version | None, actor: dict[str, str] | None
) -> dict[str, Any]:
    """Return the row of an event, which tells of the file as it is after the move, and who made it.

    Of bytes that came without a key, or were checked later, that is the key, and end user, that they were let in by.
    """
    if version is not None and version.key_id is not None and type in _BROUGHT:
        brought = (
            {"key": version.key_id} if file.end_user is None else {"key": version.key_id, "end_user": file.end_user}
        )
        actor = {**brought, **(actor or {})}
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
        "actor": actor,
        "created_at": now,
    }
