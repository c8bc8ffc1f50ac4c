"""Who answers here (``/``), whether it lives (``/healthz``), takes work (``/readyz``), and what it counts (``/metrics``)."""

from __future__ import annotations

import html

import msgspec
from litestar import Response, Router, get

from fileferry.engine.engine import Engine
from fileferry.telemetry import metrics_page
from fileferry.web.requests import AnyRequest, base_url


class Greeting(msgspec.Struct):
    """Who answers here, and where to read on."""

    service: str
    documentation: str
    openapi: str
    health: str


@get("/")
async def greet(request: AnyRequest, engine: Engine) -> Response[Greeting | str]:
    """Say who answers here, and where to read on: as JSON, or as a page for who asks for HTML."""
    address = base_url(request, engine)
    greeting = Greeting("fileferry", f"{address}/docs", f"{address}/docs/openapi.json", f"{address}/readyz")
    if "text/html" not in request.headers.get("accept", ""):
        return Response(greeting)
    link = html.escape(greeting.documentation)
    pages = f'<a href="{html.escape(address)}/ui/">the dashboard</a>, ' if engine.settings.dashboard else ""
    page = (
        f'<!doctype html><title>fileferry</title><p>fileferry is here: {pages}<a href="{link}">documentation</a>.</p>'
    )
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": "default-src 'none'"})


@get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer while the process can answer at all."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(engine: Engine) -> dict[str, str]:
    """Answer ok, or degraded with the reasons; an error where not even reading works.

    ``insufficient_storage`` and ``unavailable`` (of the store): only reading works. ``scanner_away``: uploads wait to be scanned.
    ``processing_behind``: files have waited for a minute with nobody at them. ``rates_not_shared``: each
    process counts rates for itself.
    """
    found = await engine.shortcomings()
    return {"status": "degraded", "reason": ", ".join(found)} if found else {"status": "ok"}


@get("/metrics")
async def metrics() -> Response[bytes]:
    """Return the metrics of all workers in the Prometheus text format."""
    return Response(metrics_page(), media_type="text/plain; version=0.0.4")


router = Router("/", route_handlers=[greet, healthz, readyz, metrics])
