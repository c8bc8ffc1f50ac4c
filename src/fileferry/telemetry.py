"""What an operator sees: structured logs with request ids and no secrets, and metrics. It wraps the application from outside."""

from __future__ import annotations

import functools
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from fileferry.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

REDACTED = "[redacted]"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# API keys, signatures in queries, and tokens of public URLs (44 characters of base64url) wherever they stand.
_SECRETS = re.compile(
    r"ff_[0-9A-Za-z]{8,}|whsec_[0-9A-Za-z+/=]+|(?<=sig=)[^&\s\"']+|(?<=/f/)[0-9A-Za-z_-]{20,}|(?i:(?<=bearer ))[^\s\"',}]+"
    r"|(?<![0-9A-Za-z_-])[0-9A-Za-z_-]{44}(?![0-9A-Za-z_-])"
)

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_log = structlog.get_logger("fileferry.access")

REQUESTS = Counter("fileferry_requests_total", "HTTP requests.", ["method", "route", "status"])
SECONDS = Histogram("fileferry_request_seconds", "Time to answer HTTP requests.", ["method", "route"])
RECEIVED = Counter("fileferry_received_bytes_total", "Bytes of request bodies received.")
SENT = Counter("fileferry_sent_bytes_total", "Bytes of response bodies sent.")
RUNNING = Gauge("fileferry_requests_running", "HTTP requests being answered.", multiprocess_mode="livesum")
CUT = Counter("fileferry_connections_cut_total", "Connections that a bound has ended, by which.", ["reason"])

PROCESSED = Counter(
    "fileferry_processed_total", "Files that were judged, by what they came to: ready, or why rejected.", ["result"]
)
JOBS = Gauge("fileferry_jobs", "Files that wait to be judged or scanned again.", multiprocess_mode="mostrecent")
UPLOADS = Gauge(
    "fileferry_uploads", "Uploads with a ticket that have not ended.", ["state"], multiprocess_mode="mostrecent"
)


def request_id() -> str:
    """Return the id of the request being answered; empty outside of one."""
    return _request_id.get()


def redact(text: str) -> str:
    """Return ``text`` without API keys, signatures and link tokens."""
    return _SECRETS.sub(REDACTED, text)


def configure_logging(settings: Settings) -> None:
    """Send all logging, ours and the libraries', to standard error in one format and through the redaction."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if settings.log_format == "console" else _render_json
    )
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Alembic tells every start what it did not have to do.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def metrics_page() -> bytes:
    """Return every metric in the Prometheus text format, summed over the workers where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Telemetry:
    """ASGI middleware: gives every request an id, answers with it, logs one line at the end, and counts."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; anything that is not HTTP passes through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started = time.perf_counter()
        id = _sent_id(scope) or secrets.token_hex(12)
        token = _request_id.set(id)
        structlog.contextvars.bind_contextvars(request_id=id)
        status = 0
        received = sent = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def marked_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", id.encode())]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        RUNNING.inc()
        try:
            await self._application(scope, counted_receive, marked_send)
        finally:
            RUNNING.dec()
            seconds = time.perf_counter() - started
            _count(scope, status, seconds, received, sent)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(seconds, 6),
                received=received,
                sent=sent,
            )
            structlog.contextvars.unbind_contextvars("request_id")
            _request_id.reset(token)


def _count(scope: Message, status: int, seconds: float, received: int, sent: int) -> None:
    # The route's template, never the path itself: paths are unbounded, and some are secrets.
    route = scope.get("path_template") or "none"
    requests, of_route = _counters(scope["method"], route, status)
    requests.inc()
    of_route.observe(seconds)
    RECEIVED.inc(received)
    SENT.inc(sent)


@functools.lru_cache(maxsize=4096)
def _counters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)


def _sent_id(scope: Message) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return None


def _redact_event(_logger: Any, _method: str, event: Any) -> Any:
    return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}


def _render_json(_logger: Any, _method: str, event: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
