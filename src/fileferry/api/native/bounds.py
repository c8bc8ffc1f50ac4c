"""Limits as the native API's administration takes and shows them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from fileferry.db.usage import Usage
from fileferry.errors import InvalidParameter
from fileferry.model import Limits, parse_size
from fileferry.web.requests import parse_expires_in

Size = Annotated[int, msgspec.Meta(ge=0, le=2**62)] | Annotated[str, msgspec.Meta(max_length=32)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Rate = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
TypeNames = Annotated[list[Annotated[str, msgspec.Meta(max_length=255)]], msgspec.Meta(max_length=100)]


class LimitChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Limits to set; null lifts one. Sizes are bytes or text such as ``10MiB``, ``max_retention`` a duration such as ``30d``.

    ``max_size`` and ``types`` (media types) are those of one file, ``max_bytes`` and ``max_files`` of all that is kept together.
    ``requests``, ``bytes`` and ``tickets`` are rates such as ``100/minute``. ``refuse_empty`` rejects files without bytes;
    ``serve_unscanned`` says whether files that the scanner cannot look into are served.
    """

    max_size: Size | msgspec.UnsetType | None = msgspec.UNSET
    types: TypeNames | msgspec.UnsetType | None = msgspec.UNSET
    max_retention: str | int | msgspec.UnsetType | None = msgspec.UNSET
    max_bytes: Size | msgspec.UnsetType | None = msgspec.UNSET
    max_files: Count | msgspec.UnsetType | None = msgspec.UNSET
    requests: Rate | msgspec.UnsetType | None = msgspec.UNSET
    bytes: Rate | msgspec.UnsetType | None = msgspec.UNSET
    tickets: Rate | msgspec.UnsetType | None = msgspec.UNSET
    refuse_empty: bool | msgspec.UnsetType | None = msgspec.UNSET
    serve_unscanned: bool | msgspec.UnsetType | None = msgspec.UNSET


class LimitsObject(msgspec.Struct, kw_only=True):
    """The limits that somebody has; null where there is none. Sizes are bytes, ``max_retention`` seconds."""

    max_size: int | None
    types: list[str] | None
    max_retention: int | None
    max_bytes: int | None
    max_files: int | None
    requests: str | None
    bytes: str | None
    tickets: str | None
    refuse_empty: bool | None
    serve_unscanned: bool | None


class UsageObject(msgspec.Struct):
    """What is kept by now of what ``max_bytes`` and ``max_files`` limit."""

    bytes: int
    files: int


def changes_of(asked: LimitChanges | None) -> dict[str, Any]:
    """Return the limits that are to be changed; raises InvalidParameter, InvalidExpiry."""
    if asked is None:
        return {}
    values = {name: getattr(asked, name) for name in asked.__struct_fields__}
    given = {name: value for name, value in values.items() if value is not msgspec.UNSET}
    for name in ("max_size", "max_bytes"):
        if isinstance(given.get(name), str):
            given[name] = size_of(f"limits.{name}", given[name])
    if given.get("max_retention") is not None:
        lasting = parse_expires_in(given["max_retention"])
        given["max_retention"] = None if lasting is None else int(lasting.total_seconds())
    return given


def limits_object(limits: Limits) -> LimitsObject:
    """Return limits as they are shown."""
    values = {name: getattr(limits, name) for name in limits.__struct_fields__}
    return LimitsObject(**{**values, "types": None if limits.types is None else list(limits.types)})


def usage_object(kept: Usage | None) -> UsageObject | None:
    """Return what is kept as it is shown; null without a limit on it."""
    return None if kept is None else UsageObject(kept.bytes, kept.files)


def size_of(parameter: str, said: str | int) -> int:
    """Return a size as bytes; raises InvalidParameter."""
    try:
        return said if isinstance(said, int) else parse_size(said)
    except ValueError as error:
        raise InvalidParameter(f"{error}", parameter=parameter) from error
