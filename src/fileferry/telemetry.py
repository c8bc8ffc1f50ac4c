"""What an operator sees: structured logs with request ids and no secrets, and metrics. It wraps the application from outside."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import ipaddress
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from fileferry.logs import get_logger, structlog
from fileferry.settings import Network, Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

REDACTED = "[redacted]"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header; ids of zeros alone are none.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
# API keys, signatures in queries, tokens of short URLs, of pages that people are sent, and those of public URLs (44 characters of
# base64url) wherever they stand.
_SECRETS = re.compile(
    r"ff_[0-9A-Za-z]{8,}|whsec_[0-9A-Za-z+/=]+|(?<=sig=)[^&\s\"']+|(?<=/[frs]/)[0-9A-Za-z_-]{20,}|(?i:(?<=bearer ))[^\s\"',}]+"
    r"|(?i:(?<=/[tg]/))[0-9A-Za-z]{20,}|(?<![0-9A-Za-z_-])[0-9A-Za-z_-]{44}(?![0-9A-Za-z_-])"
)

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus_client
_FOLDER = "fileferry-metrics-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - each start makes a folder of its own there

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_told: ContextVar[dict[str, str]] = ContextVar("told")
_log = get_logger("fileferry.access")
_ACTOR = ("key", "end_user", "client", "trace_id")

REQUESTS = Counter("fileferry_requests_total", "HTTP requests.", ["method", "route", "status"])
SECONDS = Histogram("fileferry_request_seconds", "Time to answer HTTP requests.", ["method", "route"])
RECEIVED = Counter("fileferry_received_bytes_total", "Bytes of request bodies received.")
SENT = Counter("fileferry_sent_bytes_total", "Bytes of response bodies sent.")
RUNNING = Gauge("fileferry_requests_running", "HTTP requests being answered.", multiprocess_mode="livesum")
CUT = Counter("fileferry_connections_cut_total", "Connections that a bound has ended, by which.", ["reason"])

TRANSFERS = Counter(
    "fileferry_transfers_total",
    "Requests that brought or fetched bytes of a file, and were not refused.",
    ["direction", "flow", "protocol"],
)
FILES = Gauge("fileferry_files", "Versions of files that are kept.", multiprocess_mode="mostrecent")
KEPT = Gauge("fileferry_kept_bytes", "Bytes of the versions that are kept.", multiprocess_mode="mostrecent")
PENDING = Gauge("fileferry_webhook_deliveries_pending", "Events that wait to be sent.", multiprocess_mode="mostrecent")
FREE = Gauge("fileferry_disk_free_bytes", "Bytes that are free.", ["disk"], multiprocess_mode="mostrecent")
BUILD = Gauge("fileferry_build_info", "1, for the version that runs.", ["version"], multiprocess_mode="max")
# By the beginning of a route's template; the first that fits.
_CLIENT = "fileferry.client"  # where a request's scope has the address that it came from
_FLOWS = (
    ("/u/", "signed_url"),
    ("/f/", "public_url"),
    ("/d/", "signed_url"),
    ("/t/", "short_url"),
    ("/g/", "short_url"),
    ("/s/", "share"),
    ("/r/", "request"),
    ("/tus", "tus"),
    ("/v1/organizations/", "organizations"),
    ("/v1/", "one_call"),
    ("/file/", "workspaces"),
    ("/", "native"),
)

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


def tell(**ids: str | None) -> None:
    """Add to the line of the request being answered: ``key``, ``organization``, ``end_user``, ``file``, ``upload``.

    ``direction`` (``upload`` or ``download``) and ``protocol`` count it as a transfer. None is not told, and outside of a request
    nothing is.
    """
    told = _told.get(None)
    if told is not None:
        for name, value in ids.items():
            if value is not None:
                told[name] = value


def actor() -> dict[str, str] | None:
    """Return who asked for what is being done: ``key``, ``end_user``, ``client`` (address), ``request_id``, ``trace_id``.

    Only what is known of them; None where nobody asked.
    """
    told = _told.get(None)
    if told is None:
        return None
    found = {name: told[name] for name in _ACTOR if name in told}
    found["request_id"] = _request_id.get()
    return found


def client_of(scope: Mapping[str, Any]) -> str:
    """Return the address that a request came from, as ``Telemetry`` has found it; empty where nothing is known of it."""
    found: str = scope.get(_CLIENT, "")
    return found


def comes_from(scope: Mapping[str, Any], proxies: Sequence[Network]) -> bool:
    """Whether the other end of a request's connection itself is in one of these networks, whoever it was forwarded for."""
    return _is_proxy(str((scope.get("client") or ("",))[0]), tuple(proxies))


def redact(text: str) -> str:
    """Return ``text`` without API keys, signatures and link tokens."""
    return _SECRETS.sub(REDACTED, text)


