"""Errors as OpenAPI is told of them: which ones a call may end with, by status, in the shape of its flow. Nothing here is sent.

Each error of the catalogue is rendered by the flow itself, so that what is told is what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response

from fileferry import errors
from fileferry.errors import CATALOGUE, FerryError, Retry
from fileferry.web import problems
from fileferry.web.requests import AnyRequest

_Errors = tuple[type[FerryError], ...]
Render = Callable[[AnyRequest, Exception], Response[bytes]]

_JSON = "application/json"
_TEXT = {"type": "string"}
_STATUS = {"type": "integer", "minimum": 400, "maximum": 599}
_ID_OF_EXAMPLES = "4f9c2a7be01d4c6f8a3b5d7e"
# What errors say beside their sentence.
_SAID: Mapping[type[FerryError], dict[str, Any]] = {
    errors.OffsetMismatch: {"expected": 65536, "provided": 0},
    errors.InvalidParameter: {"parameter": "limit"},
    errors.RateLimited: {"retry_after": 7.0},
}
# What examples have of members that are different each time.
_CHANGING = {"request_id": _ID_OF_EXAMPLES, "trace_id": _ID_OF_EXAMPLES, "timestamp": "2026-12-31T23:59:59.000Z"}
_FIELDS: Mapping[str, Any] = {"parameter": _TEXT, "limit": {"type": ["integer", "string"]}}


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


_RETRY = {
    "type": "string",
    "enum": [each.value for each in Retry],
    "description": "Whether the same request may succeed.",
}
_CODE = {"type": "string", "description": "What went wrong, in a word for programs."}
_ID = {"type": "string", "description": "Finds the request in the server's log."}
_SECONDS = {"type": "number", "description": "Seconds to wait before it is sent again."}
_PROBLEM = {
    "type": _TEXT,
    "title": _TEXT,
    "status": _STATUS,
    "detail": _TEXT,
    "code": _CODE,
    "retry": _RETRY,
    "request_id": _ID,
}
_ORGANIZATION_ERROR = {
    "code": _CODE,
    "message": _TEXT,
    "type": {"type": "string", "enum": ["client_error", "server_error"]},
    "status": _STATUS,
    "details": {"type": "object"},
    "trace_id": _ID,
    "timestamp": {"type": "string", "format": "date-time"},
}
_GOOGLE_ERROR = {
    "code": _STATUS,
    "message": _TEXT,
    "errors": {"type": "array", "items": {"type": "object"}},
    "details": {"type": "array", "items": {"type": "object"}},
}
SCHEMAS: Mapping[str, dict[str, Any]] = {
    "Problem": _object(_PROBLEM, retry_after=_SECONDS, **_FIELDS)
    | {"description": "An error as RFC 9457 has it, with further members for programs."},
    "DirectError": _object(
        {"error": _object({"code": _CODE, "message": _TEXT, "request_id": _ID, "retry": _RETRY}, **_FIELDS)}
    )
    | {"description": "An error of the one-call flow and the presigned flow."},
    "SignedError": _object({"error_code": _CODE, "detail": _TEXT}) | {"description": "An error of the signed flow."},
    "SignedRateError": _object({"message": _TEXT}) | {"description": "What the signed flow says of too many requests."},
    "OrganizationError": _object(
        {"success": {"type": "boolean", "enum": [False]}, "error": _object(_ORGANIZATION_ERROR)}
    )
    | {"description": "An error of the organizations flow."},
    "GoogleError": _object({"error": _object(_GOOGLE_ERROR)})
    | {"description": "An error as Google's clients read it."},
    "XmlError": _object({"Code": _TEXT, "Message": _TEXT})
    | {"description": "An error as S3's and Azure's clients read it.", "xml": {"name": "Error"}},
}
"""The shapes of errors, by name."""

_HEADERS: Mapping[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to send a key.", "required": True, "schema": _TEXT}},
    405: {"Allow": {"description": "Which methods there are.", "schema": _TEXT}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}},
}

# Told before any flow has a say, always as a problem.
_OUTSIDE: _Errors = (
    errors.AddressTooLong,
    errors.HeadTooLarge,
    errors.RequestTimeout,
    errors.Unavailable,
    errors.BadRequest,
)
_ANYWHERE: _Errors = (errors.BadRequest, errors.InvalidParameter, errors.InternalError, errors.Unavailable)
_KEYED: _Errors = (
    errors.ConflictingCredentials,
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.RateLimited,
)
_OF_A_FILE: _Errors = (errors.Gone, errors.NotReady)
_OF_BYTES: _Errors = (errors.PreconditionFailed, errors.RangeNotSatisfiable)
_OF_WRITING: _Errors = (
    errors.TruncatedBody,
    errors.RequestTimeout,
    errors.FileTooLarge,
    errors.InvalidExpiry,
    errors.InvalidName,
    errors.InvalidMetadata,
    errors.InvalidDigest,
    errors.Conflict,
    errors.PreconditionFailed,
    errors.InsufficientStorage,
    errors.QuotaExceeded,
)
_NEVER_OF_UPLOADS: _Errors = (errors.RangeNotSatisfiable, errors.LinkRefused, errors.MethodNotAllowed)


class Kind(NamedTuple):
    """A kind of calls, by the errors that they may end with."""

    name: str
    errors: frozenset[type[FerryError]]


OPEN = Kind("Open", frozenset(_ANYWHERE))
READING = Kind("Reading", frozenset({*_ANYWHERE, *_KEYED, *_OF_A_FILE}))
READING_BYTES = Kind("ReadingBytes", READING.errors | set(_OF_BYTES))
FETCHING = Kind("Fetching", frozenset({*_ANYWHERE, *_OF_A_FILE, *_OF_BYTES, errors.NotFound}))
FETCHING_SIGNED = Kind("FetchingSigned", FETCHING.errors | {errors.LinkRefused, errors.Forbidden})
WRITING = Kind("Writing", READING.errors | set(_OF_WRITING))
UPLOADING = Kind("Uploading", frozenset(CATALOGUE.values()) - set(_NEVER_OF_UPLOADS))
AT_URL = Kind("AtUrl", frozenset(CATALOGUE.values()) - {errors.RangeNotSatisfiable})


class Flow(NamedTuple):
    """A flow: its tag in the description, what is said of it, and how it tells of errors."""

    tag: str
    said: str
    renders: Sequence[Render]


class _Found(NamedTuple):
    """An error as a flow tells it."""

    code: str
    sentence: str
    media_type: str
    shape: str
    body: Any


def errors_of(flows: Sequence[Flow], kind: Kind, method: str, examples: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the responses of the errors that a call of this kind may end with, by status. HEAD has no bodies.

    What they look like is added to ``examples``, by the names that the responses refer to.
    """
    request = _sample(method)
    found: dict[int, list[_Found]] = {}
    renders = [(render, kind.errors) for flow in flows for render in flow.renders]
    with problems.unlogged():
        for render, wanted in [*renders, (problems.render, frozenset(_OUTSIDE))]:
            for error in sorted(wanted, key=lambda each: each.code):
                answer = render(request, error(**_SAID.get(error, {})))
                status, media_type = answer.status_code or error.status, str(answer.media_type)
                told = _Found(error.code, error.title, media_type, *_shape(media_type, answer.content))
                found.setdefault(status, []).append(told)
    return {str(status): _response(status, found[status], method, examples) for status in sorted(found)}


