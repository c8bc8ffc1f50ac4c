"""Spans of requests for OpenTelemetry, where a server is told to send them. Logs and metrics are ``telemetry``'s.

What goes out names methods, routes and statuses only: paths and queries of signed and public URLs are secrets. Where it goes is
said by OpenTelemetry's own variables, https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fileferry.settings import SettingsError
from fileferry.telemetry import Application, Message, Receive, Send
from fileferry.version import version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_PARENT = b"traceparent"


class Tracing:
    """ASGI application around another: a span for each request, of the trace that it is part of, or of a new one.

    What is inside finds the span in ``traceparent``, as if a client had sent it, and so names it in logs and passes the trace on.
    """

    def __init__(self, application: Application) -> None:
        """Raise SettingsError where OpenTelemetry is not installed."""
        try:
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            self._provider = _provider()
        except ImportError as error:
            raise SettingsError("FILEFERRY_TRACES needs OpenTelemetry: install fileferry[opentelemetry].") from error
        self._application = application
        self._tracer = self._provider.get_tracer("fileferry")
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap one request; at the end of the service send what is left."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            if scope["type"] == "lifespan":
                self._provider.shutdown()
            return
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name == _PARENT}
        method = scope["method"]
        with self._tracer.start_as_current_span(method, self._propagator.extract(sent), self._kind) as span:
            inside: dict[str, str] = {}
            self._propagator.inject(inside)
            others = [(name, value) for name, value in scope["headers"] if name != _PARENT]
            scope["headers"] = [*others, (_PARENT, inside["traceparent"].encode())]
            status = 0

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self._application(scope, receive, noted)
            finally:
                route = scope.get("path_template")
                span.update_name(f"{method} {route}" if route else method)
                # https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
                span.set_attributes({"http.request.method": method, "http.response.status_code": status})
                if route:
                    span.set_attribute("http.route", route)
                if status >= 500:
                    span.set_status(self._failed)


def _provider() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "fileferry"), "service.version": version()}
    provider = TracerProvider(resource=Resource.create(ours))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
