"""Text in small letters, of all of Unicode, on every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


def as_pattern(text: str) -> str:
    """Return a text as LIKE has it match itself, with the backslash as its escape."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


class lowered(GenericFunction[str]):  # noqa: N801 - a function of SQL
    """The text in small letters, as ``str.lower`` has them."""

    type = String()
    inherit_cache = True


@compiles(lowered)
def _lowered(element: Any, compiler: Any, **options: Any) -> str:
    # SQLite's own is replaced by Python's where connections are made.
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(lowered, "postgresql")
def _lowered_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    # The collation that columns have knows the letters of ASCII only.
    return f'lower({compiler.process(element.clauses, **options)} COLLATE "und-x-icu")'
