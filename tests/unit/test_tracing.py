"""Spans of requests: which trace they belong to, and that no path or query leaves with them. The collector is one of the test's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fileferry.settings import SettingsError
from fileferry.tracing import Tracing
from support.receiver import Receiver, receiving
from unit.service import Service

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as opened:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", opened.url)
        yield opened


@pytest.fixture
def traced(collector: Receiver, make_service: Callable[..., Service]) -> Service:
    return make_service(traces="true")


def spans(service: Service, collector: Receiver) -> list[Any]:
    """Return the spans that the collector of a service got, those that wait to be sent too."""
    service._app._provider.force_flush()
    sent = [ExportTraceServiceRequest.FromString(message.body) for message in collector.received]
    return [
        span
        for each in sent
        for resource in each.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_request_is_a_span_of_the_trace_that_it_is_part_of(traced: Service, collector: Receiver) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    traced.request("GET", "/api/files/01a22c1e-03af-731d-a59b-7671c71046c1", headers=headers)
    (span,) = spans(traced, collector)
    said = {attribute.key: attribute.value.string_value or attribute.value.int_value for attribute in span.attributes}
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("GET /api/files/{file_id}", TRACE, PARENT)
    assert said == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "http.route": "/api/files/{file_id}",
    }


def test_what_happens_is_told_with_the_span_that_made_it(traced: Service, collector: Receiver) -> None:
    traced.upload()
    (record,) = traced.request("GET", "/api/audit").json()["records"]
    first, _second = spans(traced, collector)
    assert record["actor"]["trace_id"] == first.trace_id.hex()


def test_no_part_of_a_secret_url_leaves_the_server(traced: Service, collector: Receiver) -> None:
    file = traced.upload(path="name-of-it")
    ticket = traced.request("POST", "/api/uploads", json={"name": "other-name"}).json()
    traced.fetch(file["url"])
    traced.request("PUT", ticket["url"], key=None, content=b"abc")
    assert len(spans(traced, collector)) == 4
    sent = b"".join(message.body for message in collector.received)
    parts = {*file["url"].split("/")[-2:], *ticket["url"].split("sig=")[1:], "name-of-it", "other-name"}
    assert not [part for part in parts if part.encode() in sent]


def test_a_server_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)

    async def application(*_: object) -> None:
        """Do nothing."""

    with pytest.raises(SettingsError, match=r"install fileferry\[opentelemetry\]"):
        Tracing(application)
