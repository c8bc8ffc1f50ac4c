"""The names of what requests carry: one that is not known here, comes twice or is empty is refused, never dropped in silence.

Which names are known is what a route declares: its parameters, and the fields of the type that its body is read as. Signed and
public URLs are not judged: clients of upload protocols add parameters of their own, and pages ones that only get round caches.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, get_args

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from fileferry.errors import InvalidParameter

_LONGEST_NAME = 64  # of a name that a nearest one is looked for, which takes the square of it
_LIKENESS = 0.6
_LARGE = 64 * 1024
_LONG_TEXT = re.compile(rb'"[^"\\]{4096,}"')
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `.*`)?\Z", re.DOTALL)


class _Known(msgspec.Struct, frozen=True):
    """The query parameters of a route: all, those that may come twice, those that an empty value means something to."""

    names: frozenset[str]
    repeatable: frozenset[str]
    emptiable: frozenset[str]
    body: frozenset[str]


_known_of: dict[BaseRouteHandler, _Known] = {}


def refuse_unknown_query(request: Request[Any, Any, Any], *further: str) -> None:
    """Raise InvalidParameter for a query parameter that the route does not declare and ``further`` does not name.

    Also for one that comes twice where one value is meant, and for one without a value, unless that is what it is by default.
    """
    if not request.scope["query_string"]:
        return
    sent = request.query_params.multi_items()
    known = _known_of.get(request.route_handler) or _learn(request)
    seen: set[str] = set()
    for name, value in sent:
        if name not in known.names and name not in further:
            if name in known.body:
                raise InvalidParameter(f"{name!r} belongs into the body, not into the address.", parameter=name)
            raise unknown_name(name, [*known.names, *further])
        if name in seen and name not in known.repeatable:
            raise InvalidParameter(f"The parameter {name!r} comes twice; send it once.", parameter=name)
        if value == "" and name not in known.emptiable:
            raise InvalidParameter(
                f"The parameter {name!r} is empty: give it a value, or leave it out.", parameter=name, value=value
            )
        seen.add(name)


def unknown_name(name: str, known: Collection[str], kind: str = "parameter") -> InvalidParameter:
    """Return the error for a name that is not known, with the nearest one that is."""
    shown = name[:_LONGEST_NAME]
    by_form = {_plain(each): each for each in sorted(known)}
    found = difflib.get_close_matches(_plain(shown), by_form, 1, _LIKENESS)
    hint = f"did you mean {by_form[found[0]]!r}? " if found else ""
    there_are = f"There are {', '.join(sorted(known))}." if known else "It takes none."
    return InvalidParameter(f"There is no {kind} {shown!r} here: {hint}{there_are}", parameter=shown)


def is_misspelt(name: str, known: Collection[str]) -> bool:
    """Whether a name is one of these but for its case and what is between its words, as ``expiresIn`` is."""
    return name not in known and _plain(name) in {_plain(each) for each in known}


def unknown_member(error: msgspec.ValidationError, kind: Any) -> InvalidParameter | None:
    """Return the error for a member that no type in ``kind`` has, None where that is not what is wrong."""
    named = _UNKNOWN.search(str(error))
    return None if named is None else unknown_name(named[1], set(member_names(kind)), "field")


def member_names(kind: Any) -> Iterator[str]:
    """Yield the names of the members of a body that is read as ``kind``, those of objects within it too."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield field.encode_name
            yield from member_names(field.type)
        return
    for part in get_args(kind):
        yield from member_names(part)


def refuse_doubled(body: bytes | str) -> None:
    """Raise InvalidParameter for JSON in which an object has a name twice: which of the two counts is anybody's guess."""
    if isinstance(body, bytes) and len(body) > _LARGE:
        body = _LONG_TEXT.sub(b'""', body)  # a file in it need not be copied to see what it is called
    try:
        json.loads(body, object_pairs_hook=_object)
    except (RecursionError, ValueError):
        return  # what is wrong with it is told by who reads it


def _object(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = name[:_LONGEST_NAME]
            raise InvalidParameter(f"The field {shown!r} comes twice in one object.", parameter=shown)
        seen.add(name)


def _plain(name: str) -> str:
    return name.lower().translate({ord("_"): None, ord("-"): None})


def _learn(request: Request[Any, Any, Any]) -> _Known:
    """Remember what the route of a request declares, its dependencies included: the framework has found that out already."""
    handler: Any = request.route_handler
    routes = [route for route in request.app.routes if isinstance(route, HTTPRoute)]
    declared = next(
        model.expected_query_params
        for route in routes
        for known, model in route.route_handler_map.values()
        if known is handler
    )
    operation: Any = handler.operation_class
    known = _known_of[handler] = _Known(
        names=frozenset(each.field_alias for each in declared),
        repeatable=frozenset(each.field_alias for each in declared if each.is_sequence),
        emptiable=frozenset(each.field_alias for each in declared if each.default == ""),
        body=frozenset(getattr(operation, "body_names", ())),
    )
    return known
