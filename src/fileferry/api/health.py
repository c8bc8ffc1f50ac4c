"""Whether this process lives (``/healthz``), takes work (``/readyz``), and what it counts (``/metrics``)."""

from __future__ import annotations

from litestar import Response, Router, get

from fileferry.engine.engine import Engine
from fileferry.telemetry import metrics_page


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


router = Router("/", route_handlers=[healthz, readyz, metrics])
