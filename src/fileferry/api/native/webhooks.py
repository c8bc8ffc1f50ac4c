"""The native API's webhooks, ``/api/webhooks``: who is told of an organization's events, and the log of what was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import QueryParameter

from fileferry.api.bodies import takes_json
from fileferry.engine.engine import Engine
from fileferry.engine.events.webhooks import message_id
from fileferry.errors import InvalidParameter, NotFound
from fileferry.model import Delivery, DeliveryState, Principal, Scope, Webhook, format_optional_time, format_time
from fileferry.web.requests import (
    AnyRequest,
    Cursor,
    Limit,
    created,
    decode_cursor,
    decode_number,
    encode_cursor,
    json_body,
    parse_expires_in,
    parse_limit,
    whole_number,
)

InState = Annotated[
    str | None, QueryParameter(name="state", description="Only deliveries in this state: pending, delivered or failed.")
]


class WebhookObject(msgspec.Struct, kw_only=True):
    """A webhook without its secret. ``types`` null is all events; ``old_secret_until`` is when a rotated secret ends."""

    id: str
    url: str
    types: list[str] | None
    enabled: bool
    disabled_at: str | None
    disabled_reason: str | None
    old_secret_until: str | None
    organization_id: str
    created_at: str


class NewWebhookObject(WebhookObject, kw_only=True):
    """A webhook with its ``secret``, which is shown this once."""

    secret: str


class WebhookPage(msgspec.Struct):
    """A page of webhooks."""

    webhooks: list[WebhookObject]
    next_cursor: str | None


class DeliveryObject(msgspec.Struct, kw_only=True):
    """An event on its way to a webhook, as the log has it. ``message_id`` is sent as ``webhook-id`` at every attempt.

    ``event_id`` is null for a test. ``last_status`` is the answer to the last attempt, ``last_error`` what it failed for;
    ``next_attempt_at`` is null once there will be none.
    """

    id: str
    webhook_id: str
    message_id: str
    event_id: str | None
    type: str
    file_id: str | None
    state: str
    attempts: int
    last_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    next_attempt_at: str | None
    created_at: str


class DeliveryPage(msgspec.Struct):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryObject]
    next_cursor: str | None


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a webhook of: where events are posted to, and which; all of them without ``types``."""

    url: str
    types: list[str] | None = None


class WebhookChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a webhook: where events go, which (null: all), and whether they are sent."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    types: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class SecretRotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the present secret signs beside the new one, as a duration; not at all by default."""

    grace: str | int | None = None


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """Which failed deliveries to send again: those of events since this RFC 3339 time."""

    since: Annotated[datetime, msgspec.Meta(tz=True)]


class Replayed(msgspec.Struct):
    """How many deliveries are sent again."""

    replayed: int


@post("/webhooks", operation_class=takes_json(NewWebhook))
async def create_webhook(request: AnyRequest, engine: Engine, principal: Principal) -> Response[NewWebhookObject]:
    """Have the organization's events from now on posted to a URL; the secret that signs them is in the answer and nowhere else."""
    asked = await json_body(request, engine, Scope.ADMIN, NewWebhook)
    made = _with_secret(await engine.webhooks.create(principal, asked.url, asked.types))
    return created(request, engine, f"/api/webhooks/{made.id}", made)


@get("/webhooks")
async def list_webhooks(engine: Engine, principal: Principal, cursor: Cursor = "", limit: Limit = None) -> WebhookPage:
    """List the organization's webhooks, disabled ones too."""
    after = decode_cursor(cursor, 1)
    page = await engine.webhooks.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [_webhook_object(webhook) for webhook in page.items]
    return WebhookPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/webhooks/{webhook_id:str}")
async def get_webhook(engine: Engine, principal: Principal, webhook_id: str) -> WebhookObject:
    """Inspect a webhook."""
    return _webhook_object(await engine.webhooks.get(principal, webhook_id))


@patch("/webhooks/{webhook_id:str}", operation_class=takes_json(WebhookChanges))
async def patch_webhook(request: AnyRequest, engine: Engine, principal: Principal, webhook_id: str) -> WebhookObject:
    """Change where a webhook's events go and which; disable it, which gives up what waits, or enable it for events from now on."""
    asked = await json_body(request, engine, Scope.ADMIN, WebhookChanges)
    changed = await engine.webhooks.change(
        principal, webhook_id, url=asked.url, types=asked.types, enabled=asked.enabled
    )
    return _webhook_object(changed)


