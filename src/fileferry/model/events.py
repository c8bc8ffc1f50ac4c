"""What is told: events, and whom they are sent to."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

EVENT_TYPES = (
    "file.ready",
    "file.rejected",
    "file.fetched",
    "file.expired",
    "file.deleted",
    "file.restored",
    "file.recalled",
    "share.created",
    "share.changed",
    "share.downloaded",
    "share.deleted",
    "request.created",
    "request.changed",
    "request.received",
    "request.finished",
    "request.deleted",
)
"""What those who listen, and webhooks, can be told of; what else is done is in the audit log only."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a file, as the outbox keeps it; ids grow in the order of commits, of all organizations.

    ``number`` does so within the organization, and is what it is told. ``data`` is the file as it was then.
    ``actor`` is who asked for it, as telemetry says it. Some are of keys and the like: only administrators are told of these.
    """

    id: int
    organization_id: str
    number: int
    file_id: str
    version_id: str | None
    type: str
    data: dict[str, Any]
    created_at: datetime
    actor: dict[str, str] | None = None


class DeliveryState(enum.StrEnum):
    """Where a delivery stands: to be attempted, answered with a success, or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an organization wants its events sent to. ``types`` are the events it wants; None is all of them.

    ``old_secret`` signs beside ``secret`` until ``old_secret_until``. A disabled one is sent nothing; ``disabled_reason`` says why.
    """

    id: str
    organization_id: str
    url: str
    types: list[str] | None
    secret: str
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    last_event_id: int
    created_at: datetime


class Delivery(msgspec.Struct, frozen=True):
    """An event on its way to a webhook; ``body`` is what is sent. ``number`` is its place in the log of the webhook.

    ``event_id`` is the number of the event, negative for one that was made as a test.
    ``last_status`` is the HTTP status of the last attempt, ``last_error`` what it failed for.
    ``trace_id`` is that of the request that made the event, where it was part of a trace.
    """

    id: int
    webhook_id: str
    number: int
    event_id: int
    file_id: str
    type: str
    body: str
    state: str
    attempts: int
    next_at: datetime
    last_status: int | None
    last_error: str | None
    last_attempt_at: datetime | None
    created_at: datetime
    trace_id: str | None = None
