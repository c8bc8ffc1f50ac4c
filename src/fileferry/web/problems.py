"""Errors as the native API and everything without a flow of its own tells them: RFC 9457 ``application/problem+json``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)

from fileferry.errors import BadRequest, FerryError, InternalError, InvalidParameter, MethodNotAllowed, NotFound
from fileferry.logs import get_logger
from fileferry.telemetry import request_id
from fileferry.web.requests import AnyRequest

MEDIA_TYPE = "application/problem+json"
_log = get_logger(__name__)
_is_logged: ContextVar[bool] = ContextVar("is_logged", default=True)


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Log no error within: none of them happened, they are examples."""
    token = _is_logged.set(False)
    try:
        yield
    finally:
        _is_logged.reset(token)


def known(error: Exception) -> FerryError:
    """Return the error of our catalogue that ``error`` is; what cannot be told apart is logged and is an InternalError."""
    if isinstance(error, FerryError):
        if error.status >= 500 and _is_logged.get():
            _log.error("request_failed", code=error.code, detail=error.detail, exc_info=error.__cause__)
        return error
    if isinstance(error, NotFoundException):
        return NotFound("There is nothing at this address.")
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed(headers=dict(error.headers or {}))
    if isinstance(error, ValidationException):
        return InvalidParameter(_sentence(error))
    if isinstance(error, SerializationException | msgspec.DecodeError):
        return BadRequest("The body is not valid JSON.")
    if isinstance(error, HTTPException) and error.status_code < 500:
        return BadRequest(error.detail)
    _log.error("unexpected_error", exc_info=error)
    return InternalError()


def headers_of(error: FerryError) -> dict[str, str]:
    """Return the headers that go with an error whatever its envelope."""
    headers = dict(error.headers)
    if error.status == 401:  # RFC 9110 section 11.6.1 wants it on every one
        headers["WWW-Authenticate"] = 'Bearer realm="fileferry"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return headers


def fields_of(error: FerryError) -> dict[str, str]:
    """Return the header fields of an answer whose body is ``document(error)``."""
    return {"Content-Type": MEDIA_TYPE, **headers_of(error)}


def document(failure: FerryError, status: int | None = None) -> bytes:
    """Return problem+json: the RFC's members, ``code``, ``retry``, ``request_id``, and the error's own fields.

    ``status`` is the one that is answered, where that is not the error's own.
    """
    problem: dict[str, Any] = {
        **failure.fields,
        "type": f"urn:fileferry:error:{failure.code}",
        "title": failure.title,
        "status": status or failure.status,
        "detail": failure.detail,
        "code": failure.code,
        "retry": failure.retry,
        "request_id": request_id(),
    }
    if failure.retry_after is not None:
        problem["retry_after"] = failure.retry_after
    return msgspec.json.encode(problem)


def render(_request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer with the problem document of an error."""
    return answer(known(error))


def answer(failure: FerryError, status: int | None = None) -> Response[bytes]:
    """Answer with the problem document of an error that is known, under its own status or the one that a protocol has for it."""
    return Response(
        document(failure, status),
        status_code=status or failure.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(failure),
    )


def _sentence(error: ValidationException) -> str:
    """Name what was wrong with each parameter, without echoing its value."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [f"{item.get('key', 'body')}: {item.get('message')}" for item in extra if isinstance(item, dict)]
    return "; ".join(found) or error.detail