@delete("/webhooks/{webhook_id:str}")
async def delete_webhook(engine: Engine, principal: Principal, webhook_id: str) -> None:
    """Delete a webhook with its log; what waits is not sent."""
    await engine.webhooks.delete(principal, webhook_id)


@post("/webhooks/{webhook_id:str}/rotate", operation_class=takes_json(SecretRotation))
async def rotate_webhook(
    request: AnyRequest, engine: Engine, principal: Principal, webhook_id: str
) -> NewWebhookObject:
    """Give a webhook a new secret; the present one signs beside it for ``grace``."""
    asked = await json_body(request, engine, Scope.ADMIN, SecretRotation)
    grace = parse_expires_in(asked.grace) or timedelta(0)
    return _with_secret(await engine.webhooks.rotate(principal, webhook_id, grace))


@post("/webhooks/{webhook_id:str}/test", status_code=202)
async def test_webhook(engine: Engine, principal: Principal, webhook_id: str) -> DeliveryObject:
    """Send a webhook an event of the type ``webhook.test``, as soon as possible; 409 while it is disabled."""
    return _delivery_object(await engine.webhooks.test(principal, webhook_id))


@get("/webhooks/{webhook_id:str}/deliveries")
async def list_deliveries(
    engine: Engine,
    principal: Principal,
    webhook_id: str,
    in_state: InState = None,
    cursor: Cursor = "",
    limit: Limit = None,
) -> DeliveryPage:
    """List what was sent to a webhook and what waits, newest first."""
    page = await engine.webhooks.deliveries(
        principal, webhook_id, _parse_state(in_state), decode_number(cursor), parse_limit(limit)
    )
    objects = [_delivery_object(delivery) for delivery in page.items]
    return DeliveryPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@post("/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/replay", status_code=202)
async def replay_delivery(engine: Engine, principal: Principal, webhook_id: str, delivery_id: str) -> DeliveryObject:
    """Send a delivery again, whatever became of it; 409 while the webhook is disabled."""
    number = whole_number(delivery_id)
    if number is None:
        raise NotFound("The webhook has no delivery with this id.")
    return _delivery_object(await engine.webhooks.replay(principal, webhook_id, number))


@post("/webhooks/{webhook_id:str}/replay", operation_class=takes_json(Replay), status_code=202)
async def replay_failed(request: AnyRequest, engine: Engine, principal: Principal, webhook_id: str) -> Replayed:
    """Send every failed delivery again that is of ``since`` or later; 409 while the webhook is disabled."""
    asked = await json_body(request, engine, Scope.ADMIN, Replay)
    return Replayed(await engine.webhooks.replay_failed(principal, webhook_id, asked.since))


router = Router(
    "/api",
    route_handlers=[
        create_webhook,
        list_webhooks,
        get_webhook,
        patch_webhook,
        delete_webhook,
        rotate_webhook,
        test_webhook,
        list_deliveries,
        replay_delivery,
        replay_failed,
    ],
)


def _parse_state(value: str | None) -> DeliveryState | None:
    try:
        return DeliveryState(value) if value else None
    except ValueError as error:
        raise InvalidParameter(f"state must be one of {', '.join(DeliveryState)}.", parameter="state") from error


def _webhook_fields(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "types": webhook.types,
        "enabled": webhook.disabled_at is None,
        "disabled_at": format_optional_time(webhook.disabled_at),
        "disabled_reason": webhook.disabled_reason,
        "old_secret_until": format_optional_time(webhook.old_secret_until),
        "organization_id": webhook.organization_id,
        "created_at": format_time(webhook.created_at),
    }


def _webhook_object(webhook: Webhook) -> WebhookObject:
    return WebhookObject(**_webhook_fields(webhook))


def _with_secret(webhook: Webhook) -> NewWebhookObject:
    return NewWebhookObject(**_webhook_fields(webhook), secret=webhook.secret)


def _delivery_object(delivery: Delivery) -> DeliveryObject:
    is_test = delivery.event_id < 0
    return DeliveryObject(
        id=str(delivery.number),
        webhook_id=delivery.webhook_id,
        message_id=message_id(delivery),
        event_id=None if is_test else str(delivery.event_id),
        type=delivery.type,
        file_id=None if is_test else delivery.file_id,
        state=delivery.state,
        attempts=delivery.attempts,
        last_attempt_at=format_optional_time(delivery.last_attempt_at),
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        next_attempt_at=format_time(delivery.next_at) if delivery.state == DeliveryState.PENDING else None,
        created_at=format_time(delivery.created_at),
    )
