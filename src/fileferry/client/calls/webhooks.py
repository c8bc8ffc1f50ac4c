"""The requests about webhooks and what was sent to them, as values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import httpx

from fileferry.client.calls.call import (
    Call,
    Lifetime,
    Unchanged,
    given,
    lifetime_text,
    moment_text,
    nothing,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.webhooks import Delivery, Webhook, delivery_from, webhook_from


def create(url: str, *, types: Sequence[str] | None, organization: Organization | str | None) -> Call[Webhook]:
    """Return the making of a webhook; never repeated after a lost answer, which would leave one whose secret nobody knows."""
    body = {"url": url} if types is None else {"url": url, "types": list(types)}
    path = with_query("/api/webhooks", given(organization=organization))
    return Call(method="POST", path=path, read=_webhook, json=body, repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[Webhook]]:
    """Return the question for one page of webhooks."""
    path = with_query("/api/webhooks", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("webhooks", webhook_from))


def get(webhook: Webhook | str, *, organization: Organization | str | None) -> Call[Webhook]:
    """Return the question what a webhook is."""
    return Call(method="GET", path=_path(webhook, "", organization), read=_webhook)


def update(
    webhook: Webhook | str,
    *,
    url: str | Unchanged,
    types: Sequence[str] | Unchanged | None,
    enabled: bool | Unchanged,
    organization: Organization | str | None,
) -> Call[Webhook]:
    """Return the change of where events go, which (None: all), and whether they are sent."""
    body: dict[str, object] = {"url": url, "types": types, "enabled": enabled}
    changes = {name: value for name, value in body.items() if not isinstance(value, Unchanged)}
    return Call(method="PATCH", path=_path(webhook, "", organization), read=_webhook, json=changes)


def delete(webhook: Webhook | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the deletion of a webhook."""
    return Call(method="DELETE", path=_path(webhook, "", organization), read=nothing)


def rotate(webhook: Webhook | str, *, grace: Lifetime | None, organization: Organization | str | None) -> Call[Webhook]:
    """Return the renewal of a webhook's secret; the old one signs too for ``grace``."""
    body = {} if grace is None else {"grace": lifetime_text(grace)}
    path = _path(webhook, "/rotate", organization)
    return Call(method="POST", path=path, read=_webhook, json=body, repeatable=False)


def test(webhook: Webhook | str, *, organization: Organization | str | None) -> Call[Delivery]:
    """Return the request for a test event."""
    return Call(method="POST", path=_path(webhook, "/test", organization), read=_delivery)


def deliveries(
    webhook: Webhook | str, *, state: str | None, organization: Organization | str | None, cursor: str | None
) -> Call[Page[Delivery]]:
    """Return the question for one page of a webhook's log."""
    path = _path(webhook, "/deliveries", organization, state=state, cursor=cursor)
    return Call(method="GET", path=path, read=page_of("deliveries", delivery_from))


def replay(
    webhook: Webhook | str, delivery: Delivery | str, *, organization: Organization | str | None
) -> Call[Delivery]:
    """Return the request to send a delivery again."""
    path = _path(webhook, f"/deliveries/{segment(delivery)}/replay", organization)
    return Call(method="POST", path=path, read=_delivery)


def replay_failed(webhook: Webhook | str, since: datetime, *, organization: Organization | str | None) -> Call[int]:
    """Return the request to send all failed deliveries since a time again; raise InvalidExpiry for one without a zone."""
    path = _path(webhook, "/replay", organization)
    return Call(method="POST", path=path, read=_replayed, json={"since": moment_text(since)})


def _path(webhook: Webhook | str, rest: str, organization: Organization | str | None, **query: str | None) -> str:
    path = f"/api/webhooks/{segment(webhook)}{rest}"
    return with_query(path, given(organization=organization, **query))


def _webhook(response: httpx.Response) -> Webhook:
    return read_as(response, webhook_from, "a webhook")


def _delivery(response: httpx.Response) -> Delivery:
    return read_as(response, delivery_from, "a delivery")


def _replayed(response: httpx.Response) -> int:
    return read_as(response, lambda said: int(said["replayed"]), "a number of deliveries")
