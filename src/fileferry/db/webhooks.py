"""Queries of webhooks, and of the events on their way to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, text, update

from fileferry.db.schema import Instant, deliveries, events, webhooks
from fileferry.model import Delivery, DeliveryState, Webhook

_WEBHOOK = select(*(getattr(webhooks.c, name) for name in Webhook.__struct_fields__))
_DELIVERY = select(*(getattr(deliveries.c, name) for name in Delivery.__struct_fields__))
_NOW = bindparam("now", type_=Instant)
# In the words of the indexes, or SQLite does not use them.
_PENDING = text("deliveries.state = 'pending'")
_earlier = deliveries.alias("earlier")

_ANY_ENABLED = select(webhooks.c.id).where(webhooks.c.disabled_at.is_(None)).limit(1)
_LAGGING = (
    select(webhooks.c.id)
    .where(
        webhooks.c.disabled_at.is_(None),
        exists().where(
            events.c.organization_id == webhooks.c.organization_id, events.c.number > webhooks.c.last_event_id
        ),
    )
    .order_by(webhooks.c.id)
)
_WITH_DUE = _WEBHOOK.where(
    webhooks.c.disabled_at.is_(None),
    exists().where(deliveries.c.webhook_id == webhooks.c.id, _PENDING, deliveries.c.next_at <= _NOW),
)
_DUE = (
    _DELIVERY.where(
        deliveries.c.webhook_id == bindparam("webhook"),
        _PENDING,
        deliveries.c.next_at <= _NOW,
        ~exists().where(
            _earlier.c.webhook_id == deliveries.c.webhook_id,
            _earlier.c.file_id == deliveries.c.file_id,
            _earlier.c.id < deliveries.c.id,
            text("earlier.state = 'pending'"),
        ),
    )
    .order_by(deliveries.c.next_at, deliveries.c.id)
    .limit(bindparam("most"))
)
_OF_FILE = (
    deliveries.c.webhook_id == bindparam("of_webhook"),
    deliveries.c.file_id == bindparam("of_file"),
    _PENDING,
)
_LAST_OF_FILE = select(deliveries.c.next_at).where(*_OF_FILE).order_by(deliveries.c.id.desc()).limit(1)
_FOLLOW = (
    update(deliveries)
    .where(*_OF_FILE, deliveries.c.id > bindparam("after_id"))
    .values(next_at=bindparam("at", type_=Instant))
)

_NUMBER = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("webhook"))
    .values(last_delivery=webhooks.c.last_delivery + 1)
    .returning(webhooks.c.last_delivery)
)


def insert_webhook(conn: Connection, webhook: Webhook) -> None:
    """Add a webhook."""
    conn.execute(insert(webhooks), msgspec.structs.asdict(webhook))


def find(conn: Connection, webhook_id: str) -> Webhook | None:
    """Return a webhook by its id."""
    row = conn.execute(_WEBHOOK.where(webhooks.c.id == webhook_id)).first()
    return None if row is None else _webhook(row)


def count(conn: Connection, organization_id: str) -> int:
    """Return how many webhooks an organization has."""
    query = select(func.count()).where(webhooks.c.organization_id == organization_id)
    return int(conn.execute(query).scalar_one())


def list_webhooks(conn: Connection, organization_id: str, after_id: str, limit: int) -> list[Webhook]:
    """Return an organization's webhooks in order of id, those past ``after_id``."""
    query = _WEBHOOK.where(webhooks.c.organization_id == organization_id, webhooks.c.id > after_id)
    return [_webhook(row) for row in conn.execute(query.order_by(webhooks.c.id).limit(limit))]


def update_webhook(conn: Connection, webhook_id: str, **values: Any) -> None:
    """Change columns of one webhook."""
    conn.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))


def disable(conn: Connection, webhook_id: str, reason: str, now: datetime) -> None:
    """Send a webhook nothing more, and give up what was on its way."""
    update_webhook(conn, webhook_id, disabled_at=now, disabled_reason=reason)
    waiting = update(deliveries).where(deliveries.c.webhook_id == webhook_id, _PENDING)
    conn.execute(waiting.values(state=DeliveryState.FAILED, last_error="The webhook was disabled."))


def delete_some(conn: Connection, webhook_id: str, limit: int) -> int:
    """Delete some deliveries of a webhook, or it where it has none left; return how many deliveries it was."""
    some = select(deliveries.c.id).where(deliveries.c.webhook_id == webhook_id).limit(limit)
    deleted = conn.execute(delete(deliveries).where(deliveries.c.id.in_(some))).rowcount
    if not deleted:
        conn.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    return deleted


def count_pending(conn: Connection) -> int:
    """Return how many deliveries wait to be sent, or sent again."""
    return int(conn.execute(select(func.count()).select_from(deliveries).where(_PENDING)).scalar_one())


def any_enabled(conn: Connection) -> bool:
    """Whether there is a webhook that events are to be sent to."""
    return conn.execute(_ANY_ENABLED).first() is not None


def list_lagging(conn: Connection, limit: int) -> list[str]:
    """Return ids of enabled webhooks whose organization has newer events than they were taken up to."""
    return list(conn.execute(_LAGGING.limit(limit)).scalars())


