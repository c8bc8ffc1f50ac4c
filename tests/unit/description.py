"""Requests made from the OpenAPI document by schemathesis, and whether the answers are as it says. Addresses name what is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from unit.service import ROOT_KEY, Answer, Service
from unit.words import Stage

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_UNKNOWN = "01b8dac5-b7e8-7fa5-8891-f07fa9588441"
# What takes away comes last.
_ORDER = ("get", "head", "options", "patch", "put", "post", "delete")
_NOT_OF_THE_TRANSPORT = ("content-length", "connection", "user-agent", "accept-encoding")


def contradictions(service: Service, document: dict[str, Any], each: int) -> tuple[int, list[str]]:
    """Send ``each`` requests to every operation; return how many were sent, and what the document does not tell of the answers.

    The document is changed: its addresses name what is there.
    """
    stage = Stage(service)
    for item in document["paths"].values():
        for operation in item.values():
            _name_what_is_there(operation, stage.path_values())
    described = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    found: list[str] = []
    for operation in sorted(described, key=lambda each: _ORDER.index(each.method)):
        found += _of_operation(service, stage, operation, each)
    return len(described) * each, found


def _name_what_is_there(operation: dict[str, Any], values: dict[str, str]) -> None:
    """Let the parameters in an operation's address be the id of something that is there, or of nothing."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] = {"enum": [values[parameter["name"]], _UNKNOWN]}


def _of_operation(service: Service, stage: Stage, operation: Any, each: int) -> list[str]:
    found: list[str] = []

    @settings(
        max_examples=each,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        try:
            case.validate_response(_answer(service, stage, case), checks=_CHECKS)
        except FailureGroup as failures:
            found.extend(f"{operation.label}: {failure}" for failure in failures.exceptions)

    send()
    return found


def _answer(service: Service, stage: Stage, case: Any) -> httpx.Response:
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://service")).prepare()
    answer = ask(service, stage, sent)
    response = httpx.Response(
        answer.status,
        headers=answer.headers,
        content=answer.body,
        request=httpx.Request(str(sent.method), str(sent.url)),
    )
    response.elapsed = timedelta()
    return response


def ask(service: Service, stage: Stage, sent: requests.PreparedRequest) -> Answer:
    """Send a prepared request, with the root key; an address of an upload is signed."""
    split = urlsplit(str(sent.url))
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    fields = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in sent.headers.items()
        if name.lower() not in ("authorization", "x-api-key", *_NOT_OF_THE_TRANSPORT)
    ]
    target = f"{split.path}?{split.query}".removesuffix("?").encode()
    if split.path.encode() == stage.ticket.partition(b"?")[0]:
        target = stage.ticket
    if body:
        fields.append((b"content-length", str(len(body)).encode()))
    return service.ask_raw(str(sent.method), target, [*fields, (b"x-api-key", ROOT_KEY.encode())], bytes(body))
