"""The pages of webhooks: where events go, what became of each delivery, and sending again."""

from __future__ import annotations

from datetime import timedelta

from litestar import Response, get, post

from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.model import EVENT_TYPES, DeliveryState, Webhook
from fileferry.ui import pages, visits
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, decode_number, encode_cursor, parse_expires_in

_PAGE = 50
_STATES = {state.value: state for state in DeliveryState}


@get("/webhooks")
async def list_webhooks(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the organization's webhooks, and the form for another."""
    page = await engine.webhooks.list(visitor.principal, "", 100)
    return await pages.page(
        request, visitor, "webhooks.html", "Webhooks", "/webhooks", found=page.items, types=EVENT_TYPES
    )


@post("/webhooks", status_code=200)
async def make_webhook(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make a webhook, and show its secret this once."""
    form = await visits.form_of(request, engine, visitor.form_token)
    made = await engine.webhooks.create(visitor.principal, form.needed("url", "URL"), form.all("type") or None)
    return await _once(request, visitor, made)


@get("/webhooks/{webhook_id:str}")
async def show_webhook(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Show a webhook and the log of its deliveries."""
    webhook = await engine.webhooks.get(visitor.principal, webhook_id)
    asked = request.query_params.get("state", "")
    if asked not in ("", *_STATES):
        raise InvalidParameter("A delivery is pending, delivered or failed.", parameter="state")
    before = decode_number(request.query_params.get("cursor"))
    log = await engine.webhooks.deliveries(visitor.principal, webhook_id, _STATES.get(asked), before, _PAGE)
    return await pages.page(
        request,
        visitor,
        "webhook.html",
        "Webhook",
        "/webhooks",
        webhook=webhook,
        types=EVENT_TYPES,
        log=log.items,
        asked=asked,
        cursor=encode_cursor(log.next_cursor) if log.next_cursor else None,
    )


@post("/webhooks/{webhook_id:str}", status_code=200)
async def change_webhook(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Change where events go and which ones, or whether they do."""
    form = await visits.form_of(request, engine, visitor.form_token)
    action = form.get("action")
    if action in ("enable", "disable"):
        await engine.webhooks.change(visitor.principal, webhook_id, enabled=action == "enable")
        await visitor.leave_notice("Enabled." if action == "enable" else "Disabled: nothing is sent any more.")
    else:
        types = form.all("type") or None
        await engine.webhooks.change(visitor.principal, webhook_id, url=form.needed("url", "URL"), types=types)
        await visitor.leave_notice("Changed.")
    return pages.redirect(request, f"/webhooks/{webhook_id}")


@post("/webhooks/{webhook_id:str}/test", status_code=200)
async def test_webhook(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Send an event that says that it is a test."""
    await visits.form_of(request, engine, visitor.form_token)
    made = await engine.webhooks.test(visitor.principal, webhook_id)
    await visitor.leave_notice(f"A test is on its way: delivery {made.number}. Reload to see what became of it.")
    return pages.redirect(request, f"/webhooks/{webhook_id}")


@post("/webhooks/{webhook_id:str}/deliveries/{number:int}", status_code=200)
async def send_again(
    request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str, number: int
) -> Response[str]:
    """Send a delivery again, at once."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.webhooks.replay(visitor.principal, webhook_id, number)
    await visitor.leave_notice(f"Delivery {number} is on its way again.")
    return pages.redirect(request, f"/webhooks/{webhook_id}")


@post("/webhooks/{webhook_id:str}/replay", status_code=200)
async def send_failed_again(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Send again what failed within a time."""
    form = await visits.form_of(request, engine, visitor.form_token)
    within = parse_expires_in(form.get("within", "1d")) or timedelta(days=1)
    count = await engine.webhooks.replay_failed(visitor.principal, webhook_id, engine.clock() - within)
    await visitor.leave_notice(f"{count} failed deliveries are on their way again.")
    return pages.redirect(request, f"/webhooks/{webhook_id}")


@post("/webhooks/{webhook_id:str}/rotate", status_code=200)
async def rotate_webhook(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Give a webhook a new secret, and show it this once; the present one signs beside it for a day."""
    await visits.form_of(request, engine, visitor.form_token)
    return await _once(request, visitor, await engine.webhooks.rotate(visitor.principal, webhook_id, timedelta(days=1)))


@post("/webhooks/{webhook_id:str}/delete", status_code=200)
async def delete_webhook(request: AnyRequest, engine: Engine, visitor: Visitor, webhook_id: str) -> Response[str]:
    """Delete a webhook and its log."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.webhooks.delete(visitor.principal, webhook_id)
    await visitor.leave_notice("The webhook is deleted.")
    return pages.redirect(request, "/webhooks")


async def _once(request: AnyRequest, visitor: Visitor, webhook: Webhook) -> Response[str]:
    return await pages.page(
        request,
        visitor,
        "secret.html",
        "Secret of the webhook",
        "/webhooks",
        secret=webhook.secret,
        key=None,
        base="",
        back=f"/webhooks/{webhook.id}",
    )


handlers = [
    list_webhooks,
    make_webhook,
    show_webhook,
    change_webhook,
    test_webhook,
    send_again,
    send_failed_again,
    rotate_webhook,
    delete_webhook,
]
