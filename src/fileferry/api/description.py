"""The OpenAPI document: what the framework knows of the routes, completed by what handlers keep to themselves.

Those are the flow that a call is of, its errors, the key that it needs, and answers that are made by hand.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Router
from litestar.openapi import OpenAPIConfig

from fileferry.api import bodies, direct, organizations, presigned, responses, signed, successes, tus
from fileferry.api.discovery import Health
from fileferry.api.examples import EXAMPLES
from fileferry.api.reference import Description, ReferencePage
from fileferry.api.responses import Flow, Kind, Render
from fileferry.api.signed_status import SignedFile
from fileferry.version import version
from fileferry.web import azure, problems
from fileferry.web.requests import AnyRequest

_METHODS = ("get", "head", "put", "post", "patch", "delete", "options")
_MARKUP = re.compile(r"``(.+?)``", re.DOTALL)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_ABOUT = """Hand files to other systems by URL: upload anything, get an HTTPS URL.

Several APIs lead to the same files; use the one that your client speaks. New code takes the native API. Send the API key as
`Authorization: Bearer KEY`. The addresses under Uploading bytes and Fetching files come from other calls. They are used as they
came, and need no key."""

_NATIVE = Flow("Native API", "fileferry's own nouns as JSON. Errors are problems (RFC 9457).", (problems.render,))
_ONE_CALL = Flow("One-call API", "A file in one POST; its URL comes back.", (direct.render_error,))
_PRESIGNED = Flow(
    "Presigned API", "Tickets for files of a folder, bytes to signed URLs, and a confirmation.", (direct.render_error,)
)
_SIGNED = Flow("Signed API", "Files of end users, who are named by the header `user-id`.", (signed.render_error,))
_WORKSPACES = Flow("Workspaces API", "Files of a workspace by path and by id, with versions.", (problems.render,))
_ORGANIZATIONS = Flow(
    "Organizations API", "A resumable upload URL, and a registration that makes a file.", (organizations.render_error,)
)
_TUS = Flow("tus", "Where clients of tus 1.0 create uploads.", (tus.render_error,))
_PUBLIC = Flow("Fetching files", "Files as anyone fetches them.", (problems.render, azure.render_error))
_SERVER = Flow("Server", "Whether the server is well, and what it counts.", (problems.render,))
# By the beginning of the address, most specific first; a header or an id tells flows apart that share one.
_FLOWS: tuple[tuple[str, tuple[Flow, ...]], ...] = (
    ("/v1/organizations/", (_ORGANIZATIONS,)),
    ("/v1/files/signed-url", (_SIGNED,)),
    ("/v1/files/confirm-upload", (_PRESIGNED,)),
    ("/v1/files/multipart/", (_PRESIGNED,)),
    ("/v1/files/{folder_id}", (_PRESIGNED,)),
    ("/v1/folders", (_PRESIGNED,)),
    ("/v1/files/{file_id}/", (_SIGNED,)),
    ("/v1/files/{id}", (_ONE_CALL, _PRESIGNED, _SIGNED)),
    ("/v1/files", (_ONE_CALL, _SIGNED)),
    ("/file/v2/", (_WORKSPACES,)),
    ("/workspace/", (_WORKSPACES,)),
    ("/file/health_check", (_WORKSPACES,)),
    ("/evo/", (_WORKSPACES,)),
    ("/tus", (_TUS,)),
    ("/f/", (_PUBLIC,)),
    ("/d/", (_PUBLIC,)),
    ("/g/", (_PUBLIC,)),
    ("/api/", (_NATIVE,)),
)
_SHOWN = (_NATIVE, _ONE_CALL, _PRESIGNED, _SIGNED, _WORKSPACES, _ORGANIZATIONS, _TUS)


_FLAGS = (
    *("deleted", "include_versions", "full", "check_dependencies", "strict", "persist"),
    "delete_after_first_complete_fetch",
)
# Parameters that are read by handlers, which say more than that they are text.
_PARAMETERS: Mapping[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1},
    "page": {"type": "integer", "minimum": 1},
    "offset": {"type": "integer", "minimum": 0},
    "expires_after_fetches": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    **{name: {"type": "boolean"} for name in _FLAGS},
    "version_id": {"type": "string", "pattern": "^[0-9]{1,19}$"},
    "expires_at": {"type": "string", "format": "date-time"},
}
# What is shown by handlers whose type does not tell of it.
_MADE_BY_HAND = (presigned.PresignedPage, SignedFile, Health)
_WITHOUT_KEY = ("/healthz", "/readyz", "/metrics", "/file/health_check", "/workspace/health_check", "/f/")
_SIGNED_URLS = ("/u/", "/d/")
_SHORT_URLS = ("/t/", "/g/")
_TAKING_BYTES = ("/u/", "/t/")
_KEYS: Mapping[str, dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as `Authorization: Bearer KEY`."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key in a header of its own."},
}
_SIGNATURE = {
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "sig",
        "description": "Part of a signed URL, which comes from another call and is used as it came.",
    }
}
_FILES_COME = (
    ("/api/upload", ("put", "post")),
    ("/api/uploads/{upload_id}/", ("post",)),
    ("/v1/files", ("post",)),
    ("/v1/organizations/", ("post",)),
    ("/tus", ("post",)),
)


def configured(upload_renders: Sequence[Render]) -> OpenAPIConfig:
    """Return the framework's configuration; ``upload_renders`` are how the protocols of upload URLs tell of errors."""
    at_url = Flow(
        "Uploading bytes", "Signed URLs that take bytes, by any of the upload protocols.", tuple(upload_renders)
    )
    document = _Document(at_url)

    async def make(request: AnyRequest) -> None:
        # The framework copies what is called before a request, bound methods with what they are bound to.
        await document.make(request)

    return OpenAPIConfig(
        title="fileferry",
        version=version(),
        description=_ABOUT,
        openapi_router=Router("/docs", route_handlers=[], include_in_schema=False, before_request=make),
        render_plugins=[ReferencePage(document.completed), Description(document.completed)],
        use_handler_docstrings=True,
    )


