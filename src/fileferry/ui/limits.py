"""Limits as the fields of a form: how they are shown, and what a form that was sent changes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fileferry.errors import InvalidParameter
from fileferry.model import Limits, parse_duration, parse_size
from fileferry.ui import words
from fileferry.ui.visits import Form

FIELDS = (
    ("max_size", "Largest file", "as 10MiB"),
    ("types", "Media types", "as application/pdf, text/plain"),
    ("max_retention", "Longest time to live", "as 30d"),
    ("max_bytes", "Bytes kept in all", "as 5GiB"),
    ("max_files", "Files kept in all", "a number"),
    ("requests", "Requests", "as 100/minute"),
    ("bytes", "Bytes uploaded", "as 10000000000/hour"),
    ("tickets", "Upload tickets", "as 1000/minute"),
)
"""Name, label and how to write it of each limit that a form has."""


def shown(limits: Limits) -> dict[str, str]:
    """Return what the fields of a form say of limits."""
    found = {name: getattr(limits, name) for name, _label, _hint in FIELDS}
    return {
        name: ", ".join(value) if name == "types" else f"{value}s" if name == "max_retention" else str(value)
        for name, value in found.items()
        if value is not None
    }


def spoken(limits: Limits) -> list[str]:
    """Return limits as short sentences."""
    said: dict[str, Callable[[Any], str]] = {
        "max_size": lambda value: f"files up to {words.size(value)}",
        "types": lambda value: f"types: {', '.join(value)}",
        "max_retention": lambda value: f"kept for {words.seconds(value)} at most",
        "max_bytes": lambda value: f"{words.size(value)} in all",
        "max_files": lambda value: f"{value} files in all",
        "requests": lambda value: f"{value} requests",
        "bytes": lambda value: f"{value} bytes uploaded",
        "tickets": lambda value: f"{value} tickets",
    }
    found = {name: getattr(limits, name) for name in said}
    return [say(found[name]) for name, say in said.items() if found[name] is not None]


def changes_of(form: Form, *, before: Limits | None = None) -> dict[str, Any]:
    """Return the limits that a form sets; with those ``before`` also, as None, the ones that it lifts. Raises InvalidParameter."""
    changes: dict[str, Any] = {}
    for name, label, _hint in FIELDS:
        text = form.get(f"limit_{name}")
        if text:
            changes[name] = _value(name, label, text)
        elif before is not None and getattr(before, name) is not None:
            changes[name] = None
    return changes


def _value(name: str, label: str, text: str) -> Any:
    try:
        if name in ("max_size", "max_bytes"):
            return parse_size(text)
        if name == "max_files":
            return int(text)
        if name == "max_retention":
            return int(parse_duration(text).total_seconds())
    except ValueError as error:
        raise InvalidParameter(f"{label}: {text!r} cannot be used.", parameter=name) from error
    if name == "types":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text
