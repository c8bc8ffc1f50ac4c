"""What a listing of the workspaces flow is asked for: bounds on times and sizes, order and window, read from its query."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast
from urllib.parse import parse_qsl, urlencode

from litestar.params import Parameter

from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.model import MAX_NAME_BYTES, Bound, Principal, Search, canonical_id, is_uuid
from fileferry.web.moments import with_plus
from fileferry.web.requests import AnyRequest, base_url, parse_limit

LARGEST_PAGE = 5000
_SORTED_BY = ("created_at", "modified_at", "deleted_at", "name", "path", "size")
_MOST_BOUNDS = 2
_MOST_DIGITS = 18
_LONGEST_BOUND = 64  # characters, of a time or a size with what it is compared by
_BOUND = re.compile(r"(?:(lt|lte|gt|gte|eq):)?(.+)", re.DOTALL)
_FINE_FRACTION = re.compile(r"[.,]\d{4}")

Operator = Literal["lt", "lte", "gt", "gte", "eq"]

Name = Annotated[str | None, Parameter(description="Part of the file's name, in any case.")]
UserId = Annotated[str | None, Parameter(description="The id of a user.")]
Flag = Annotated[str | None, Parameter(description="true or false.")]
Times = Annotated[
    list[str] | None,
    Parameter(description="An ISO 8601 time, UTC where it has no offset; or one or two after lt:, lte:, gt: or gte:."),
]
Sizes = Annotated[list[str] | None, Parameter(description="Bytes; or one or two numbers after lt:, lte:, gt: or gte:.")]
Order = Annotated[
    str | None,
    Parameter(description=f"Of {', '.join(_SORTED_BY)}, with commas, each after asc: (which is usual) or desc:."),
]
Limit = Annotated[str | None, Parameter(description=f"How many to return, 1 to {LARGEST_PAGE}, which is usual.")]
Offset = Annotated[str | None, Parameter(description="How many to leave out before.")]


def search_of(
    principal: Principal,
    file_name: Name = "",
    deleted: Flag = None,
    author: UserId = None,
    created_by: UserId = None,
    modified_by: UserId = None,
    deleted_by: UserId = None,
    created_at: Times = None,
    modified_at: Times = None,
    deleted_at: Times = None,
    size: Sizes = None,
    order_by: Order = None,
    limit: Limit = None,
    offset: Offset = None,
) -> Search:
    """Return the search that a query describes; raises InvalidParameter, which names the parameter that cannot be used.

    It needs the principal only to come after it: a query is judged for those who may ask.
    """
    if author and created_by and author != created_by:
        raise InvalidParameter("author and created_by are two names of one thing: give one.", parameter="author")
    return Search(
        name=_name(file_name),
        deleted=parse_flag("deleted", deleted),
        created_by=_user_id("author", author) or _user_id("created_by", created_by),
        modified_by=_user_id("modified_by", modified_by),
        deleted_by=_user_id("deleted_by", deleted_by),
        created_at=_time_bounds("created_at", created_at),
        modified_at=_time_bounds("modified_at", modified_at),
        deleted_at=_time_bounds("deleted_at", deleted_at),
        size=_size_bounds("size", size),
        order_by=parse_order(order_by, _SORTED_BY),
        offset=parse_offset(offset),
        limit=parse_limit(limit, LARGEST_PAGE, LARGEST_PAGE),
    )


def parse_flag(parameter: str, value: str | None) -> bool:
    """Read ``true`` or ``false`` in any case; None is false. Raises InvalidParameter for anything else."""
    if value is None:
        return False
    if value.lower() not in ("true", "false"):
        raise InvalidParameter(f"{parameter} must be true or false.", parameter=parameter)
    return value.lower() == "true"


def parse_order(value: str | None, fields: Iterable[str]) -> tuple[tuple[str, bool], ...]:
    """Read ``desc:created_at,name``: fields, and whether each descends. Raises InvalidParameter for others, and for one twice."""
    order: dict[str, bool] = {}
    for item in value.split(",") if value else ():
        direction, _, field = item.strip().rpartition(":")
        if direction not in ("", "asc", "desc") or field not in fields or field in order:
            raise InvalidParameter(
                f"order_by must be fields with commas between, each once, as in 'desc:created_at,name'. "
                f"The fields are {', '.join(fields)}.",
                parameter="order_by",
            )
        order[field] = direction == "desc"
    return tuple(order.items())


def parse_offset(value: str | None) -> int:
    """Read how many to leave out; None is none. Raises InvalidParameter for what is no whole number."""
    return 0 if value is None else _whole_number("offset", value)


def page_link(request: AnyRequest, engine: Engine, limit: int, offset: int) -> str:
    """Return the address of another window of the listing that was asked for."""
    sent = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in sent if name not in ("limit", "offset")]
    query = urlencode([*kept, ("limit", limit), ("offset", offset)])
    return f"{base_url(request, engine)}{request.url.path}?{query}"


def _user_id(parameter: str, value: str | None) -> str | None:
    if not value:
        return None
    if not is_uuid(value):
        raise InvalidParameter(f"{parameter} must be the id of a user, a UUID.", parameter=parameter)
    return canonical_id(value)


def _size_bounds(parameter: str, values: list[str] | None) -> tuple[Bound, ...]:
    return tuple(Bound(op, _whole_number(parameter, text)) for op, text in _compared(parameter, values))


def _time_bounds(parameter: str, values: list[str] | None) -> tuple[Bound, ...]:
    return tuple(bound for op, text in _compared(parameter, values) for bound in _around(parameter, op, text))


def _compared(parameter: str, values: list[str] | None) -> list[tuple[Operator, str]]:
    values = values or []
    is_usable = len(values) <= _MOST_BOUNDS and all(len(value) <= _LONGEST_BOUND for value in values)
    matches = [_BOUND.fullmatch(value) for value in values] if is_usable else []
    found = [(cast(Operator, match[1] or "eq"), match[2]) for match in matches if match]
    if len(found) < len(values) or (len(found) > 1 and "eq" in dict(found)):
        raise InvalidParameter(
            f"{parameter} takes one value, or one or two after lt:, lte:, gt: or gte:.", parameter=parameter
        )
    return found


def _around(parameter: str, operator: Operator, text: str) -> list[Bound]:
    """Return the bounds that hold for a time as answers show it, which is cut to milliseconds.

    What is shown as 12:00:00.001 may have happened any time before 12:00:00.002, and must be found by what is shown.
    """
    first = _moment(parameter, text)
    try:
        after = first + timedelta(microseconds=1 if _FINE_FRACTION.search(text) else 1000)
    except OverflowError as error:
        raise _no_time(parameter) from error
    from_first, before_end = Bound("gte", first), Bound("lt", after)
    bounds: dict[Operator, list[Bound]] = {
        "lt": [Bound("lt", first)],
        "lte": [before_end],
        "gt": [Bound("gte", after)],
        "gte": [from_first],
        "eq": [from_first, before_end],
    }
    return bounds[operator]


def _moment(parameter: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(with_plus(text))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _no_time(parameter) from error


def _no_time(parameter: str) -> InvalidParameter:
    return InvalidParameter(
        f"{parameter} must be an ISO 8601 time such as 2026-12-31T23:59:59Z, after lt:, lte:, gt: or gte: or without.",
        parameter=parameter,
    )


def _whole_number(parameter: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise InvalidParameter(f"{parameter} must be a whole number.", parameter=parameter)
    return int(text)


def _name(text: str | None) -> str | None:
    if not text:
        return None
    if len(text.encode()) > MAX_NAME_BYTES:
        raise InvalidParameter(f"No name has more than {MAX_NAME_BYTES} bytes.", parameter="file_name")
    return unicodedata.normalize("NFC", text)
