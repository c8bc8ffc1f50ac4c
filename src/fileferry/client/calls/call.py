"""One request as a value: what to send, how to read the answer, whether it may be repeated; and how these are written.

Which requests there are is in the modules beside this one.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx

from fileferry.client.failures import unreadable
from fileferry.client.nouns.identity import Noun, id_of
from fileferry.client.nouns.pages import Page
from fileferry.errors import FerryError, InvalidExpiry, InvalidMetadata, InvalidName, InvalidParameter

T = TypeVar("T")

Lifetime = str | int | timedelta
"""``"30m"``, ``"24h"``, ``"7d"``, a number of seconds, or a timedelta."""


class Unchanged(enum.Enum):
    """What ``update`` leaves as it is; None has a meaning of its own there."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. ``path`` starts below the server's address, is quoted, and includes the query."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, object] | None = None
    content: bytes | None = None
    """A body that is no JSON, and is short."""
    repeatable: bool = True
    final: tuple[type[FerryError], ...] = ()
    """Errors that repeating does not mend here, whatever their class says."""
    seconds: float = 0.0
    """How much longer than the client's timeout the answer may take."""


def given(**values: Noun | str | int | None) -> dict[str, str]:
    """Return as text the values that are given: those that are not None; of a noun it is the id."""
    return {name: _text(value) for name, value in values.items() if value is not None}


def members(**said: object) -> dict[str, object]:
    """Return the members of a body that are given: those that are not None."""
    return {name: value for name, value in said.items() if value is not None}


def with_query(path: str, query: Mapping[str, str]) -> str:
    """Return a path with its query, where there is one."""
    return f"{path}?{urlencode(query)}" if query else path


def segment(named: Noun | str) -> str:
    """Return an id as a quoted segment of a path; raise InvalidParameter for what would name another address."""
    identifier = id_of(named)
    if identifier in {"", ".", ".."}:
        raise InvalidParameter(f"{identifier!r} is not an id.")
    return quote(identifier, safe="")


def quoted_path(path: str) -> str:
    """Return a file's path quoted for an address; raise InvalidName for one that cannot be."""
    # Dot segments would be resolved on the way, into the address of something else.
    if any(name in {".", ".."} for name in path.split("/")):
        raise InvalidName("A file name cannot contain the segments '.' or '..'.")
    try:
        return quote(path, safe="/")
    except UnicodeEncodeError:
        raise InvalidName("The file name is not valid Unicode: give another with name=.") from None


def expiry(expires_in: Lifetime | None, expires_at: datetime | None) -> dict[str, str]:
    """Return how an expiry is said; raise InvalidExpiry for both at once, or a moment without a zone."""
    if expires_in is not None and expires_at is not None:
        raise InvalidExpiry()
    if expires_in is not None:
        return {"expires_in": lifetime_text(expires_in)}
    return {} if expires_at is None else {"expires_at": moment_text(expires_at)}


def lifetime_text(lifetime: Lifetime) -> str:
    """Return a duration as the server reads it."""
    if isinstance(lifetime, timedelta):
        return str(int(lifetime.total_seconds()))
    return str(lifetime)


def moment_text(moment: datetime) -> str:
    """Return a moment as the server reads it; raise InvalidExpiry for one without a zone."""
    if moment.tzinfo is None:
        raise InvalidExpiry("expires_at needs a time zone: datetime.now(UTC) + …")
    return moment.isoformat()


def metadata_text(metadata: Mapping[str, object]) -> str:
    """Return metadata as JSON text; raise InvalidMetadata for what is no JSON object."""
    try:
        return json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidMetadata(f"metadata must be a JSON object: {error}") from error


def read_as(response: httpx.Response, parse: Callable[[Mapping[str, Any]], T], wanted: str) -> T:
    """Return what an answer's JSON describes; raise UnexpectedAnswer where it is not the ``wanted`` thing."""
    try:
        return parse(response.json())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(response, wanted) from error


def _text(value: Noun | str | int) -> str:
    return str(value) if isinstance(value, int) else id_of(value)


def nothing(response: httpx.Response) -> None:
    """Read an answer without a body."""
    del response


def page_of(member: str, item_from: Callable[[Mapping[str, Any]], T]) -> Callable[[httpx.Response], Page[T]]:
    """Return the reader of a page whose items are in ``member``."""

    def page(said: Mapping[str, Any]) -> Page[T]:
        return Page(tuple(item_from(item) for item in said[member]), said["next_cursor"])

    return lambda response: read_as(response, page, f"a list of {member}")