def configure_logging(settings: Settings) -> None:
    """Send all logging, ours and the libraries', to standard error in one format and through the redaction."""
    shared: list[Any] = [
        _add_request_id,
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
    if _SHARED not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


@contextlib.contextmanager
def unread(status: int) -> Iterator[str]:
    """Give an id to a request that is refused before its head could be read, and log its line, which has no method and no path."""
    id = secrets.token_hex(12)
    token = _request_id.set(id)
    try:
        yield id
    finally:
        _request_id.reset(token)
        nothing_read = {"method": "", "path": "", "seconds": 0, "received": 0, "sent": 0}
        _log.info("request", request_id=id, status=status, **nothing_read)


@contextlib.contextmanager
def shared_metrics() -> Iterator[None]:
    """Let processes that are started meanwhile count together, in files of a folder that is removed in the end.

    Those that servers left which were killed are removed too. The files are mapped, and on a full disk whoever writes to such a
    file is ended by the kernel: so they are in memory where that can be had.
    """
    if _SHARED in os.environ:
        yield
        return
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in place.glob(f"{_FOLDER}*"):
        _remove_if_left(left)
    folder, descriptor = _claimed_folder(place)
    os.environ[_SHARED] = folder
    try:
        yield
    finally:
        del os.environ[_SHARED]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _claimed_folder(place: Path) -> tuple[str, int]:
    """Make a folder that is locked for as long as this process and those forked from it live."""
    while True:
        folder = tempfile.mkdtemp(prefix=_FOLDER, dir=place)
        with contextlib.suppress(FileNotFoundError):  # another start took it for one that was left
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if os.path.exists(folder):
                return folder, descriptor
            os.close(descriptor)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of this user's whose process has ended."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        finally:
            os.close(descriptor)


class Telemetry:
    """ASGI middleware: gives every request an id, answers with it, logs one line at the end, and counts."""

    def __init__(self, application: Application, proxies: Sequence[Network] = ()) -> None:
        """``proxies`` are the networks of those whose ``X-Forwarded-For`` is believed."""
        self._application = application
        self._proxies = proxies

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; anything that is not HTTP passes through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started = time.perf_counter()
        sent_id, trace, forwarded = _sent(scope)
        id = sent_id or secrets.token_hex(12)
        token = _request_id.set(id)
        client = scope[_CLIENT] = _client_of(scope, forwarded, self._proxies)
        told = {"client": client, **trace}
        told_token = _told.set(told)
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
            await send(message)
            sent += len(message.get("body", b"")) or message.get("count", 0)

        RUNNING.inc()
        try:
            await self._application(scope, counted_receive, marked_send)
        finally:
            RUNNING.dec()
            seconds = time.perf_counter() - started
            _count(scope, status, seconds, received, sent)
            direction, protocol = told.pop("direction", None), told.pop("protocol", "one_request")
            if direction is not None and 200 <= status < 400:
                _transfers(direction, _flow_of(scope.get("path_template") or ""), protocol).inc()
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(seconds, 6),
                received=received,
                sent=sent,
                **told,
            )
            _told.reset(told_token)
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


@functools.lru_cache(maxsize=512)
def _transfers(direction: str, flow: str, protocol: str) -> Counter:
    return TRANSFERS.labels(direction, flow, protocol)


@functools.lru_cache(maxsize=512)
def _flow_of(template: str) -> str:
    return next((flow for start, flow in _FLOWS if template.startswith(start)), "none")


def _sent(scope: Message) -> tuple[str | None, dict[str, str], list[bytes]]:
    """Return what the headers say of the request itself: its id, the trace it belongs to, and whom it was forwarded for."""
    id: str | None = None
    trace: dict[str, str] = {}
    forwarded: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"x-request-id" and id is None and _REQUEST_ID.fullmatch(value):
            id = value.decode()
        elif name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)):
            trace = {"trace_id": found[1].decode(), "parent_span_id": found[2].decode()}
        elif name == b"x-forwarded-for":
            forwarded.append(value)
    return id, trace, forwarded


def _client_of(scope: Message, forwarded: list[bytes], proxies: Sequence[Network]) -> str:
    """Return the address that a request came from: that of the connection, or the nearest that no known proxy has."""
    address = str((scope.get("client") or ("",))[0])
    if not forwarded or not proxies:
        return address
    named = b",".join(forwarded).decode("latin-1").split(",")
    for hop in reversed(named):
        if not _is_proxy(address, tuple(proxies)):
            break
        address = hop.strip()
    return address if _is_address(address) else "unknown"


@functools.lru_cache(maxsize=4096)
def _is_proxy(address: str, proxies: tuple[Network, ...]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in network for network in proxies)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _add_request_id(_logger: Any, _method: str, event: Any) -> Any:
    if id := _request_id.get():
        event.setdefault("request_id", id)
    return event


def _redact_event(_logger: Any, _method: str, event: Any) -> Any:
    return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}


def _render_json(_logger: Any, _method: str, event: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