def insert_delivery(
    conn: Connection,
    *,
    webhook_id: str,
    event_id: int,
    file_id: str,
    type: str,
    body: str,
    trace_id: str | None,
    now: datetime,
) -> int:
    """Let an event be sent to a webhook, once those of the same file that wait have been; return the delivery's number."""
    last = conn.execute(_LAST_OF_FILE, {"of_webhook": webhook_id, "of_file": file_id}).scalar_one_or_none()
    number: int = conn.execute(_NUMBER, {"webhook": webhook_id}).scalar_one()
    row = {
        "webhook_id": webhook_id,
        "number": number,
        "event_id": event_id,
        "file_id": file_id,
        "type": type,
        "body": body,
        "trace_id": trace_id,
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "next_at": now if last is None else max(now, last),
        "created_at": now,
    }
    conn.execute(insert(deliveries), row)
    return number


def list_with_due(conn: Connection, now: datetime) -> list[Webhook]:
    """Return the enabled webhooks that something is to be sent to now."""
    return [_webhook(row) for row in conn.execute(_WITH_DUE, {"now": now})]


def list_due(conn: Connection, webhook_id: str, now: datetime, limit: int) -> list[Delivery]:
    """Return what is to be sent to a webhook now, the longest due first; of each file only the earliest that is pending."""
    return [Delivery(*row) for row in conn.execute(_DUE, {"webhook": webhook_id, "now": now, "most": limit})]


def record(
    conn: Connection,
    delivery: Delivery,
    *,
    state: DeliveryState,
    next_at: datetime,
    status: int | None,
    error: str | None,
    now: datetime,
) -> bool:
    """Take in how an attempt of ``delivery`` ended; False where it stands otherwise by now, and nothing was changed.

    Later deliveries of its file become due at ``next_at``, as it does itself where it is to be attempted again.
    """
    # With its webhook and event: the id of one that is gone may be another's by now.
    identity = (deliveries.c.webhook_id == delivery.webhook_id, deliveries.c.event_id == delivery.event_id)
    same = (deliveries.c.id == delivery.id, *identity, _PENDING, deliveries.c.attempts == delivery.attempts)
    values = {
        "state": state,
        "attempts": delivery.attempts + 1,
        "next_at": next_at,
        "last_status": status,
        "last_error": None if error is None else error[:255],
        "last_attempt_at": now,
    }
    if not conn.execute(update(deliveries).where(*same).values(**values)).rowcount:
        return False
    following = {"of_webhook": delivery.webhook_id, "of_file": delivery.file_id, "after_id": delivery.id}
    conn.execute(_FOLLOW, {**following, "at": next_at})
    return True


def give_up_following(conn: Connection, delivery: Delivery, made_before: datetime) -> None:
    """Give up what waited behind ``delivery``, and was made before ``made_before``."""
    following = (deliveries.c.webhook_id == delivery.webhook_id, deliveries.c.file_id == delivery.file_id, _PENDING)
    old = update(deliveries).where(*following, deliveries.c.id > delivery.id, deliveries.c.created_at <= made_before)
    conn.execute(old.values(state=DeliveryState.FAILED, last_error="Given up with what happened to the file before."))


def find_delivery(conn: Connection, webhook_id: str, number: int) -> Delivery | None:
    """Return a delivery of a webhook."""
    query = _DELIVERY.where(deliveries.c.webhook_id == webhook_id, deliveries.c.number == number)
    row = conn.execute(query).first()
    return None if row is None else Delivery(*row)


def list_deliveries(
    conn: Connection, webhook_id: str, state: DeliveryState | None, before: int, limit: int
) -> list[Delivery]:
    """Return deliveries of a webhook, newest first, those before the number ``before``: all, or those in one state."""
    query = _DELIVERY.where(deliveries.c.webhook_id == webhook_id, deliveries.c.number < before)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    return [Delivery(*row) for row in conn.execute(query.order_by(deliveries.c.number.desc()).limit(limit))]


def replay(conn: Connection, delivery_id: int, now: datetime) -> None:
    """Attempt a delivery anew, whatever became of it."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**_anew(now)))


def replay_failed(
    conn: Connection, webhook_id: str, since: datetime, after: int, now: datetime, limit: int
) -> list[int]:
    """Attempt some deliveries anew that were given up and are of ``since`` or later; return their numbers, all past ``after``."""
    failed = (deliveries.c.webhook_id == webhook_id, deliveries.c.state == DeliveryState.FAILED)
    query = select(deliveries.c.number).where(*failed, deliveries.c.created_at >= since, deliveries.c.number > after)
    found = list(conn.execute(query.order_by(deliveries.c.number).limit(limit)).scalars())
    these = (deliveries.c.webhook_id == webhook_id, deliveries.c.number.in_(found))
    conn.execute(update(deliveries).where(*these).values(**_anew(now)))
    return found


def forget(conn: Connection, before: datetime, limit: int) -> int:
    """Forget some deliveries from before ``before`` that are over; return how many."""
    over = (deliveries.c.created_at < before, deliveries.c.state != DeliveryState.PENDING)
    some = select(deliveries.c.id).where(*over).limit(limit)
    return conn.execute(delete(deliveries).where(deliveries.c.id.in_(some))).rowcount


def _anew(now: datetime) -> dict[str, Any]:
    return {"state": DeliveryState.PENDING, "attempts": 0, "next_at": now}


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**dict(zip(Webhook.__struct_fields__, row, strict=True)))
