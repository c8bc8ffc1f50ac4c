"""What requests carry, told to OpenAPI. Handlers read their bodies themselves, after the key was checked, so that the
framework cannot see what they take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from litestar.openapi.spec import OpenAPI, OpenAPIMediaType, Operation, RequestBody

from fileferry.web.parameters import member_names

_REFERENCE = "#/components/schemas/{name}"
_described: set[type] = set()

BINARY: Mapping[str, Any] = {"type": "string", "format": "binary"}


def takes_json(kind: type) -> type[Operation]:
    """Return the operation class of a handler whose body is ``kind`` as JSON."""
    _described.add(kind)
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return takes({"application/json": schema}, frozenset(member_names(kind)))


def takes(schemas: Mapping[str, Mapping[str, Any]], names: frozenset[str] = frozenset()) -> type[Operation]:
    """Return the operation class of a handler that takes bodies of these media types, each with its JSON Schema.

    ``names`` are those of their fields, which may be told from the parameters of the address by them.
    """
    # The specification's classes pass plain dictionaries through.
    content: dict[str, Any] = {name: OpenAPIMediaType(schema=_as_schema(schema)) for name, schema in schemas.items()}

    @dataclass
    class WithBody(Operation):
        body_names: ClassVar[frozenset[str]] = names

        def __post_init__(self) -> None:
            self.request_body = RequestBody(content=content)

    return WithBody


def taken() -> frozenset[type]:
    """Return the kinds of JSON bodies that handlers take."""
    return frozenset(_described)


def describe(document: OpenAPI) -> None:
    """Add the schemas of every JSON body that some handler takes to the document."""
    _, schemas = msgspec.json.schema_components(list(_described), ref_template=_REFERENCE)
    document.components.schemas.update({name: _as_schema(schema) for name, schema in schemas.items()})


def _as_schema(schema: Mapping[str, Any]) -> Any:
    return dict(schema)
