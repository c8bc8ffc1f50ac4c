"""The API reference as one page at ``/docs``, made from the OpenAPI document; it loads nothing from anywhere else.

Calls are grouped by flow, can be searched, and tried with a key that the page forgets when it is closed.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from fileferry.web.requests import base_url

_METHODS = ("get", "head", "put", "post", "patch", "delete", "options")
_CODE = re.compile(r"`([^`]+)`")

Document = Callable[[], dict[str, Any]]


class ReferencePage(OpenAPIRenderPlugin):
    """Renders every call with its parameters, bodies and answers, and every schema."""

    def __init__(self, document: Document) -> None:
        super().__init__(path="/")
        self._document = document

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page as HTML."""
        schema, address = self._document(), _address(request)
        title = html.escape(f"{schema['info']['title']} {schema['info']['version']}")
        style, script = _resource("reference.css"), _resource("reference.js")
        split = urlsplit(address)
        policy = (
            f"default-src 'none'; style-src {_hash_of(style)}; script-src {_hash_of(script)}; "
            f"connect-src 'self' {split.scheme}://{split.netloc}; base-uri 'none'; form-action 'none'"
        )
        tags = [tag["name"] for tag in schema["tags"]]
        links = "".join(f'<li><a href="#{_anchor(tag)}">{html.escape(tag)}</a></li>' for tag in tags)
        sections = "".join(_section(schema, tag["name"], tag["description"]) for tag in schema["tags"])
        shapes = "".join(_shape(name, shape) for name, shape in sorted(schema["components"]["schemas"].items()))
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
            f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style>'
            f'<body data-base="{html.escape(address)}"><header><h1>{title}</h1>'
            f'<label>Search <input id="search" type="search" autofocus></label> '
            f'<label>API key <input id="key" type="password" autocomplete="off" placeholder="ff_…"></label></header>'
            f"{_text(schema['info']['description'])}"
            f'<p>The same as a machine reads it: <a href="{html.escape(address)}/docs/openapi.json">openapi.json</a>.</p>'
            f'<nav><ul>{links}<li><a href="#schemas">Schemas</a></li></ul></nav>{sections}'
            f'<section id="schemas"><h2>Schemas</h2>{shapes}</section><p id="nothing" hidden>Nothing is found.</p>'
            f"<script>{script}</script></body></html>"
        ).encode()