class _Document:
    """The document of one application, made when it is first asked for."""

    def __init__(self, at_url: Flow) -> None:
        self._at_url = at_url
        self._made: dict[str, Any] | None = None

    async def make(self, request: AnyRequest) -> None:
        """Make it in a thread: that takes longer than all the rest of a start."""
        if self._made is None:
            self._made = await asyncio.to_thread(self._make, request)

    def completed(self) -> dict[str, Any]:
        """Return it, once it was made."""
        assert self._made is not None, "a request is passed to make first"
        return self._made

    def _make(self, request: AnyRequest) -> dict[str, Any]:
        document = request.app.openapi_schema
        bodies.describe(document)
        schema: dict[str, Any] = document.to_schema()
        _complete(schema, self._at_url)
        told: dict[str, Any] = _readable(schema)
        return told


def _complete(schema: dict[str, Any], at_url: Flow) -> None:
    components = schema["components"]
    components["schemas"] |= {name: dict(shape) for name, shape in responses.SCHEMAS.items()}
    _, made = msgspec.json.schema_components(_MADE_BY_HAND, ref_template="#/components/schemas/{name}")
    components["schemas"] = made | components["schemas"]
    components["securitySchemes"] = {**_KEYS, **_SIGNATURE}
    for name, example in EXAMPLES.items():
        components["schemas"][name]["examples"] = [example]
    shown = (*_SHOWN, at_url, _PUBLIC, _SERVER)
    schema["tags"] = [{"name": flow.tag, "description": flow.said} for flow in shown]
    errors = _Errors()
    for path, method, operation in operations(schema):
        flows = (at_url,) if path.startswith(_TAKING_BYTES) else _flows_of(path)
        _complete_operation(schema, path, method, operation, flows)
        told = errors.of(flows, _kind_of(path, method), method)
        operation["responses"] = told | successes.of(path, method, operation)
    components["responses"], components["examples"] = errors.responses, errors.examples


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every call of a document: its address, its method in lower case, and what is said of it."""
    for path, item in schema["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _complete_operation(
    schema: dict[str, Any], path: str, method: str, operation: dict[str, Any], flows: tuple[Flow, ...]
) -> None:
    operation["tags"] = [flow.tag for flow in flows]
    operation["summary"] = " ".join(_WORD.findall(operation["summary"])).capitalize()
    if not operation.get("deprecated"):
        operation.pop("deprecated", None)
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter, path)
    body = operation.get("requestBody")
    if body is not None:
        shapes = [_resolved(schema, content["schema"]) for content in body["content"].values()]
        body["required"] = any(shape.get("required") or shape.get("format") == "binary" for shape in shapes)
    operation["security"] = _security_of(path, method)


def _flows_of(path: str) -> tuple[Flow, ...]:
    return next((flows for beginning, flows in _FLOWS if path.startswith(beginning)), (_SERVER,))


def _complete_parameter(parameter: dict[str, Any], path: str) -> None:
    parameter.pop("deprecated", None)
    parameter.pop("allowEmptyValue", None)
    parameter.pop("allowReserved", None)
    shape = parameter["schema"]
    # An address has no null, and a path is no URI.
    choices = [choice for choice in shape.get("oneOf", [shape]) if choice.get("type") != "null"]
    plain = {**choices[0], **_PARAMETERS.get(parameter["name"], {})} if parameter["in"] == "query" else choices[0]
    parameter["schema"] = {name: value for name, value in plain.items() if name not in ("description", "default")}
    if plain.get("format") == "uri":
        del parameter["schema"]["format"]
    if parameter["name"] == signed.USER and _flows_of(path) == (_SIGNED,):
        parameter["required"] = True


def _security_of(path: str, method: str) -> list[dict[str, list[str]]]:
    if method == "options" or path == "/" or path.startswith((*_WITHOUT_KEY, *_SHORT_URLS)):
        return []
    if path.startswith(_SIGNED_URLS):
        return [{name: []} for name in _SIGNATURE]
    return [{name: []} for name in _KEYS]


class _Errors:
    """The responses of errors, which calls of one kind share; ``responses`` and ``examples`` are what they refer to."""

    def __init__(self) -> None:
        self.responses: dict[str, Any] = {}
        self.examples: dict[str, Any] = {}
        self._told: dict[tuple[tuple[Flow, ...], Kind, str], dict[str, Any]] = {}

    def of(self, flows: tuple[Flow, ...], kind: Kind, method: str) -> dict[str, Any]:
        """Return references to the responses of errors, by status."""
        key = flows, kind, method
        if key not in self._told:
            found = responses.errors_of(flows, kind, method.upper(), self.examples)
            self._told[key] = {status: self._reference(*key, status, found[status]) for status in found}
        return self._told[key]

    def _reference(
        self, flows: tuple[Flow, ...], kind: Kind, method: str, status: str, response: dict[str, Any]
    ) -> dict[str, str]:
        alike = next((name for name, kept in self.responses.items() if kept == response), None)
        name = alike or f"{flows[0].tag.replace(' ', '')}{kind.name}{method.capitalize()}{status}"
        self.responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}


def _kind_of(path: str, method: str) -> Kind:
    if path.startswith(_TAKING_BYTES) and method != "options":
        return responses.AT_URL
    if method == "options" or path.startswith(_WITHOUT_KEY[:-1]):
        return responses.OPEN
    if path.startswith("/f/"):
        return responses.FETCHING
    if path.startswith(("/d/", "/g/")):
        return responses.FETCHING_SIGNED
    if path.endswith("/content"):
        return responses.READING_BYTES
    if method == "get":
        return responses.READING
    if any(path.startswith(beginning) and method in methods for beginning, methods in _FILES_COME):
        return responses.UPLOADING
    return responses.WRITING


def _resolved(schema: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in shape:
        return shape
    found: dict[str, Any] = schema["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    return found


def _readable(value: Any, name: str = "") -> Any:
    """Return a part of the document with its descriptions as CommonMark, as OpenAPI has them: docstrings are reStructuredText."""
    if isinstance(value, dict):
        return {key: _readable(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each, name) for each in value]
    if name in ("description", "summary") and isinstance(value, str):
        paragraphs = _MARKUP.sub(r"`\1`", value).split("\n\n")
        return "\n\n".join(re.sub(r"\n(?!- )", " ", paragraph) for paragraph in paragraphs)
    return value
