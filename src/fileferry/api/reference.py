"""The API reference as one plain page at ``/docs``, made from the OpenAPI schema; it loads nothing from anywhere else."""

from __future__ import annotations

import html
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from fileferry.web.requests import base_url

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc } h3 { margin: 1.5rem 0 0 } code, pre { font-size: .9em }
b { display: inline-block; min-width: 4.5rem } pre { background: #f5f5f5; padding: 1rem; overflow: auto }
"""


class ReferencePage(OpenAPIRenderPlugin):
    """Renders every operation with its parameters, and every schema."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page as HTML."""
        title = html.escape(openapi_schema["info"]["title"])
        sections = "".join(_operation(*operation) for operation in _operations(openapi_schema))
        schemas = openapi_schema.get("components", {}).get("schemas", {})
        shapes = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title} API</title><style>{_STYLE}</style>"
            f"<h1>{title} {html.escape(openapi_schema['info']['version'])}</h1>"
            f'<p>The same as a machine reads it: <a href="{html.escape(_address(request))}/docs/openapi.json">openapi.json</a>.</p>'
            f"<h2>Calls</h2>{sections}<h2>Shapes</h2>{shapes}</html>"
        ).encode()


class Description(JsonRenderPlugin):
    """Renders the schema as JSON, with the address of this service in ``servers``: paths are told from there."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the description."""
        return super().render(request, {**openapi_schema, "servers": [{"url": _address(request)}]})


def _address(request: Request[Any, Any, Any]) -> str:
    address: str = base_url(request, request.app.state.engine)
    return address


def _operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in sorted(schema["paths"].items())
        for method, operation in methods.items()
        if isinstance(operation, dict)
    ]


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(parameter['name'])}</code> ({html.escape(parameter['in'])}) "
        f"{html.escape(parameter.get('description') or '')}</li>"
        for parameter in operation.get("parameters", [])
    )
    bodies = operation.get("requestBody", {}).get("content", {})
    body = "".join(f"<li>body, {html.escape(name)}: {_name_of(content)}</li>" for name, content in bodies.items())
    description = html.escape(operation.get("description") or operation.get("summary") or "")
    return f"<h3><b>{method}</b> <code>{html.escape(path)}</code></h3><p>{description}</p><ul>{parameters}{body}</ul>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    shape = html.escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return f"<details><summary>{html.escape(name)}</summary><pre>{shape}</pre></details>"


def _name_of(content: dict[str, Any]) -> str:
    schema = content.get("schema", {})
    if "$ref" in schema:
        return html.escape(schema["$ref"].rpartition("/")[2])
    return html.escape(", ".join(schema.get("properties", {})) or "the bytes themselves")
