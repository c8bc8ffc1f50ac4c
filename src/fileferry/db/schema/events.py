"""The tables of what is told."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Table, UniqueConstraint

from fileferry.db.schema.columns import NUMBER, Instant, metadata, where, words

_PENDING = "state = 'pending'"

events = Table(
    "events",
    metadata,
    # Its place among those of all organizations, which is told to nobody.
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("organization_id", words(36), nullable=False),
    # Its place among those of its organization.
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("file_id", words(36), nullable=False),
    Column("version_id", words(36)),
    Column("type", words(32), nullable=False),
    Column("data", JSON, nullable=False),
    # Who did it, as telemetry names them; null where nobody asked for it.
    Column("actor", JSON(none_as_null=True)),
    Column("created_at", Instant, nullable=False, index=True),
    Index("events_by_organization", "organization_id", "number", unique=True),
    Index("events_by_file", "file_id", "number"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", words(36), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False, index=True),
    Column("url", words(2048), nullable=False),
    # The types of events to be told of; null for all.
    Column("types", JSON(none_as_null=True)),
    Column("secret", words(128), nullable=False),
    # The one before, good until its grace ends.
    Column("old_secret", words(128)),
    Column("old_secret_until", Instant),
    Column("disabled_at", Instant),
    Column("disabled_reason", words(255)),
    # The number of the last event that deliveries were made of.
    Column("last_event_id", BigInteger, nullable=False),
    # The number of the last delivery.
    Column("last_delivery", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
)

# An event on its way to a webhook. Ids grow in the order of events.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    # Its place among those of its webhook, where ``id`` is that among all.
    Column("number", BigInteger, nullable=False, server_default="0"),
    # The number of the event.
    Column("event_id", BigInteger, nullable=False),
    Column("file_id", words(36), nullable=False),
    Column("type", words(32), nullable=False),
    # The body that is sent, the same at every attempt.
    Column("body", words(), nullable=False),
    # The trace of the request that made the event, https://www.w3.org/TR/trace-context/#trace-id; null where none was sent.
    Column("trace_id", words(32)),
    Column("state", words(16), nullable=False),
    Column("attempts", NUMBER, nullable=False, server_default="0"),
    Column("next_at", Instant, nullable=False),
    # Of the last attempt: the HTTP status, or what went wrong before there was one.
    Column("last_status", NUMBER),
    Column("last_error", words(255)),
    Column("last_attempt_at", Instant),
    Column("created_at", Instant, nullable=False, index=True),
    UniqueConstraint("webhook_id", "event_id"),
    Index("deliveries_of_webhook", "webhook_id", "number", unique=True),
    Index("deliveries_pending", "webhook_id", "next_at", **where(_PENDING)),
    Index("deliveries_in_order", "webhook_id", "file_id", "id", **where(_PENDING)),
)
