"""What is asked of a listing, and a page of what is found."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a listing; ``next_cursor`` is None on the last."""

    items: list[T]
    next_cursor: str | None


class Bound(msgspec.Struct, frozen=True):
    """A comparison of a column: ``op`` is one of lt, lte, gt, gte and eq."""

    op: str
    value: Any


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to list of a workspace. ``name`` is a part of the name, in any case; users are ids; ``deleted`` ones can be restored.

    ``order_by`` holds names of fields, each with whether it descends.
    """

    name: str | None = None
    deleted: bool = False
    created_by: str | None = None
    modified_by: str | None = None
    deleted_by: str | None = None
    created_at: tuple[Bound, ...] = ()
    modified_at: tuple[Bound, ...] = ()
    deleted_at: tuple[Bound, ...] = ()
    size: tuple[Bound, ...] = ()
    order_by: tuple[tuple[str, bool], ...] = ()
    offset: int = 0
    limit: int = 100

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for some files only, beyond living or deleted ones."""
        users = (self.created_by, self.modified_by, self.deleted_by)
        ranges = (self.created_at, self.modified_at, self.deleted_at, self.size)
        return self.name is not None or any(user is not None for user in users) or any(ranges)
