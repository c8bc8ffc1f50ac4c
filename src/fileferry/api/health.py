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
    """Answer ok when the database can be read and the store written; an error otherwise, so that no work is sent here."""
    await engine.check()
    return {"status": "ok"}


@get("/metrics")
async def metrics() -> Response[bytes]:
    """Return the metrics of all workers in the Prometheus text format."""
    return Response(metrics_page(), media_type="text/plain; version=0.0.4")


router = Router("/", route_handlers=[healthz, readyz, metrics])
