"""Whom an organization wants its events sent to, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom an organization wants its events sent to."""

    webhook_id: str
    url: str
    types: tuple[str, ...] | None
    """The events that it wants; None is all of them."""
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    old_secret_until: datetime | None
    """Until when the secret before the last rotation signs too."""
    organization_id: str
    created_at: datetime
    secret: str | None = field(default=None, repr=False)
    """What verifies the signatures: in the answers of ``create`` and ``rotate`` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event on its way to a webhook, as its log had it when the server answered."""

    delivery_id: str
    webhook_id: str
    message_id: str
    """The ``webhook-id`` that is sent, the same at every attempt."""
    event_id: str | None
    """None for a test."""
    type: str
    file_id: str | None
    state: str
    """``pending``, ``delivered`` or ``failed``."""
    attempts: int
    last_attempt_at: datetime | None
    last_status: int | None
    """The HTTP status that the last attempt was answered with."""
    last_error: str | None
    """What the last attempt failed for."""
    next_attempt_at: datetime | None
    created_at: datetime


def webhook_from(said: Mapping[str, Any]) -> Webhook:
    """Return the webhook that an object of ``/api/webhooks`` describes; raise as ``file_from`` does."""
    return Webhook(
        webhook_id=said["id"],
        url=said["url"],
        types=None if said["types"] is None else tuple(said["types"]),
        enabled=bool(said["enabled"]),
        disabled_at=moment_from(said["disabled_at"]),
        disabled_reason=said["disabled_reason"],
        old_secret_until=moment_from(said["old_secret_until"]),
        organization_id=said["organization_id"],
        created_at=datetime.fromisoformat(said["created_at"]),
        secret=said.get("secret"),
    )


def delivery_from(said: Mapping[str, Any]) -> Delivery:
    """Return the delivery that an object of a webhook's deliveries describes; raise as ``file_from`` does."""
    return Delivery(
        delivery_id=said["id"],
        webhook_id=said["webhook_id"],
        message_id=said["message_id"],
        event_id=said["event_id"],
        type=said["type"],
        file_id=said["file_id"],
        state=said["state"],
        attempts=int(said["attempts"]),
        last_attempt_at=moment_from(said["last_attempt_at"]),
        last_status=said["last_status"],
        last_error=said["last_error"],
        next_attempt_at=moment_from(said["next_attempt_at"]),
        created_at=datetime.fromisoformat(said["created_at"]),
    )
