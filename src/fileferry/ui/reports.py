"""Pages that look back: events, problems, and use by day as plots."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from fileferry.engine.engine import Engine
from fileferry.engine.events.outbox import check_types
from fileferry.errors import Forbidden
from fileferry.model import EVENT_TYPES, DeliveryState, Scope
from fileferry.ui import pages, words
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, decode_number, encode_cursor

_PAGE = 50
_DAYS = 30
_TROUBLES = ("file.rejected", "file.recalled")
SHORTCOMINGS = {
    "insufficient_storage": "The disk is nearly full: uploads are refused.",
    "unavailable": "The store of files does not answer.",
    "scanner_away": "The scanner does not answer: files wait to be checked.",
    "processing_behind": "Files wait long to be checked.",
    "rates_not_shared": "Redis is away: each process counts rates by itself.",
}
"""What a server that lacks something says of it, by code."""


@get("/events")
async def list_events(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show what happened, newest first."""
    chosen = request.query_params.get("type", "")
    page = await engine.history.page(
        visitor.principal, _before(request), _PAGE, check_types([chosen]) if chosen else None
    )
    return await pages.page(
        request,
        visitor,
        "events.html",
        "Events",
        "/events",
        found=page.items,
        types=EVENT_TYPES,
        chosen=chosen,
        cursor=encode_cursor(page.next_cursor) if page.next_cursor else None,
    )


@get("/problems")
async def list_problems(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show files that were rejected or recalled, deliveries that failed, and what the server finds wrong with itself."""
    principal = visitor.principal
    rejected = await engine.history.page(principal, _before(request), _PAGE, _TROUBLES)
    failed = []
    is_admin = Scope.ADMIN in principal.key.scopes
    if is_admin:
        try:
            for webhook in (await engine.webhooks.list(principal, "", 100)).items:
                log = await engine.webhooks.deliveries(principal, webhook.id, DeliveryState.FAILED, None, 10)
                failed += [(webhook, delivery) for delivery in log.items]
        except Forbidden:  # one that is scoped to a folder administers nothing
            is_admin = False
    found = await engine.shortcomings() if is_admin else []
    return await pages.page(
        request,
        visitor,
        "problems.html",
        "Problems",
        "/problems",
        rejected=rejected.items,
        cursor=encode_cursor(rejected.next_cursor) if rejected.next_cursor else None,
        failed=sorted(failed, key=lambda one: one[1].created_at, reverse=True),
        shortcomings=[SHORTCOMINGS.get(code, code) for code in found],
        reasons=words.reason,
    )


@get("/usage")
async def show_usage(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show what is kept, and what each of the last days brought."""
    principal = visitor.principal
    days = await engine.browsing.days(principal, _DAYS)
    plots = [
        _plot("Files that came", days, [day.files for day in days], str),
        _plot("Bytes that came", days, [day.bytes for day in days], words.size),
        _plot("Complete fetches", days, [day.fetches for day in days], str),
    ]
    limits = principal.organization.limits
    return await pages.page(
        request,
        visitor,
        "usage.html",
        "Usage",
        "/usage",
        kept=await engine.browsing.kept(principal),
        limits=limits,
        plots=plots,
        days=list(reversed(days)),
    )


def _before(request: AnyRequest) -> int | None:
    return decode_number(request.query_params.get("cursor"))


def _plot(name: str, days: list[Any], values: list[int], said: Any) -> dict[str, Any]:
    """Return bars of a plot, 30 units wide and 100 high at most."""
    most = max(values, default=0)
    bars = [
        {
            "x": number * 20,
            "height": 0 if most == 0 else max(1, round(100 * value / most)) if value else 0,
            "said": f"{day.date:%d %b}: {said(value)}",
        }
        for number, (day, value) in enumerate(zip(days, values, strict=True))
    ]
    total = sum(values)
    summary = f"{said(total)} in {len(days)} days; most on one day: {said(most)}."
    return {"name": name, "bars": bars, "width": len(days) * 20, "summary": summary, "most": said(most), "days": days}


handlers = [list_events, list_problems, show_usage]