class Description(JsonRenderPlugin):
    """Renders the document as JSON, with the address of this service in ``servers``: paths are told from there."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self._document = document

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, {**self._document(), "servers": [{"url": _address(request)}]})


def _address(request: Request[Any, Any, Any]) -> str:
    address: str = base_url(request, request.app.state.engine)
    return address


def _resource(name: str) -> str:
    return resources.files("fileferry.api").joinpath(name).read_text(encoding="utf-8")


def _hash_of(content: str) -> str:
    """Return what a content security policy calls an inline style or script (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _anchor(tag: str) -> str:
    return re.sub(r"\W+", "-", tag.lower())


def _text(text: str) -> str:
    """Return a description as HTML; of CommonMark it has paragraphs, lists and code."""
    blocks = []
    for paragraph in text.split("\n\n"):
        escaped = _CODE.sub(r"<code>\1</code>", html.escape(paragraph, quote=False))
        items = [line.removeprefix("- ") for line in escaped.split("\n")]
        is_list = escaped.startswith("- ")
        blocks.append(f"<ul><li>{'</li><li>'.join(items)}</li></ul>" if is_list else f"<p>{escaped}</p>")
    return "".join(blocks)


def _section(schema: dict[str, Any], tag: str, said: str) -> str:
    calls = "".join(
        _call(schema, path, method, item[method])
        for path, item in sorted(schema["paths"].items())
        for method in _METHODS
        if method in item and tag in item[method]["tags"]
    )
    return f'<section id="{_anchor(tag)}"><h2>{html.escape(tag)}</h2>{_text(said)}{calls}</section>'


def _call(schema: dict[str, Any], path: str, method: str, call: dict[str, Any]) -> str:
    parameters = call.get("parameters", [])
    listed = "".join(
        f"<li><code>{html.escape(each['name'])}</code> in the {'address' if each['in'] == 'path' else each['in']}"
        f"{', required' if each['required'] else ''}: {_text(each.get('description') or 'text')}</li>"
        for each in parameters
    )
    bodies = call.get("requestBody", {}).get("content", {})
    taken = "".join(f"<li>{html.escape(name)}: {_name_of(content)}</li>" for name, content in bodies.items())
    answers = "".join(_answer(schema, status, answer) for status, answer in call["responses"].items())
    keyed = "" if call["security"] else ' <em class="open">without a key</em>'
    return (
        f'<details class="call"><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> '
        f"{html.escape(call['summary'])}{keyed}</summary>{_text(call.get('description') or '')}"
        f"{f'<h3>Parameters</h3><ul>{listed}</ul>' if listed else ''}"
        f"{f'<h3>Body</h3><ul>{taken}</ul>' if taken else ''}"
        f"<h3>Answers</h3><dl>{answers}</dl>{_trial(schema, path, method, call, parameters)}</details>"
    )


def _answer(schema: dict[str, Any], status: str, answer: dict[str, Any]) -> str:
    if "$ref" in answer:
        answer = schema["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    shapes = ", ".join(f"{html.escape(kind)}: {_name_of(each)}" for kind, each in answer.get("content", {}).items())
    return f"<dt>{status}</dt><dd>{_text(answer['description'])}{f'<p>{shapes}</p>' if shapes else ''}</dd>"


def _trial(
    schema: dict[str, Any], path: str, method: str, call: dict[str, Any], parameters: list[dict[str, Any]]
) -> str:
    """Return the form that sends a call; what can be filled in has the name and the place of its parameter."""
    fields = "".join(
        f'<label>{html.escape(each["name"])} <input data-in="{each["in"]}" name="{html.escape(each["name"])}"></label>'
        for each in parameters
    )
    body = ""
    bodies = call.get("requestBody", {}).get("content", {})
    if "application/json" in bodies:
        example = html.escape(msgspec.json.format(msgspec.json.encode(_example(schema, bodies)), indent=2).decode())
        body = f'<label>body <textarea name="body" rows="6">{example}</textarea></label>'
    elif "multipart/form-data" in bodies:
        body = '<label>file <input type="file" name="form"></label>'
    elif bodies or path.startswith("/u/"):
        body = '<label>file <input type="file" name="bytes"></label>'
    keyed = " data-keyed" if any("bearer" in each for each in call["security"]) else ""
    return (
        f'<form class="trial" data-method="{method.upper()}" data-path="{html.escape(path)}"{keyed}>'
        f"{fields}{body}<button>Send</button><pre hidden></pre></form>"
    )


def _example(schema: dict[str, Any], bodies: dict[str, Any]) -> Any:
    shape = bodies["application/json"]["schema"]
    name = shape.get("$ref", "").rpartition("/")[2]
    examples = schema["components"]["schemas"].get(name, shape).get("examples", [{}])
    return examples[0]


def _shape(name: str, schema: dict[str, Any]) -> str:
    shape = html.escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    title = html.escape(name)
    return f'<details class="call" id="schema-{title}"><summary>{title}</summary><pre>{shape}</pre></details>'


def _name_of(content: dict[str, Any]) -> str:
    schema = content.get("schema", {})
    choices = schema.get("anyOf", [schema])
    names = [each["$ref"].rpartition("/")[2] for each in choices if "$ref" in each]
    if names:
        return " or ".join(f'<a href="#schema-{html.escape(name)}">{html.escape(name)}</a>' for name in names)
    return html.escape(", ".join(schema.get("properties", {})) or "the bytes themselves")