def _response(status: int, found: Sequence[_Found], method: str, examples: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for each in found if method != "HEAD" else ():
        name = f"{each.shape}.{status}.{each.code}"
        examples.setdefault(name, {"value": each.body})
        told = content.setdefault(each.media_type, {"schema": [], "examples": {}})
        told["examples"][name] = {"$ref": f"#/components/examples/{name}"}
        reference = {"$ref": f"#/components/schemas/{each.shape}"}
        if reference not in told["schema"]:
            told["schema"].append(reference)
    for told in content.values():
        shapes = told["schema"]
        told["schema"] = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    sentences = sorted({f"- `{each.code}`: {each.sentence}" for each in found})
    response: dict[str, Any] = {"description": "\n".join(sentences)}
    if status in _HEADERS:
        response["headers"] = _HEADERS[status]
    return response | ({"content": content} if content else {})


def _shape(media_type: str, content: bytes) -> tuple[str, Any]:
    """Return the name of an error's schema, and the error as an example."""
    if media_type.endswith("xml"):
        return "XmlError", content.decode()
    body = msgspec.json.decode(content)
    for place in (body, body.get("error")):
        if isinstance(place, dict):
            place.update({name: value for name, value in _CHANGING.items() if name in place})
    if media_type == problems.MEDIA_TYPE:
        return "Problem", body
    if "error_code" in body:
        return "SignedError", body
    if "error" not in body:
        return "SignedRateError", body
    if "success" in body:
        return "OrganizationError", body
    return ("GoogleError" if "errors" in body["error"] else "DirectError"), body


def _sample(method: str) -> AnyRequest:
    """Return a request as flows look at one when they tell of an error."""
    scope: Any = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": [], "state": {}}
    return Request(scope)
