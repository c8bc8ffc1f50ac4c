"""What was done in an organization, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Something that was done in an organization."""

    record_id: str
    type: str
    """For example ``key.created``, ``file.deleted`` or ``webhook.rotated``."""
    timestamp: datetime
    organization_id: str
    subject_id: str
    """The id of the file, key, webhook, workspace, folder or organization that it was done to."""
    actor: Mapping[str, str] | None
    """Who asked for it, as far as it is known: ``key`` (id), ``end_user``, ``client`` (address), ``request_id``.

    None for what happened by itself.
    """
    data: Mapping[str, Any]
    """The thing as it was then."""


def audit_record_from(said: Mapping[str, Any]) -> AuditRecord:
    """Return what an object of ``/api/audit`` describes; raise as ``file_from`` does."""
    return AuditRecord(
        record_id=said["id"],
        type=said["type"],
        timestamp=datetime.fromisoformat(said["timestamp"]),
        organization_id=said["organization_id"],
        subject_id=said["subject_id"],
        actor=said["actor"],
        data=said["data"],
    )
